"""Read labelled documents and check every row; each defect is reported with its file and line."""

from __future__ import annotations

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

LABELS: Final = ("article", "boilerplate", "other", "unsure")
"""What a paragraph may be labelled: "other" (the site's chrome) counts as article in training and is left out of false removals,
"unsure" is left out of everything."""
KINDS: Final = ("banner", "preference", "button", "opt_out", "embed", "form", "wall")
MOST_DEFECTS: Final = 20
"""So many defects are listed in one error; the others are counted."""


class DatasetError(ValueError):
    """Labelled data that can't be used; the message lists the defects with file and line."""


@dataclass(frozen=True, slots=True)
class LabelledParagraph:
    """One line of a document with its label.

    `hard` marks an article paragraph that shares its words with consent text; `generic` a consent label that means nothing outside a dialogue.
    """

    text: str
    label: str
    kind: str | None = None
    hard: bool = False
    generic: bool = False


@dataclass(frozen=True, slots=True)
class LabelledDocument:
    """A document with the label of each paragraph.

    Attributes
    ----------
    id, lang, source : str
    group : str
        What is never split between training and test: the site, or else the document.
    paragraphs : tuple of LabelledParagraph
    place : str
        File and line that it was read from.
    family : str or None
        Family of wording or of article, in authored documents.
    """

    id: str
    lang: str
    source: str
    group: str
    paragraphs: tuple[LabelledParagraph, ...]
    place: str = ""
    family: str | None = None


@dataclass
class Defects:
    """What is wrong with the rows of files, gathered so that one error lists it all."""

    found: list[str] = field(default_factory=list)

    def add(self, place: str, why: str) -> None:
        """Take note of a defect."""
        self.found.append(f"{place}: {why}")

    def raise_if_any(self) -> None:
        """Raise `DatasetError` with file and line of each, or of the first `MOST_DEFECTS`, if there are any."""
        if self.found:
            more = len(self.found) - MOST_DEFECTS
            tail = f"\n... and {more} more" if more > 0 else ""
            raise DatasetError(f"{len(self.found)} defects in the labelled data:\n" + "\n".join(self.found[:MOST_DEFECTS]) + tail)


def digest(path: str | Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_documents(paths: Iterable[str | Path], *, source: str | None = None, join_lines: bool = False) -> list[LabelledDocument]:
    """Read labelled documents from JSONL files, plain or ``.gz``.

    A line is a document, ``{"id", "lang", "source", "site"?, "paragraphs": [{"text", "label", "kind"?, "hard"?}]}``, or one paragraph in the
    flat form, ``{"text", "label", "document"?, "lang"?, "kind"?, "site"?, "source"?}``; neighbouring flat lines of one ``document`` make a
    document, and without that field each is a document of its own.

    Parameters
    ----------
    paths : iterable of path
    source : str, optional
        Source of documents that name none; by default the file's name.
    join_lines : bool
        Make a line end inside a paragraph a space, instead of calling it a defect.

    Returns
    -------
    list of LabelledDocument

    Raises
    ------
    DatasetError
        With file and line for each defect: no JSON, no text, blank text, a line end inside a paragraph, an unknown label or kind, an id used
        twice, or the same paragraph between the same neighbours labelled both ways.
    """
    defects = Defects()
    documents: list[LabelledDocument] = []
    for path in paths:
        documents.extend(_read_file(Path(path), source or Path(path).name.split(".")[0], defects, join_lines=join_lines))
    _check_ids(documents, defects)
    _check_contradictions(documents, defects)
    defects.raise_if_any()
    return documents


def _read_file(path: Path, source: str, defects: Defects, *, join_lines: bool) -> Iterator[LabelledDocument]:
    flat: list[LabelledParagraph] = []
    flat_key: tuple[Any, ...] | None = None
    flat_place = ""

    def finish() -> Iterator[LabelledDocument]:
        if flat and flat_key is not None:
            name, lang, origin, group = flat_key
            yield LabelledDocument(name, lang, origin, group, tuple(flat), flat_place)
        flat.clear()

    for number, record in _records(path, defects):
        place = f"{path}:{number}"
        if "paragraphs" in record:
            yield from finish()
            document = _document(record, place, source, defects)
            if document is not None:
                yield document
            continue
        if join_lines and isinstance(record.get("text"), str):
            record["text"] = record["text"].replace("\n", " ")
        paragraph = _paragraph(record, place, defects)
        if paragraph is None:
            continue
        name = str(record.get("document") or f"{path.name}:{number}")
        origin = str(record.get("source") or source)
        key = (name, str(record.get("lang") or "und"), origin, f"{origin}/{record.get('site') or name}")
        if key != flat_key or not record.get("document"):
            yield from finish()
            flat_key, flat_place = key, place
        flat.append(paragraph)
    yield from finish()


def _records(path: Path, defects: Defects) -> Iterator[tuple[int, dict[str, Any]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    record = json.loads(line)
                except ValueError as error:
                    defects.add(f"{path}:{number}", f"no JSON: {error}")
                    continue
                if not isinstance(record, dict):
                    defects.add(f"{path}:{number}", f"a {type(record).__name__}, expected an object")
                    continue
                yield number, record
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: can't be read as labelled JSONL ({type(error).__name__}: {error})") from error


def _document(record: dict[str, Any], place: str, source: str, defects: Defects) -> LabelledDocument | None:
    rows = record["paragraphs"]
    if not isinstance(rows, list):
        defects.add(place, f"'paragraphs' is a {type(rows).__name__}, expected a list")
        return None
    paragraphs = [_paragraph(row, f"{place}, paragraph {i}", defects) for i, row in enumerate(rows, 1)]
    name = str(record.get("id") or record.get("page") or place)
    origin = str(record.get("source") or source)
    family = record.get("family")
    group = str(record.get("site") or "") or f"{origin}/{name}"
    return LabelledDocument(
        name, str(record.get("lang") or "und"), origin, group, tuple(p for p in paragraphs if p is not None), place, family and str(family)
    )


def _paragraph(row: Any, place: str, defects: Defects) -> LabelledParagraph | None:
    if not isinstance(row, dict):
        defects.add(place, f"a {type(row).__name__}, expected an object with text and label")
        return None
    text, label, kind = row.get("text"), row.get("label"), row.get("kind")
    if not isinstance(text, str):
        defects.add(place, f"'text' is {type(text).__name__}, expected str")
    elif not text.strip():
        defects.add(place, "the text is blank; leave the paragraph out")
    elif "\n" in text:
        defects.add(place, "the text has a line end inside; a paragraph is one line, so make it several")
    elif label not in LABELS:
        defects.add(place, f"label {label!r}, expected one of {', '.join(LABELS)}")
    elif label == "boilerplate" and kind is not None and kind not in KINDS:
        defects.add(place, f"kind {kind!r}, expected one of {', '.join(KINDS)}")
    else:
        return LabelledParagraph(text, label, kind, bool(row.get("hard")), bool(row.get("generic")))
    return None


def _check_ids(documents: Sequence[LabelledDocument], defects: Defects) -> None:
    seen: dict[tuple[str, str], str] = {}
    for document in documents:
        key = (document.source, document.id)
        if key in seen:
            defects.add(document.place, f"the id {document.id!r} stands at {seen[key]} too")
        seen.setdefault(key, document.place)


def _check_contradictions(documents: Sequence[LabelledDocument], defects: Defects) -> None:
    """The same text between the same neighbours can't be both; "Confirm" before "Cancel" with nothing else is too little to tell."""
    seen: dict[tuple[str, str, str], tuple[bool, str]] = {}
    for document in documents:
        texts = [p.text for p in document.paragraphs]
        for i, p in enumerate(document.paragraphs):
            if p.label == "unsure" or i == 0 or i == len(texts) - 1:
                continue
            context = (texts[i - 1], p.text, texts[i + 1])
            is_boilerplate = p.label == "boilerplate"
            before = seen.setdefault(context, (is_boilerplate, f"{document.place}, paragraph {i + 1}"))
            if before[0] != is_boilerplate and sum(map(len, context)) >= CONTEXT_CHARACTERS:
                defects.add(
                    f"{document.place}, paragraph {i + 1}",
                    f"{p.text[:60]!r} is {p.label} here, and the other label between the same neighbours at {before[1]}",
                )


CONTEXT_CHARACTERS: Final = 120
"""A paragraph and its neighbours must have so many characters in all for two labels to be called a contradiction: three short labels in a
row stand in a consent dialogue on one site and in a contact form on another."""


def check_splits(splits: dict[str, Sequence[LabelledDocument]]) -> None:
    """Make sure that no site is in two splits: a vendor's wording repeats, so figures would be too good.

    Raises
    ------
    DatasetError
        With file and line of both.
    """
    seen: dict[str, tuple[str, str]] = {}
    defects = Defects()
    reported = set()
    for name, documents in splits.items():
        for document in documents:
            before = seen.setdefault(document.group, (name, document.place))
            if before[0] != name and document.group not in reported:
                reported.add(document.group)
                defects.add(document.place, f"site {document.group!r} is in {name} and in {before[0]} ({before[1]}); keep a site in one of them")
    defects.raise_if_any()
