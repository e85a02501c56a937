"""The command ``consent-training import``: labels of annotation tools to labelled documents."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from inspect import cleandoc
from typing import Any, Final

from detector.corpus import json_line, written
from detector.files import name_of
from training.annotations import IGNORED, Item, Reading
from training.dataset import CONTEXT_CHARACTERS, KINDS, LABELS, DatasetError
from training.marks import paragraphs_of
from training.tools import FORMATS, read_items

UNMARKED: Final = ("auto", "article", "other", "unsure")

Document = dict[str, Any]


def add_command(commands: Any) -> None:
    """Add the command to those of ``consent-training``."""
    importing = commands.add_parser(
        "import",
        help="make labelled documents of what annotation tools export",
        description=cleandoc(str(run.__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Try: consent-training import export.json --map Consent=boilerplate Content=article -o labelled.jsonl\n"
        "then: consent-training fit --labelled labelled.jsonl -o mine.joblib",
    )
    importing.add_argument("files", nargs="+", metavar="FILE", help="export of a tool, also .gz or .zst; votes are counted over all files")
    importing.add_argument("-o", "--output", required=True, metavar="OUT", help="labelled documents (.jsonl, .jsonl.gz)")
    importing.add_argument("--format", choices=("auto", *FORMATS), default="auto", help="which tool wrote the files (default: what is in them tells)")
    importing.add_argument(
        "--map",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=LABEL",
        help=f"what a label of the files means: {', '.join(LABELS)}; {', '.join(KINDS)} (boilerplate of that kind); or {IGNORED}",
    )
    importing.add_argument("--text-field", default="text", metavar="NAME", help="field or column with the text (default: text)")
    importing.add_argument(
        "--label-field", metavar="NAME", help="field, column or Label Studio control with the label (default: label, or what holds known labels)"
    )
    importing.add_argument(
        "--unmarked",
        choices=UNMARKED,
        default=UNMARKED[0],
        help="label of lines that no span marks; auto (default) is article, or unsure in a file that marks articles too",
    )
    importing.add_argument("--lang", default="und", metavar="CODE", help="language of texts that name none (default: und)")
    importing.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make labelled documents of exports of Label Studio (JSON, JSON-MIN), doccano (JSONL, CSV), Prodigy, fastText, and CSV with text and label.

    What is no label is left out and counted: cancelled, skipped and ignored annotations, and what a model predicted. A label that was rejected
    in Prodigy means the other class. A text with several annotations has the label of more than half of them, else "unsure"; in Label Studio
    those called ground truth count alone. Lines of a text are its paragraphs; a line of which a span marks most has the span's label, and a line
    that is marked in part is cut. Tasks of consent-training suggest get their neighbours back, as "unsure". Every defect is reported with file
    and line or task, and then nothing is written.
    """
    reading = Reading(names_of(args.map), args.text_field, args.label_field)
    items: list[tuple[Item, str]] = []
    said = []
    for path in args.files:
        file_format, found, n_rows = read_items(path, None if args.format == "auto" else args.format, reading)
        items += with_unmarked(found, args.unmarked)
        said.append(f"{name_of(path)}: {file_format}, {n_rows:,} tasks or rows")
    reading.defects.raise_if_any()
    documents = documents_of(items, reading, args.lang)
    if not documents:
        raise DatasetError(f"no labels in {', '.join(args.files)} ({_counted(reading.left) or 'no tasks'}); nothing was written")
    with written(args.output) as out:
        out.writelines(json_line(document) + "\n" for document in documents)
    counts = Counter(p["label"] for document in documents for p in document["paragraphs"] if not p.get("context"))
    said.append(f"{args.output}: {len(documents):,} documents; labelled paragraphs: {_counted(Counter({name: counts[name] for name in LABELS}))}")
    said += [f"{what}: {_counted(counter)}" for what, counter in (("taken", reading.noted), ("left out", reading.left)) if _counted(counter)]
    print("\n".join(said))
    return 0


def _counted(counter: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {what}" for what, n in counter.items() if n)


def names_of(given: Iterable[str]) -> dict[str, str]:
    """Read the options ``NAME=LABEL``.

    Raises
    ------
    DatasetError
        If one is none, or names no label.
    """
    names = {}
    for pair in given:
        name, _, label = pair.rpartition("=")
        if not name or label not in {*LABELS, *KINDS, IGNORED}:
            raise DatasetError(f"--map {pair}: expected NAME=LABEL with one of {', '.join((*LABELS, *KINDS, IGNORED))}")
        names[name] = label
    return names


def with_unmarked(items: Sequence[Item], given: str = UNMARKED[0]) -> list[tuple[Item, str]]:
    """The items of a file, each with the label of what its annotators left unmarked; without one in a file without spans."""
    spans = {mark.label for item in items for vote in item.votes for mark in vote if mark.end is not None}
    if given == UNMARKED[0]:
        given = "unsure" if "article" in spans else "article"
    return [(item, given if spans else "") for item in items]


def documents_of(items: Iterable[tuple[Item, str]], reading: Reading, lang: str = "und") -> list[Document]:
    """Labelled documents, in the order of their first annotation.

    Parameters
    ----------
    items : iterable of (Item, str)
        With the label of what is unmarked.
    reading : Reading
        What is left out, and disagreements, are noted in it.
    lang : str
        Of texts that name none.
    """
    documents: list[Document] = []
    flat: tuple[str, ...] | None = None  # what neighbouring rows of one document have in common
    for group in _grouped(items):
        first, unmarked = group[0]
        votes = [vote for item, _ in group for vote in item.votes if vote or unmarked]
        if not votes:
            reading.left["without a label"] += 1
            continue
        paragraphs, agree = paragraphs_of(first.text, votes, unmarked or "unsure")
        if len(votes) > 1:
            reading.noted[f"texts with several annotations that {'agree' if agree else 'disagree'}"] += 1
        context = first.context
        lines = {side: [text for text in context.get(side, "").split("\n") if text.strip()] for side in ("before", "after")}
        before, after = ([{"text": text, "label": "unsure", "context": True} for text in lines[side]] for side in lines)
        name = context.get("task") or context.get("document") or first.place.rpartition("/")[2]
        document: Document = {"id": name, "lang": context.get("lang", lang), "source": first.format, "place": first.place}
        if "site" in context:
            document["site"] = context["site"]
        is_row = "document" in context and "task" not in context
        key = (first.format, name, document["lang"], context.get("site", "")) if is_row else None
        if key and key == flat:
            documents[-1]["paragraphs"] += paragraphs
        else:
            documents.append({**document, "paragraphs": [*before, *paragraphs, *after]})
        flat = key
    _name_apart(documents)
    reading.noted["paragraphs unsure because another task contradicts them"] += _settle(documents)
    return documents


def _grouped(items: Iterable[tuple[Item, str]]) -> list[list[tuple[Item, str]]]:
    """Items that are annotations of one task together."""
    groups: dict[tuple[object, ...], list[tuple[Item, str]]] = {}
    for number, (item, unmarked) in enumerate(items):
        key = (number,) if item.identity is None else (*item.identity, item.text)
        groups.setdefault(key, []).append((item, unmarked))
    return list(groups.values())


def _name_apart(documents: Sequence[Document]) -> None:
    """Give a document whose id another one has an id with its place."""
    seen = set()
    for document in documents:
        if (document["source"], document["id"]) in seen:
            document["id"] += f" ({document['place']})"
        seen.add((document["source"], document["id"]))


def _settle(documents: Sequence[Document]) -> int:
    """Make a paragraph "unsure" that has the other label between the same neighbours elsewhere, where they are text enough to tell; returns how many.

    Such labels are a disagreement of annotators who were shown the text in two tasks, and `read_documents` calls them a defect.
    """
    seen: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for document in documents:
        rows = document["paragraphs"]
        for before, row, after in zip(rows, rows[1:], rows[2:], strict=False):
            context = (before["text"], row["text"], after["text"])
            if row["label"] != "unsure" and sum(map(len, context)) >= CONTEXT_CHARACTERS:
                seen.setdefault(context, []).append(row)
    found = [row for rows in seen.values() if len({row["label"] == "boilerplate" for row in rows}) > 1 for row in rows]
    for row in found:
        row["label"] = "unsure"
        row.pop("kind", None)
    return len(found)
