"""Filter the documents of a unit and write them in the format that they came in; what a worker does."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from detector.corpus import CorpusError, Defect, Record, Unit, is_conversion, json_line, records_of
from detector.files import extra
from detector.filtering import Detector, FilteredDocument

OUTPUTS: Final = ("text", "spans", "scores", "dolma")
"""What `filter` writes."""
DOLMA_ATTRIBUTE: Final = "consent__consent_text_v1__boilerplate"
"""Experiment, tagger and type of the spans, as dolma names attributes."""
GZIP_LEVEL: Final = 6
"""The default of the command gzip."""
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
    """

    output: str = OUTPUTS[0]
    text_field: str = "text"
    drop_consent_only: bool = False
    skip_errors: bool = False


class Result(NamedTuple):
    """What came of a unit.

    Attributes
    ----------
    rows : list of bytes or pyarrow.RecordBatch
        To write; each list element is to be a gzip member of its own where the output is compressed so.
    removed, errors : bytes
        Lines of JSON.
    counts : dict of str to int
        By the names of `COUNTS`.
    """

    rows: Any
    removed: bytes
    errors: bytes
    counts: dict[str, int]


def filter_unit(detector: Detector, unit: Unit, options: Options, *, warc: bool = False, packed: bool = False) -> Result:
    """Filter the documents of a unit.

    Parameters
    ----------
    detector : Detector
    unit : Unit
    options : Options
    warc : bool
        Whether documents of a WET file are written as WARC records; else as JSON lines.
    packed : bool
        Whether to compress with gzip.

    Raises
    ------
    CorpusError
        For the first document that can't be read, unless errors are skipped.
    """
    records: list[Record] = []
    defects: list[Defect] = []
    for record in records_of(unit, options.text_field):
        if isinstance(record, Record) and options.output == "dolma" and "id" not in (record.fields or {}):
            message = f"{record.place}: no field 'id', which dolma aligns attributes by; add one, or use --output spans"
            defects.append(Defect(message, record.raw))
        elif isinstance(record, Record):
            records.append(record)
        else:
            defects.append(record)
        if defects and not options.skip_errors:
            raise CorpusError(defects[0].message)
    documents = detector.filter_batch([record.text for record in records])
    dropped = [options.drop_consent_only and document.verdict == "consent_only" for document in documents]
    pairs = list(zip(records, documents, strict=True))
    kept = [pair for pair, drop in zip(pairs, dropped, strict=True) if not drop]
    changed = [(record, document) for record, document in pairs if document.text is not document.original]
    removed = "".join(json_line(fields) + "\n" for record, document in changed for fields in removed_rows(record, document))
    counts = {
        "documents": len(records) + len(defects),
        "written": len(kept),
        "dropped": sum(dropped),
        "errors": len(defects),
        "filtered": len(changed),
        "paragraphs": sum(len(document.removed) for _, document in changed),
        "characters_read": sum(len(record.text) for record in records),
        "characters": sum(len(document.original) - len(document.text) for _, document in changed),
    }
    errors = "".join(json_line({"error": message, "line": raw.decode("utf-8", "backslashreplace")}) + "\n" for message, raw in defects)
    rows: Any
    if unit.file_format == "parquet":
        rows = _batch(unit.rows, kept, options)
    elif warc:
        rows = _warc_records(unit, kept)
    else:
        rows = [b"".join(_line(record, document, options) for record, document in kept)]
    if packed:
        rows = [gzip.compress(row, GZIP_LEVEL, mtime=0) for row in rows if row]
    return Result(rows, removed.encode(), errors.encode(), counts)


def _line(record: Record, document: FilteredDocument, options: Options) -> bytes:
    """The document as it is written; a line from which nothing was removed is what was read."""
    if options.output == "text":
        if record.fields is None:
            return record.raw if document.text is document.original else document.text.encode()
        if record.is_line and document.text is document.original:
            return record.raw + b"\n"
        return (json_line({**record.exact_fields, options.text_field: document.text}) + "\n").encode()
    fields = {**record.exact_fields, **({} if record.is_line else {options.text_field: record.text})}
    if options.output == "dolma":
        spans = [[p.start, p.end, round(p.probability, 6)] for p in document.removed]
        row: dict[str, Any] = {"id": fields["id"], "attributes": {DOLMA_ATTRIBUTE: spans}}
    elif options.output == "scores":
        row = {**fields, "line_quality": line_qualities(document)}
    else:
        row = {**fields, "consent_spans": removed_spans(document)}
    return (json_line(row) + "\n").encode()


def removed_spans(document: FilteredDocument) -> list[dict[str, Any]]:
    """Start, end and probability of each paragraph that was taken out."""
    return [{"start": p.start, "end": p.end, "probability": round(p.probability, 6)} for p in document.removed]


def removed_rows(record: Record, document: FilteredDocument) -> list[dict[str, Any]]:
    """Place and identifier of the document, offsets, probability and text of each paragraph that was taken out."""
    return [{**record.identity, **span, "text": document.original[span["start"] : span["end"]]} for span in removed_spans(document)]


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


def _batch(rows: Any, kept: Sequence[tuple[Record, FilteredDocument]], options: Options) -> Any:
    """Rows of a Parquet file with the filtered text, or with a column more."""
    arrow = extra("pyarrow", "Parquet")
    if len(kept) < rows.num_rows:  # slices, since pyarrow can't take or filter every type
        slices = arrow.Table.from_batches([rows.slice(record.row, 1) for record, _ in kept], rows.schema)
        rows = next(iter(slices.combine_chunks().to_batches()), rows.slice(0, 0))
    if options.output == "text":
        if all(document.text is document.original for _, document in kept):
            return rows
        place = rows.schema.get_field_index(options.text_field)
        field = rows.schema.field(place)
        return rows.set_column(place, field, arrow.array([document.text for _, document in kept], field.type))
    if options.output == "scores":
        qualities = [line_qualities(document) for _, document in kept]
        return rows.append_column("line_quality", arrow.array(qualities, arrow.list_(arrow.float64())))
    span = arrow.struct([("start", arrow.int64()), ("end", arrow.int64()), ("probability", arrow.float64())])
    return rows.append_column("consent_spans", arrow.array([removed_spans(document) for _, document in kept], arrow.list_(span)))
