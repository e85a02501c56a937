"""Compose training documents from what we wrote: fill the slots of patterns, splice dialogues into articles.

An authored document is a dialogue, an article, or a whole page with both. The classifier needs to see them as pages emit them: a dialogue
at the end of an article, in the middle of it, before its headline; whole, or only a line of it; its buttons glued together. All choices are
drawn from one seeded generator, so a seed gives the same documents everywhere.
"""

from __future__ import annotations

import csv
import json
import random
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from training.dataset import DatasetError, LabelledDocument, LabelledParagraph
from training.tables import expand

COPIES: Final = 2
"""Times that a document with slots is filled, with other values each time."""
SPLICES: Final = 5
"""Times that each dialogue is spliced into an article."""
OTHER_LANGUAGE: Final = 0.1
"""Share of spliced dialogues that stand in an article of another language."""
POSITIONS: Final = (("end", 0.6), ("middle", 0.25), ("start", 0.15))
"""Where consent text stands; on 1,059 real pages 66 % of its runs are in the last fifth, 7 % in the first, 28 % between, but dialogues that
an extractor puts first are the ones that hurt, so they are shown more often."""
RUNS: Final = (("whole", 0.3), ("part", 0.2), ("line", 0.5))
"""How much of a dialogue stands there: on real pages more than half of the runs are one line, one in ten is longer than four."""
HOST_LINES: Final = (1, 8)
WHOLE_HOST: Final = 0.3
"""Share of spliced dialogues that stand in a whole article; the others stand beside a run of so many of its lines. Extractors leave such
documents, and without them the neighbours outweigh a headline that stands alone among consent text."""
EXCERPTS: Final = 3
EXCERPT_LINES: Final = 3
"""Excerpts of up to so many lines that are taken of each article: without them a document of one or two lines was always consent text."""
GLUED: Final = 0.1
"""Share of dialogues whose neighbouring buttons are joined without a space; 3 % of real consent lines are glued, most of them buttons."""
ONE_LINE: Final = 0.06
"""Share of dialogues that are joined into one line; 1 % of real consent lines are longer than 600 characters."""

PAGES: Final = 1.0
"""Whole pages for each dialogue: several articles and pieces of chrome laid after one another, with little consent text or none. Most lines of a
real page are far from any consent text; without such documents a run of doubtful lines becomes consent text by its neighbours."""
PAGE_PARTS: Final = (2, 5)
"""Documents that a page is laid together of; a real page has 150 lines."""
HARD_PAGES: Final = 0.1
"""Share of the pages that are about what consent text is about."""
CONSENT_OF_A_PAGE: Final = (0, 1, 1, 2, 3)
"""Places of a page with consent text, drawn evenly."""
LONE: Final = ("footer", "us-opt-out")
"""Families whose buttons mean something alone: "Cookie settings" in a footer, "Do not sell ..."."""

SLOT: Final = re.compile(r"\{([a-z_]+)\}")
SAME_IN_A_DOCUMENT: Final = ("company", "site")
NEUTRAL: Final = "und"
"""Key of the slot values that fit every language."""


class Slots:
    """Values of the slots of patterns, by language, and the facts of real cookies.

    Parameters
    ----------
    values : dict of str to dict of str to list of str
        Language to slot to values; the language "und" holds those that fit all.
    cookies : list of dict
        Rows with name, provider, purpose (in English) and duration.
    """

    def __init__(self, values: dict[str, dict[str, list[str]]], cookies: list[dict[str, str]]) -> None:
        self.values = values
        self.cookies = cookies

    @classmethod
    def read(cls, data: str | Path) -> Slots:
        """Read ``slots.json`` and ``cookies.csv`` of a data folder."""
        data = Path(data)
        with open(data / "cookies.csv", encoding="utf-8", newline="") as file:
            cookies = list(csv.DictReader(file))
        return cls(json.loads((data / "slots.json").read_text(encoding="utf-8")), cookies)

    def fill(self, document: LabelledDocument, rng: random.Random) -> LabelledDocument:
        """Replace every slot of a document by a value; company and site stay the same throughout, a cookie keeps its provider."""
        same: dict[str, str] = {}

        def fill_text(text: str) -> str:
            cookie = rng.choice(self.cookies)

            def value(match: re.Match[str]) -> str:
                name = match[1]
                if name in same:
                    return same[name]
                if name == "cookie":
                    return expand(cookie["name"], rng)
                if name == "provider":
                    return cookie["provider"]
                if name in ("n", "partners"):
                    return str(rng.randint(2, 48) if name == "n" else rng.choice((rng.randint(3, 60), rng.randint(61, 999), rng.randint(1000, 1800))))
                choices = self.values.get(document.lang, {}).get(name) or self.values[NEUTRAL].get(name)
                if not choices:
                    raise DatasetError(f"{document.place}: no values for the slot {{{name}}} in {document.lang!r}; add them to slots.json")
                chosen = rng.choice(choices)
                if name in SAME_IN_A_DOCUMENT:
                    same[name] = chosen
                return chosen

            return SLOT.sub(value, text)

        paragraphs = tuple(replace(p, text=fill_text(p.text)) for p in document.paragraphs)
        return _with(document, document.id, paragraphs)


def _with(document: LabelledDocument, name: str, paragraphs: tuple[LabelledParagraph, ...]) -> LabelledDocument:
    return LabelledDocument(name, document.lang, document.source, document.group, paragraphs, document.place, document.family)


def _draw(rng: random.Random, choices: Sequence[tuple[str, float]]) -> str:
    return rng.choices([name for name, _ in choices], [weight for _, weight in choices])[0]


def is_dialogue(document: LabelledDocument) -> bool:
    """Whether a document holds consent text only."""
    return all(p.label == "boilerplate" for p in document.paragraphs)


def is_article(document: LabelledDocument) -> bool:
    """Whether a document holds no consent text."""
    return all(p.label != "boilerplate" for p in document.paragraphs)


def glue(paragraphs: Sequence[LabelledParagraph]) -> tuple[LabelledParagraph, ...]:
    """Join neighbouring buttons into one paragraph, without a space, as extractors do."""
    glued: list[LabelledParagraph] = []
    for p in paragraphs:
        if glued and p.kind == glued[-1].kind == "button":
            glued[-1] = LabelledParagraph(glued[-1].text + p.text, p.label, p.kind)
        else:
            glued.append(p)
    return tuple(glued)


def join(paragraphs: Sequence[LabelledParagraph]) -> tuple[LabelledParagraph, ...]:
    """Join a dialogue into one paragraph."""
    return (LabelledParagraph(" ".join(p.text for p in paragraphs), "boilerplate", paragraphs[0].kind),)


def compose(documents: Sequence[LabelledDocument], slots: Slots, seed: int, hosts: Sequence[LabelledDocument] = ()) -> list[LabelledDocument]:
    """Make training documents of authored ones.

    Parameters
    ----------
    documents : sequence of LabelledDocument
        Authored documents, with slots.
    slots : Slots
    seed : int
    hosts : sequence of LabelledDocument
        More articles that dialogues are spliced into; they are not documents of the result by themselves.

    Returns
    -------
    list of LabelledDocument
        Each document filled (`COPIES` times if it has slots), excerpts of each article, then each dialogue spliced into `SPLICES` articles and
        into a whole page. A spliced document belongs to the dialogue's group: its wording is what must not be split.
    """
    rng = random.Random(seed)
    composed: list[LabelledDocument] = []
    for document in documents:
        has_slots = any(SLOT.search(p.text) for p in document.paragraphs)
        copies = range(COPIES if has_slots else 1)
        composed.extend(slots.fill(_with(document, f"{document.id}~{copy}", document.paragraphs), rng) for copy in copies)
    articles = defaultdict(list)
    for document in [*documents, *hosts]:
        if is_article(document):
            articles[document.lang].append(document)
    plain = {lang: [d for d in some if not any(p.hard for p in d.paragraphs)] for lang, some in articles.items()}
    hard = {lang: [d for d in some if any(p.hard for p in d.paragraphs)] for lang, some in articles.items()}
    languages = sorted(articles)
    for document in documents:
        if is_article(document):
            for n in range(EXCERPTS):
                start = rng.randrange(len(document.paragraphs))
                excerpt = document.paragraphs[start : start + rng.randint(1, EXCERPT_LINES)]
                composed.append(slots.fill(_with(document, f"{document.id}-{n}", excerpt), rng))
    dialogues = [document for document in documents if is_dialogue(document)]
    for document in dialogues if languages else ():
        for n in range(SPLICES):
            lang = document.lang if document.lang in articles and rng.random() >= OTHER_LANGUAGE else rng.choice(languages)
            host = _host(slots.fill(rng.choice(articles[lang]), rng).paragraphs, rng)
            at = _place(len(host), rng)
            composed.append(_with(document, f"{document.id}+{n}", (*host[:at], *_cut(slots.fill(document, rng), rng), *host[at:])))
        if document.lang in articles and rng.random() < PAGES:
            about_consent = hard[document.lang] if rng.random() < HARD_PAGES else []
            parts = [
                slots.fill(rng.choice(about_consent or plain[document.lang] or articles[document.lang]), rng).paragraphs
                for _ in range(rng.randint(*PAGE_PARTS))
            ]
            page = [p for part in parts for p in part]
            for _ in range(rng.choice(CONSENT_OF_A_PAGE)):
                at = _place(len(page), rng)
                page[at:at] = _cut(slots.fill(document, rng), rng)
            composed.append(_with(document, f"{document.id}#", tuple(page)))
    return composed


def _host(article: tuple[LabelledParagraph, ...], rng: random.Random) -> tuple[LabelledParagraph, ...]:
    """Take an article whole, or a run of its lines."""
    if rng.random() < WHOLE_HOST:
        return article
    start = rng.randrange(len(article))
    return article[start : start + rng.randint(*HOST_LINES)]


def _place(n: int, rng: random.Random) -> int:
    """Number of the line that consent text is put before."""
    position = _draw(rng, POSITIONS)
    return {"start": 0, "end": n, "middle": rng.randint(0, n)}[position]


def _cut(document: LabelledDocument, rng: random.Random) -> tuple[LabelledParagraph, ...]:
    """Take a run of a dialogue, or a single self-sufficient line, perhaps glued or joined."""
    dialogue = document.paragraphs
    run = _draw(rng, RUNS)
    if run == "line":
        telling = [p for p in dialogue if len(p.text) >= TELLING.get(p.kind or "", 40) or (p.kind == "button" and document.family in LONE)]
        if telling:
            return (rng.choice(telling),)
    if run == "part" and len(dialogue) > 2:
        start = rng.choice((0, rng.randint(0, len(dialogue) - 2)))
        dialogue = dialogue[start : start + rng.randint(2, 6)]
    chance = rng.random()
    if chance < ONE_LINE:
        return join(dialogue)
    return glue(dialogue) if chance < ONE_LINE + GLUED else dialogue


TELLING: Final = {"form": 12, "opt_out": 12, "embed": 20, "banner": 20, "wall": 30, "preference": 40, "button": 1000}
"""A single line of a dialogue stands in an article only if it has so many characters, by its kind; buttons only of families in `LONE`: "OK" alone is
an article's own."""
