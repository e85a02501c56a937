"""Filter the documents of a unit and write them in the format that they came in; what a worker does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np

from detector.corpus import (
    MAX_DOCUMENT_BYTES,
    CorpusError,
    Defect,
    Record,
    Unit,
    ascii_literal,
    fields_of,
    is_conversion,
    json_line,
    known_format,
    records_of,
    utf8_literal,
    values_of,
)
from detector.files import extra, packed
from detector.filtering import Detector, FilteredDocument

OUTPUTS: Final = ("text", "spans", "scores", "dolma")
"""What `filter` writes."""
DOLMA_ATTRIBUTE: Final = "consent__consent_text_v1__boilerplate"
"""Experiment, tagger and type of the spans, as dolma names attributes."""
COUNTS: Final = ("documents", "written", "dropped", "errors", "filtered", "paragraphs", "characters_read", "characters")


@dataclass(frozen=True, slots=True)
class Options:
    """What to do with documents.

    Attributes
    ----------
    output : {"text", "spans", "scores", "dolma"}
    text_field : str
    drop_consent_only : bool
    skip_errors : bool
        Whether a document that can't be read is put among the errors; else it stops the run.
    max_document_bytes : int
        As for `detector.corpus.read_units`.
    """

    output: str = OUTPUTS[0]
    text_field: str = "text"
    drop_consent_only: bool = False
    skip_errors: bool = False
    max_document_bytes: int = MAX_DOCUMENT_BYTES


class Changes(NamedTuple):
    """What is to become of the rows of a Parquet file; only the text's column goes to a worker, and only what changed comes back.

    Attributes
    ----------
    kept : list of int, or None
        Rows to keep; None for all.
    changed : list of int
        Rows with another text.
    column : pyarrow.Array or None
        Texts of the rows that are changed, or of those kept the column to add; None for no change.
    """

    kept: list[int] | None
    changed: list[int]
    column: Any


class Result(NamedTuple):
    """What came of a unit.

    Attributes
    ----------
    rows : bytes or Changes
        To write: bytes as they are stored.
    removed, errors : bytes
        Lines of JSON.
    passed : int
        Rows that hold no document: blank lines, and WARC records of other types.
    counts : dict of str to int
        By the names of `COUNTS`.
    """

    rows: Any
    removed: bytes
    errors: bytes
    passed: int
    counts: dict[str, int]


def filter_unit(detector: Detector, unit: Unit, options: Options, output: str, *, list_removed: bool = False) -> Result:
    """Filter the documents of a unit.

    Parameters
    ----------
    detector : Detector
    unit : Unit
    options : Options
    output : str
        Name of the file that they go to, which tells its format and compression.
    list_removed : bool
        Whether to say what was taken out.

    Raises
    ------
    CorpusError
        For the first document that can't be read, unless errors are skipped.
    """
    records: list[Record] = []
    defects: list[Defect] = []
    passed = 0
    for record in records_of(unit, options.text_field):
        if record is None:
            passed += 1
        elif isinstance(record, Record) and options.output == "dolma" and "id" not in (record.fields or {}):
            message = f"{record.place}: no field 'id', which dolma aligns attributes by; add one, or use --output spans"
            defects.append(Defect(message, record.raw))
        elif isinstance(record, Record):
            records.append(record)
        else:
            defects.append(record)
        if defects and not options.skip_errors:
            raise CorpusError(defects[0].message)
    documents = detector.filter_batch([record.text for record in records])
    pairs = list(zip(records, documents, strict=True))
    kept = [pair for pair in pairs if not (options.drop_consent_only and pair[1].verdict == "consent_only")]
    changed = [(record, document) for record, document in pairs if document.text is not document.original]
    counts = {
        "documents": len(records) + len(defects),
        "written": len(kept),
        "dropped": len(records) - len(kept),
        "errors": len(defects),
        "filtered": len(changed),
        "paragraphs": sum(document.n_removed for _, document in changed),
        "characters_read": sum(len(record.text) for record in records),
        "characters": sum(len(document.original) - len(document.text) for _, document in changed),
    }
    removed = "".join(json_line(row) + "\n" for record, document in changed for row in removed_rows(record, document)) if list_removed else ""
    errors = "".join(json_line({"error": message, "line": raw.decode("utf-8", "backslashreplace")}) + "\n" for message, raw in defects)
    rows: Any
    if unit.file_format == "parquet":
        rows = _changes(unit, kept, options)
    elif known_format(output) == "wet":
        parts = _warc_records(unit, kept)
        rows = b"".join(packed(part, output) for part in (parts if output.endswith(".gz") else [b"".join(parts)]))
    else:
        rows = b"".join(_line(record, document, options) for record, document in kept)
        rows = packed(rows, output) if rows else rows
    return Result(rows, removed.encode(), errors.encode(), passed, counts)


def _line(record: Record, document: FilteredDocument, options: Options) -> bytes:
    """The document as it is written; all that is not changed of a line is what was read, byte for byte."""
    if options.output == "text":
        if record.fields is None:
            return record.raw if document.text is document.original else document.text.encode()
        if not record.is_line:
            return (json_line({**record.fields, options.text_field: document.text}) + "\n").encode()
        return (record.raw if document.text is document.original else _with_text(record, options.text_field, document.text)) + b"\n"
    if options.output == "dolma":
        spans = [[p.start, p.end, round(p.probability, 6)] for p in document.removed]
        return (json_line({"id": record.identity["id"], "attributes": {DOLMA_ATTRIBUTE: spans}}) + "\n").encode()
    name, value = ("line_quality", line_qualities(document)) if options.output == "scores" else ("consent_spans", removed_spans(document))
    if record.is_line and name not in (record.fields or {}):
        return record.raw.rstrip()[:-1].rstrip() + f', "{name}": {json.dumps(value)}}}\n'.encode()
    fields = record.exact_fields if record.is_line else {**(record.fields or {}), options.text_field: record.text}
    return (json_line({**fields, name: value}) + "\n").encode()


def _with_text(record: Record, text_field: str, text: str) -> bytes:
    r"""A line with another text.

    The text is replaced where it stands, with letters beyond ASCII as they are or as ``\u``, as before; a line in which it isn't found so, because
    other characters were escaped, is written anew. That it is the right place is seen from the key before it, if the line has but one of its name and
    no escapes that may hide another; else reading the line again proves it, which takes as long as all the rest.
    """
    key = _key(text_field).search(record.raw)
    for literal in (utf8_literal, ascii_literal):
        old = literal(record.text)
        if not old:
            continue
        if key and record.raw.startswith(old, key.end()):
            before, after = record.raw[: key.end()], record.raw[key.end() + len(old) :]
            if b"\\" not in before and b"\\" not in after and not _key(text_field).search(after):
                return before + literal(text) + after
        before, found, after = record.raw.partition(old)
        if found:
            line = before + literal(text) + after
            if fields_of(line) == {**(record.fields or {}), text_field: text}:
                return line
    return json_line({**record.exact_fields, text_field: text}).encode()


@cache
def _key(name: str) -> re.Pattern[bytes]:
    """A key of a JSON object, up to its value."""
    return re.compile(re.escape(ascii_literal(name)) + rb"\s*:\s*")


def removed_spans(document: FilteredDocument) -> list[dict[str, Any]]:
    """Start, end and probability of each paragraph that was taken out."""
    return [{"start": p.start, "end": p.end, "probability": round(p.probability, 6)} for p in document.removed]


def removed_rows(record: Record, document: FilteredDocument) -> list[dict[str, Any]]:
    """Place and identifier of the document, offsets, probability and text of each paragraph that was taken out."""
    identity = record.identity
    return [{**identity, **span, "text": document.original[span["start"] : span["end"]]} for span in removed_spans(document)]


def line_qualities(document: FilteredDocument) -> list[float]:
    r"""1 less the probability of each line, those of nothing but white space 1; for a line that was cut, the mean by characters.

    Parallel to ``document.original.split("\n")``.
    """
    bad = [0.0]
    size = [0]
    for p in document.paragraphs:
        first, *others = p.text.split("\n")
        bad[-1] += p.probability * len(first)
        size[-1] += len(first)
        bad += [0.0] * len(others)  # blank lines that follow, and what comes after the last line end
        size += [0] * len(others)
    return [round(1.0 - b / max(n, 1), 6) for b, n in zip(bad, size, strict=True)]


def _warc_records(unit: Unit, kept: Sequence[tuple[Record, FilteredDocument]]) -> list[bytes]:
    """Records of the documents that are kept, and all records that are no documents, in their order."""
    kept_rows = {record.row: document for record, document in kept}
    rows = []
    for i, row in enumerate(unit.rows):
        head, body = row
        document = kept_rows.get(i)
        if document and document.text is not document.original:
            body = document.text.encode()
            head = _warc_head(head, body)
        if document or not is_conversion(row):
            rows.append(head + body + b"\r\n\r\n")
    return rows


def _warc_head(head: bytes, body: bytes) -> bytes:
    """Head of a record with length and digest of another body."""
    digest = base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest())
    changed = {b"content-length": str(len(body)).encode(), b"warc-block-digest": b"sha1:" + digest}
    lines = []
    for line in head.splitlines(keepends=True):
        name, colon, _ = line.partition(b":")
        value = changed.get(name.lower())
        lines.append(name + colon + b" " + value + b"\r\n" if value else line)
    return b"".join(lines)


def _changes(unit: Unit, kept: Sequence[tuple[Record, FilteredDocument]], options: Options) -> Changes:
    """What is to become of rows: those that are kept, with the filtered text or with a column more."""
    arrow = extra("pyarrow", "Parquet")
    rows = [record.row for record, _ in kept] if len(kept) < unit.n_rows else None
    if options.output == "scores":
        return Changes(rows, [], arrow.array([line_qualities(document) for _, document in kept], arrow.list_(arrow.float64())))
    if options.output == "spans":
        span = arrow.struct([("start", arrow.int64()), ("end", arrow.int64()), ("probability", arrow.float64())])
        return Changes(rows, [], arrow.array([removed_spans(document) for _, document in kept], arrow.list_(span)))
    changed = {record.row: document.text for record, document in kept if document.text is not document.original}
    return Changes(rows, list(changed), arrow.array(changed.values(), arrow.large_string()) if changed else None)


def changed_rows(rows: Any, changes: Changes, options: Options) -> Any:
    """Rows of a Parquet file (pyarrow.RecordBatch) with the filtered text, or with a column more."""
    arrow = extra("pyarrow", "Parquet")
    if changes.changed:
        place = rows.schema.get_field_index(options.text_field)
        rows = rows.set_column(place, rows.schema.field(place), _replaced(rows.column(place), changes))
    if changes.kept is not None:  # slices, since pyarrow can't take or filter every type
        slices = arrow.Table.from_batches([rows.slice(row, 1) for row in changes.kept], rows.schema)
        rows = next(iter(slices.combine_chunks().to_batches()), rows.slice(0, 0))
    if options.output == "text":
        return rows
    return rows.append_column("line_quality" if options.output == "scores" else "consent_spans", changes.column)


def _replaced(texts: Any, changes: Changes) -> Any:
    """A column of texts with some replaced. To make it anew takes 7 times as long where one in twenty is, twice where two in five are."""
    arrow = extra("pyarrow", "Parquet")
    mask = np.zeros(len(texts), np.bool_)
    mask[changes.changed] = True
    if arrow.types.is_string(texts.type) or arrow.types.is_large_string(texts.type):
        return extra("pyarrow.compute", "Parquet").replace_with_mask(texts, mask, changes.column.cast(texts.type))
    column = np.array(
        [None if isinstance(text, Exception) else text for text in values_of(texts)], object
    )  # pyarrow can't replace in a dictionary or a view
    column[mask] = changes.column.to_pylist()
    return arrow.array(column.tolist(), texts.type)
