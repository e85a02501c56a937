"""Write suggested paragraphs as tasks: labelled JSONL, Label Studio, doccano, Prodigy."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from detector import __version__
from detector.corpus import json_line

INTERFACE: Final = """<View>
  <Text name="before" value="$before"/>
  <Header value="Is the next text consent text (boilerplate)?"/>
  <Text name="text" value="$text"/>
  <Choices name="label" toName="text" choice="single" showInline="true">
    <Choice value="article" hotkey="1"/><Choice value="boilerplate" hotkey="2"/><Choice value="unsure" hotkey="3"/>
  </Choices>
  <Text name="after" value="$after"/>
</View>"""
"""Labelling interface of a Label Studio project for our tasks."""
HINTS: Final = {
    "labelled": 'correct the "label" of the paragraph that has a "probability"; its neighbours are "unsure", which training leaves out',
    "label-studio": f"paste this as the project's labelling interface:\n{INTERFACE}",
    "doccano": "make a text classification project with the labels article, boilerplate and unsure; the neighbours are in the metadata",
    "prodigy": "run: prodigy mark DATASET FILE --view-id classification   (accept: boilerplate, reject: article, ignore: left out)",
}
"""What to do with the tasks of each format."""


@dataclass(slots=True)
class Candidate:
    """A paragraph that might be labelled.

    Attributes
    ----------
    text : str
    before, after : list of str
        Its neighbours, which a person needs to decide: "OK" means nothing alone.
    label, probability, log_odds
        What the model makes of it.
    document, site, place : str
    lang : str or None
    documents : int
        How many documents have it, digits aside.
    uncertainty : float
        The sum over these.
    last : int
        Number of the last of these.
    """

    text: str
    before: list[str]
    after: list[str]
    label: str
    probability: float
    log_odds: float
    document: str
    site: str
    place: str
    lang: str | None
    documents: int
    uncertainty: float
    last: int

    @property
    def task(self) -> str:
        """Name of its task, by which labels find back: the same for the same text at the same place."""
        return "task-" + hashlib.sha256(f"{self.place}\n{self.text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def about(self) -> dict[str, str]:
        """Where it is from, as the fields of a task; `training.annotations.CONTEXT` are read again.

        All tasks have the same fields: doccano makes a table of them, and then can't store what is missing in some.
        """
        context = {"task": self.task, "document": self.document, "site": self.site, "lang": self.lang or "", "place": self.place}
        return {**context, "before": "\n".join(self.before), "after": "\n".join(self.after)}


def labelled(candidates: Iterable[Candidate]) -> Iterator[str]:
    """Labelled documents of one paragraph with the model's label, between neighbours that are "unsure"."""
    for c in candidates:
        before, after = ([{"text": text, "label": "unsure"} for text in side] for side in (c.before, c.after))
        guess = {"text": c.text, "label": c.label, "probability": round(c.probability, 4)}
        names = {"id": c.task, "lang": c.lang or "und", "source": "suggested", "site": c.site, "document": c.document, "place": c.place}
        yield json_line({**names, "documents": c.documents, "paragraphs": [*before, guess, *after]}) + "\n"


def label_studio(candidates: Iterable[Candidate]) -> Iterator[str]:
    """A JSON list, a task a line; the model's label is a prediction, which is never read as a label."""
    mark = "[\n"
    for c in candidates:
        result = {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [c.label]}}
        prediction = {"model_version": f"consent-text-detector {__version__}", "score": round(c.probability, 4), "result": [result]}
        data = {"text": c.text, **c.about, "documents": c.documents}
        yield mark + json_line({"data": data, "predictions": [prediction]})
        mark = ",\n"
    yield "\n]\n" if mark == ",\n" else "[]\n"


def doccano(candidates: Iterable[Candidate]) -> Iterator[str]:
    """Lines without a label: one that is there would be exported as a person's, looked at or not; the model's is in the metadata."""
    for c in candidates:
        guess = f"{c.label} ({c.probability:.2f})"
        yield json_line({"text": c.text, "label": [], **c.about, "guess": guess, "documents": c.documents}) + "\n"


def prodigy(candidates: Iterable[Candidate]) -> Iterator[str]:
    """Lines that ask one thing: is it boilerplate? Prodigy shows what is in "meta"."""
    for c in candidates:
        meta = {**c.about, "probability": round(c.probability, 4), "documents": c.documents}
        yield json_line({"text": c.text, "label": "boilerplate", "meta": meta}) + "\n"


WRITERS: Final[dict[str, Callable[[Iterable[Candidate]], Iterator[str]]]] = {
    "labelled": labelled,
    "label-studio": label_studio,
    "doccano": doccano,
    "prodigy": prodigy,
}
