"""What annotation files hold, whatever tool wrote them: texts, and what annotators marked in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from training.dataset import KINDS, LABELS, Defects
from training.marks import Mark

CONTEXT: Final = ("task", "document", "site", "lang", "before", "after")
"""Fields of a task that `consent-training suggest` writes and that say where a text is from; files of other makers may have them too."""
IGNORED: Final = "ignore"
"""What a label is mapped to that says nothing of consent text."""
Rows = Iterable[tuple[str, Any]]


class Item(NamedTuple):
    """A text, and what one or several annotators said of it.

    Attributes
    ----------
    place : str
        File, and line or number of the task.
    format : str
    identity : tuple or None
        Items with the same one are annotations of one task.
    text : str
    context : dict
        Those fields of `CONTEXT` that it has.
    votes : list of list of Mark
        One for each annotator; an empty one looked at the text and marked nothing.
    """

    place: str
    format: str
    identity: tuple[object, ...] | None
    text: str
    context: dict[str, str]
    votes: list[list[Mark]]


@dataclass
class Reading:
    """How to read annotation files, and what was found in them.

    Attributes
    ----------
    names : mapping of str to str
        Labels of the files, to a label, a kind or "ignore"; ours need not be named.
    text_field : str
    label_field : str or None
        None for the usual one of each tool.
    defects : Defects
    left, noted : Counter of str
        What was left out, and what was taken in a way to be told, by reason.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    text_field: str = "text"
    label_field: str | None = None
    defects: Defects = field(default_factory=Defects)
    left: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)

    def known(self, name: object) -> tuple[str, str | None] | None:
        """Label and kind that a name stands for; ("ignore", None) where it says nothing, None if it isn't known."""
        given = str(name).strip()
        target = self.names.get(given, given).casefold().replace("-", "_").replace(" ", "_")
        if target in KINDS:
            return "boilerplate", target
        return (target, None) if target in LABELS or target == IGNORED else None

    def marks(self, names: Iterable[object], place: str, start: int = 0, end: int | None = None) -> list[Mark]:
        """A mark for each name; an unknown one is a defect."""
        found = []
        for name in names:
            target = self.known(name)
            if target is None:
                self.defects.add(
                    place, f"label {str(name)!r}, expected one of {', '.join(LABELS + KINDS)}; say what it means, as --map '{name}=boilerplate'"
                )
            elif target[0] == IGNORED:
                self.noted["labels ignored"] += 1
            else:
                found.append(Mark(*target, start, end))
        return found

    def span(self, names: Iterable[object], text: str, start: Any, end: Any, place: str, said: object = None) -> list[Mark]:
        """Marks of a part of a text, which the tool may have said too; it tells offsets in code points from those in UTF-16."""
        if type(start) is not int or type(end) is not int or not 0 <= start <= end:
            self.defects.add(place, f"a span from {start!r} to {end!r}, expected two offsets in characters")
            return []
        if isinstance(said, str) and said and said.replace("\\n", "\n") != text[start:end]:
            wide = text.encode("utf-16-le", "surrogatepass")
            if wide[2 * start : 2 * end] == said.encode("utf-16-le", "surrogatepass"):
                start, end = (len(wide[: 2 * i].decode("utf-16-le", "surrogatepass")) for i in (start, end))
                self.noted["spans counted in UTF-16"] += 1
            else:
                self.defects.add(place, f"the span {start} to {end} is {text[start:end][:40]!r}, but its text {said[:40]!r}")
                return []
        if end > len(text):
            self.defects.add(place, f"the span {start} to {end} ends after the text, which has {len(text)} characters")
            return []
        return self.marks(names, place, start, end) if start < end else []

    def text_of(self, record: Mapping[str, Any], place: str) -> str | None:
        """The text of a task; None, once it is reported, if it has none."""
        text = record.get(self.text_field)
        if isinstance(text, str) and text.strip():
            return text
        if isinstance(text, str):
            self.left["blank"] += 1
        elif self.text_field in record:
            self.defects.add(place, f"{self.text_field!r} is {type(text).__name__}, expected str")
        else:
            self.defects.add(place, f"no field {self.text_field!r}, only {', '.join(map(repr, record))}; name the text's field with --text-field")
        return None

    def not_an_object(self, record: object, place: str) -> bool:
        """Whether a row is no object, which is a defect."""
        if not isinstance(record, dict):
            self.defects.add(place, f"a {type(record).__name__}, expected an object")
        return not isinstance(record, dict)


def context_of(*records: Mapping[str, Any]) -> dict[str, str]:
    """What tasks say of where their text is from; the first record that has a field gives it."""
    found = [(name, record.get(name)) for record in reversed(records) for name in CONTEXT]
    return {name: str(value) for name, value in found if isinstance(value, str | int) and value != ""}


def identity_of(context: Mapping[str, str], *otherwise: object) -> tuple[object, ...] | None:
    """What several annotations of one task have in common: its name, or else what the tool calls it; None where that says nothing."""
    if "task" in context:
        return ("task", context["task"])
    return otherwise if all(isinstance(part, str | int) for part in otherwise) else None
