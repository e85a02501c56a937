"""Read the exports of Label Studio, doccano and Prodigy, fastText and CSV; each tool's own rules on what counts are kept here."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from detector.files import name_of, opened
from training.annotations import CONTEXT, Item, Reading, Rows, context_of, identity_of
from training.dataset import KINDS, DatasetError
from training.marks import Mark

FORMATS: Final = ("label-studio", "doccano", "prodigy", "fasttext", "csv")
OTHER_CLASS: Final = {"article": "boilerplate", "boilerplate": "article"}
OF_MIN: Final = frozenset(
    (*CONTEXT, "text", "id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "guess", "place", "kind", "source")
)
"""Fields of Label Studio's JSON-MIN that hold no label, whatever they say."""
LABEL_KEYS: Final = ("choices", "labels", "hypertextlabels")
"""Where Label Studio keeps the names of a result."""
PREFIX: Final = "__label__"
COMMENT: Final = " __comment__"
"""doccano puts comments behind the text of a fastText line."""


def read_items(path: str, given: str | None, reading: Reading) -> tuple[str, list[Item], int]:
    """Read an annotation file.

    Parameters
    ----------
    path : str
        It may be compressed; ``-`` is standard input.
    given : str or None
        One of `FORMATS`; by default it is told by what is in it.
    reading : Reading
        Defects and what is left out are noted in it.

    Returns
    -------
    format : str
    items : list of Item
    n_rows : int
        Tasks, lines or rows of the file.

    Raises
    ------
    DatasetError
        If the file can't be read, or if it can't be told what it is.
    """
    with opened(path) as (file, _):
        raw = file.read()
    name = name_of(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DatasetError(f"{name}: not UTF-8 (byte {error.start} is 0x{raw[error.start]:02x}); convert it, for example with iconv") from error
    may_be_json = given not in {"fasttext", "csv"} and text.lstrip()[:1] in {"[", "{"}
    rows = list(_json_rows(name, text, reading)) if may_be_json else []
    chosen = given or _told(name, text, [row for _, row in rows if isinstance(row, dict)], reading)
    if chosen in {"fasttext", "csv"}:
        rows = list(_fasttext_rows(name, text) if chosen == "fasttext" else _csv_rows(name, text, reading))
    elif not rows and text.strip():
        raise DatasetError(f"{name}: not JSON (starts with {text.strip()[:20]!r}), so no file of {chosen}; name another with --format")
    return chosen, list(READERS[chosen](rows, reading)), len(rows)


def _told(name: str, text: str, rows: list[dict[str, Any]], reading: Reading) -> str:
    """Which tool wrote a file."""
    if rows:
        first = rows[0]
        if "paragraphs" in first:
            raise DatasetError(f"{name}: these are labelled documents already; give them to consent-training fit --labelled")
        if isinstance(first.get("data"), dict) or "annotation_id" in first:
            return "label-studio"
        return "prodigy" if {"answer", "_input_hash", "_task_hash"} & first.keys() else "doccano"
    head = text.lstrip().partition("\n")[0]
    if any(f"\n{mark}{PREFIX}" in f"\n{text}" for mark in ("", '"')):
        return "fasttext"
    if reading.text_field in next(csv.reader([head], _dialect(head)), []):
        return "csv"
    raise DatasetError(f"{name}: can't tell what wrote this (starts with {head[:40]!r}); name it with --format {', '.join(FORMATS)}")


def _json_rows(name: str, text: str, reading: Reading) -> Iterator[tuple[str, Any]]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        if text.lstrip().startswith("["):
            raise DatasetError(f"{name}: not JSON ({error})") from error
        whole = None
    if isinstance(whole, list):
        yield from ((f"{name}, task {i}", row) for i, row in enumerate(whole, 1))
        return
    for number, line in enumerate(text.split("\n") if whole is None else [text], 1):
        if line.strip():
            try:
                yield f"{name}:{number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                reading.defects.add(f"{name}:{number}", f"no JSON: {error}")


def _label_studio(rows: Rows, reading: Reading) -> Iterator[Item]:
    for place, task in rows:
        if reading.not_an_object(task, place):
            continue
        full = isinstance(task.get("data"), dict)
        text = reading.text_of(task["data"] if full else task, place)
        if text is None:
            continue
        results = _results_of_annotations(task, place, reading) if full else _results_of_min(task, reading)
        if results is None:
            continue
        votes = [_label_studio_marks(result, text, place, reading) for result in results]
        context = context_of(task["data"] if full else task)
        yield Item(place, "label-studio", identity_of(context, "label-studio", task.get("id"), text), text, context, votes)


def _results_of_annotations(task: dict[str, Any], place: str, reading: Reading) -> list[list[Any]] | None:
    """The results that count: of annotations that weren't cancelled, those called ground truth if there are any; never of predictions."""
    annotations = task.get("annotations", task.get("completions")) or []
    if not isinstance(annotations, list) or not all(isinstance(a, dict) for a in annotations):
        reading.defects.add(place, "'annotations' is no list of objects; export as JSON, with the annotations in full")
        return None
    live = [a for a in annotations if not (a.get("was_cancelled") or a.get("skipped"))]
    if not live:
        reading.left["cancelled" if annotations else "not annotated"] += 1
        return None
    reading.noted["cancelled annotations beside others"] += len(annotations) - len(live)
    truth = [a for a in live if a.get("ground_truth")]
    reading.noted["annotations that a ground truth overrules"] += len(live) - len(truth) if truth else 0
    return [a.get("result") or [] for a in truth or live]


def _results_of_min(task: dict[str, Any], reading: Reading) -> list[list[Any]] | None:
    """The result of a row of JSON-MIN, which has a field for each control, in the form of the full export."""
    if task.get("annotation_id") is None:
        reading.left["not annotated"] += 1
        return None
    found = []
    for name, value in task.items():
        is_named = name == (reading.label_field or "label")
        if is_named or (not reading.label_field and name not in OF_MIN and name != reading.text_field and _is_result(value, reading)):
            values = value if isinstance(value, list) else [value]
            found += [{"from_name": name, "value": v if isinstance(v, dict) else {"choices": [v]}} for v in values]
    return [found]


def _is_result(value: object, reading: Reading) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(v, dict) and any(key in v for key in LABEL_KEYS) for v in value)
    if isinstance(value, dict):
        return "choices" in value
    return isinstance(value, str) and reading.known(value) is not None


def _label_studio_marks(results: list[Any], text: str, place: str, reading: Reading) -> list[Mark]:
    marks: list[Mark] = []
    for result in results:
        value = result.get("value") if isinstance(result, dict) else None
        value = value if isinstance(value, dict) else {}
        names = next((value[key] for key in LABEL_KEYS if key in value), None)
        if names is None or (reading.label_field and result.get("from_name") != reading.label_field):
            reading.noted["results of other controls"] += 1
            continue
        names = names if isinstance(names, list) else [names]
        everywhere = value.get("globalOffsets")  # of HyperText, whose start and end are within an element
        offsets = everywhere if isinstance(everywhere, dict) else value
        if "start" in offsets:
            marks += reading.span(names, text, offsets["start"], offsets.get("end"), place, value.get("text"))
        else:
            marks += reading.marks(names, place)
    return marks


def _doccano(rows: Rows, reading: Reading) -> Iterator[Item]:
    for place, record in rows:
        if reading.not_an_object(record, place):
            continue
        text = reading.text_of(record, place)
        if text is None:
            continue
        fields = [reading.label_field] if reading.label_field else ["label", "labels", "cats", "entities"]
        present = [record[name] for name in fields if name in record]
        if not present:
            reading.defects.add(place, f"no field {fields[0]!r}, only {', '.join(map(repr, record))}; name it with --label-field")
            continue
        labels = [label for value in present for label in (value if isinstance(value, list) else [value]) if label or label == 0]
        marks = _doccano_marks(labels, text, place, reading)
        if not labels:  # doccano writes the same for a text that nobody has seen and for one in which nothing was marked
            reading.left["without a label"] += 1
            continue
        context = context_of(record)
        yield Item(place, "doccano", identity_of(context, "doccano", record.get("id"), text), text, context, [marks])


def _doccano_marks(labels: list[Any], text: str, place: str, reading: Reading) -> list[Mark]:
    marks: list[Mark] = []
    for label in labels:
        if isinstance(label, list) and len(label) == 3:
            marks += reading.span([label[2]], text, label[0], label[1], place)
        elif isinstance(label, dict) and "start_offset" in label:
            marks += reading.span([label.get("label")], text, label["start_offset"], label.get("end_offset"), place)
        else:
            marks += reading.marks([label], place)
    return marks


def _prodigy(rows: Rows, reading: Reading) -> Iterator[Item]:
    for place, record in rows:
        if reading.not_an_object(record, place):
            continue
        answer = record.get("answer")
        text = reading.text_of(record, place)
        if text is None:
            continue
        if answer in ("ignore", None):
            reading.left["ignored" if answer else "not annotated"] += 1
            continue
        if answer not in ("accept", "reject"):
            reading.defects.add(place, f"answer {answer!r}, expected accept, reject or ignore")
            continue
        marks = _prodigy_marks(record, text, place, reading)
        if marks is None:
            continue
        meta = record.get("meta")
        context = context_of(record, meta if isinstance(meta, dict) else {})
        identity = identity_of(context, "prodigy", record.get("_input_hash"), text, context.get("document", ""))
        yield Item(place, "prodigy", identity, text, context, [marks])


def _prodigy_marks(record: dict[str, Any], text: str, place: str, reading: Reading) -> list[Mark] | None:
    """Marks of an answer, None for one that says nothing of the text; spans beside a label or options are what a pattern found."""
    is_rejected = record["answer"] == "reject"
    label = record.get(reading.label_field or "label")
    if isinstance(record.get("options"), list):
        shown = {str(o.get("id")): o.get("text") for o in record["options"] if isinstance(o, dict)}
        accepted = record.get("accept")
        chosen = accepted if isinstance(accepted, list) else [] if accepted is None else [accepted]
        if is_rejected or not chosen:
            reading.left["rejected, which names no other class" if is_rejected else "without a label"] += 1
            return None
        return reading.marks([c if reading.known(c) else shown.get(str(c)) or c for c in chosen], place)
    if isinstance(label, str) and label:
        marks = reading.marks([label], place)
        if not is_rejected:
            return marks
        other = OTHER_CLASS.get(marks[0].label) if marks and marks[0].kind is None else None
        if marks and other is None:
            reading.left["rejected, which names no other class"] += 1
        reading.noted["rejected labels taken as the other class"] += other is not None
        return [Mark(other)] if other else None
    if isinstance(record.get("spans"), list) and not is_rejected:
        marks = []
        for span in record["spans"]:
            if not reading.not_an_object(span, place):
                marks += reading.span([span.get("label")], text, span.get("start"), span.get("end"), place)
        return marks
    reading.left["rejected, which names no other class" if is_rejected else "without a label"] += 1
    return None


def _fasttext_rows(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Lines; doccano writes them as CSV, so that those with a comma or a line end are quoted."""
    if f'\n"{PREFIX}' in f"\n{text}":
        reader = csv.reader(io.StringIO(text, newline=""))
        yield from ((f"{name}:{reader.line_num}", ",".join(row)) for row in reader if any(row))
    else:
        yield from ((f"{name}:{number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def _fasttext(rows: Rows, reading: Reading) -> Iterator[Item]:
    for place, line in rows:
        names, rest = [], line.strip().partition(COMMENT)[0]
        while rest.startswith(PREFIX):
            label, _, rest = rest.partition(" ")
            names.append(label.removeprefix(PREFIX))
        text = reading.text_of({reading.text_field: rest.strip()}, place)
        if text is None:
            continue
        if not names:
            reading.left["without a label"] += 1
            continue
        marks = reading.marks(names, place)
        yield Item(place, "fasttext", None, text, {}, [marks])


def _dialect(head: str) -> type[csv.Dialect]:
    class Dialect(csv.excel):
        delimiter = max(",;\t", key=head.count)

    return Dialect


def _csv_rows(name: str, text: str, reading: Reading) -> Iterator[tuple[str, dict[str, str]]]:
    before = csv.field_size_limit(max(len(text), 1))
    reader = csv.DictReader(io.StringIO(text, newline=""), dialect=_dialect(text.partition("\n")[0]))
    try:
        for row in reader:
            if None in row:
                reading.defects.add(f"{name}:{reader.line_num}", "more columns than the first line names; put texts with commas into quotes")
            else:
                yield f"{name}:{reader.line_num}", row
    except csv.Error as error:
        reading.defects.add(f"{name}:{reader.line_num}", f"no CSV: {error}")
    finally:
        csv.field_size_limit(before)


def _csv(rows: Rows, reading: Reading) -> Iterator[Item]:
    field_name = reading.label_field or "label"
    for place, row in rows:
        if "annotation_id" in row:  # Label Studio's CSV has the columns of its JSON-MIN
            yield from _label_studio([(place, {name: _decoded(value) for name, value in row.items()})], reading)
            continue
        text = reading.text_of(row, place)
        if text is None:
            continue
        if field_name not in row:
            reading.defects.add(place, f"no column {field_name!r}, only {', '.join(map(repr, row))}; name it with --label-field")
            continue
        label = (row[field_name] or "").strip()
        if not label:
            reading.left["without a label"] += 1
            continue
        marks = reading.marks([label] if reading.known(label) else label.split("#"), place)  # doccano joins several by #
        kind = (row.get("kind") or "").strip()
        if kind and kind not in KINDS:
            reading.defects.add(place, f"kind {kind!r}, expected one of {', '.join(KINDS)}")
        elif kind:
            marks = [mark._replace(kind=kind) if mark.label == "boilerplate" else mark for mark in marks]
        context = context_of(row)
        yield Item(place, "csv", identity_of(context, None), text, context, [marks])


def _decoded(value: str | None) -> Any:
    """A cell of Label Studio's CSV: what is no single name is JSON."""
    try:
        return json.loads(value) if value and value[0] in "[{" else value or None
    except ValueError:
        return value


READERS: Final[dict[str, Callable[[Rows, Reading], Iterator[Item]]]] = {
    "label-studio": _label_studio,
    "doccano": _doccano,
    "prodigy": _prodigy,
    "fasttext": _fasttext,
    "csv": _csv,
}
