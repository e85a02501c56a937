r"""Read documents from files, a unit of bounded size at a time: plain text, JSONL, WET and Parquet.

A text file is one document. A JSONL file has one document a line, in a field of its own. Of a WET file (WARC) the `conversion` records are
documents. A Parquet file has one document a row, in a column of strings. All but Parquet, which packs its columns itself, may be compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import IO, Any, Final, Literal, NamedTuple

from detector.files import STANDARD, CorpusError, extra, name_of, open_bytes, opened, size_of, without_compression, written

__all__ = ["FORMATS", "STANDARD", "CorpusError", "Format", "Record", "Unit", "format_of", "json_line", "read_records", "read_units", "written"]

Format = Literal["text", "jsonl", "wet", "parquet"]
FORMATS: Final = ("text", "jsonl", "wet", "parquet")
SUFFIXES: Final[dict[str, Format]] = {
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".wet": "wet",
    ".warc": "wet",
    ".parquet": "parquet",
}
"""Names by which files of a directory are known."""
UNIT_DOCUMENTS: Final = 1000
UNIT_BYTES: Final = 8_000_000
"""As many documents are held and handed to a worker at once as stay under both, so that memory is bounded."""


class Unit(NamedTuple):
    """Some documents of a file, as they are stored.

    Attributes
    ----------
    path : str
    file_format : {"text", "jsonl", "wet", "parquet"}
    first : int
        Number of the first line, record or row, from 1.
    rows : list or pyarrow.RecordBatch
        Bytes of a text file or of the lines; head and body of WARC records; rows.
    documents : int
        How many documents these are.
    stored : int
        Bytes of the file, as it is stored, up to the end of the unit.
    ends_group : bool
        Whether this is the end of a row group of a Parquet file.
    """

    path: str
    file_format: Format
    first: int
    rows: Any
    documents: int
    stored: int
    ends_group: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """One document of a file.

    Attributes
    ----------
    place : str
        File and line, for messages.
    text : str
    row : int
        Its number in the unit.
    raw : bytes
        The line as it was read, without its line end; for a text file and a WARC record, the text.
    fields : dict or None
        All fields of a JSONL line; address, date and identifier of a WARC record; the identifier of a row, if it has one; None for a text file.
    is_line : bool
        Whether it is a JSONL line.
    """

    place: str
    text: str
    row: int
    raw: bytes
    fields: dict[str, Any] | None
    is_line: bool = False

    @property
    def identity(self) -> dict[str, Any]:
        """Place, and identifier if there is one."""
        return {"place": self.place, **({"id": self.exact_fields["id"]} if self.fields and "id" in self.fields else {})}

    @property
    def exact_fields(self) -> dict[str, Any]:
        """The fields with numbers of any size as they are: orjson, which reads lines, rounds integers of more than 64 bits."""
        return json.loads(self.raw) if self.is_line else dict(self.fields or {})


class Defect(NamedTuple):
    """A document that can't be read: what is wrong, with file and line, and the bytes."""

    message: str
    raw: bytes


def format_of(path: str, given: Format | None = None) -> Format:
    """Format of a file by its name, unless one is given; one of an unknown name is text. ``.gz`` or ``.zst`` may follow.

    Examples
    --------
    >>> format_of("news.jsonl.gz"), format_of("story.txt"), format_of("-", "jsonl"), format_of("CC-MAIN.warc.wet.gz")
    ('jsonl', 'text', 'jsonl', 'wet')
    """
    return given or known_format(path) or "text"


def known_format(path: str) -> Format | None:
    """Format of a file by its name, None if that says nothing."""
    name = without_compression(path)
    return next((file_format for suffix, file_format in SUFFIXES.items() if name.endswith(suffix)), None)


def read_units(path: str, file_format: Format, text_field: str = "text") -> Generator[Unit, None, None]:
    """Read a file, some documents at a time.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    file_format : {"text", "jsonl", "wet", "parquet"}
    text_field : str
        Field of a JSONL line, or column of a Parquet file, that holds the document.

    Yields
    ------
    Unit
        Of a Parquet file at least one, which may be empty.

    Raises
    ------
    CorpusError
        If the file can't be read, is no WARC or Parquet file, or has no such column.
    """
    if file_format == "parquet":
        yield from _parquet_units(path, text_field)
        return
    with opened(path) as (file, stored):
        if file_format == "text":
            yield Unit(path, file_format, 1, [file.read()], 1, size_of(path) or 0)
            return
        first = 1
        for rows in _batches(file if file_format == "jsonl" else _warc_records(file, name_of(path))):
            here = 0 if path == STANDARD else stored.tell()
            documents = sum(map(is_conversion, rows)) if file_format == "wet" else sum(not line.isspace() for line in rows)
            yield Unit(path, file_format, first, rows, documents, here)
            first += len(rows)


def _batches(rows: Iterable[Any]) -> Iterator[list[Any]]:
    source = iter(rows)
    while batch := list(_take(source)):
        yield batch


def _take(rows: Iterator[Any]) -> Iterator[Any]:
    size = 0
    for row in islice(rows, UNIT_DOCUMENTS):
        yield row
        size += len(row) if isinstance(row, bytes) else len(row[1])
        if size >= UNIT_BYTES:
            return


def _warc_records(file: IO[bytes], name: str) -> Iterator[tuple[bytes, bytes]]:
    """Head, with the empty line that ends it, and body of each record."""
    number = 0
    while line := file.readline():
        if not line.strip():
            continue
        number += 1
        place = f"{name}:record {number}"
        if not line.startswith(b"WARC/"):
            raise CorpusError(f"{place}: not WARC (starts with {line[:20]!r}, expected WARC/1.0)")
        head = line
        while line.strip():
            line = file.readline()
            head += line
        try:
            length = int(warc_field(head, "Content-Length") or "none")
        except ValueError as error:
            raise CorpusError(f"{place}: its head has no Content-Length that is a number") from error
        body = file.read(length)
        if len(body) < length:
            raise CorpusError(f"{place}: can't be read (it ends too early)")
        yield head, body


def warc_field(head: bytes, name: str) -> str | None:
    """Value of a field of a WARC record's head."""
    start = name.lower().encode() + b":"
    values = (line[len(start) :] for line in head.splitlines() if line[: len(start)].lower() == start)
    value = next(values, None)
    return None if value is None else value.strip().decode("utf-8", "replace")


def is_conversion(row: tuple[bytes, bytes]) -> bool:
    """Whether a WARC record is a document."""
    return warc_field(row[0], "WARC-Type") == "conversion"


def _parquet_units(path: str, text_field: str) -> Iterator[Unit]:
    parquet = extra("pyarrow.parquet", f"{name_of(path)}: Parquet")
    arrow = extra("pyarrow", "Parquet")
    if path == STANDARD:
        raise CorpusError("a Parquet file can't be read from standard input; give its name")
    try:
        with open_bytes(path) as stored:
            file = parquet.ParquetFile(stored)
            schema, n_rows, size = file.schema_arrow, file.metadata.num_rows, size_of(path) or 0
            if schema.names.count(text_field) != 1:
                names = ", ".join(map(repr, schema.names))
                raise CorpusError(f"{path}: no column {text_field!r}, only {names}; name the text's column with --text-field")
            kind = schema.field(text_field).type
            if not any(is_kind(getattr(kind, "value_type", kind)) for is_kind in _kinds_of_string(arrow)):
                raise CorpusError(f"{path}: the column {text_field!r} is {kind}, expected strings")
            first = 1
            for group in range(file.num_row_groups):
                facts = file.metadata.row_group(group)
                at_once = max(1, min(UNIT_DOCUMENTS, UNIT_BYTES * facts.num_rows // max(facts.total_byte_size, 1)))
                last = first + facts.num_rows
                for rows in file.iter_batches(at_once, row_groups=[group]):
                    after = first + rows.num_rows
                    yield Unit(path, "parquet", first, rows, rows.num_rows, size * (after - 1) // n_rows, ends_group=after == last)
                    first = after
            if not n_rows:
                yield Unit(path, "parquet", 1, arrow.RecordBatch.from_pylist([], schema=schema), 0, size, ends_group=True)
    except (OSError, arrow.ArrowException) as error:
        raise CorpusError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error})") from error


def _kinds_of_string(arrow: Any) -> list[Callable[[Any], bool]]:
    return [arrow.types.is_string, arrow.types.is_large_string, arrow.types.is_string_view]


def read_records(path: str, file_format: Format, text_field: str = "text") -> Iterator[Record]:
    """Yield the documents of a file.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    file_format : {"text", "jsonl", "wet", "parquet"}
    text_field : str
        Field of a JSONL line, or column of a Parquet file, that holds the document.

    Raises
    ------
    CorpusError
        With file and line: unreadable, not UTF-8, no JSON object, no such field, or a field that is no string.
    """
    for unit in read_units(path, file_format, text_field):
        for record in records_of(unit, text_field):
            if isinstance(record, Defect):
                raise CorpusError(record.message)
            yield record


def records_of(unit: Unit, text_field: str) -> Iterator[Record | Defect]:
    """Yield the documents of a unit, and what is wrong with those that can't be read."""
    name = name_of(unit.path)
    if unit.file_format == "parquet":
        yield from _of_rows(unit, text_field)
        return
    for i, row in enumerate(unit.rows):
        raw = row
        try:
            if unit.file_format == "text":
                yield Record(name, _decode(raw, name), i, raw, None)
            elif unit.file_format == "wet":
                if is_conversion(row):
                    head, raw = row
                    place = f"{name}:record {unit.first + i}"
                    names = {"id": "WARC-Record-ID", "url": "WARC-Target-URI", "date": "WARC-Date"}
                    yield Record(place, _decode(raw, place), i, raw, {key: warc_field(head, field) for key, field in names.items()})
            elif not raw.isspace():
                yield _of_line(raw.rstrip(b"\r\n"), f"{name}:{unit.first + i}", i, text_field)
        except CorpusError as error:
            yield Defect(str(error), raw.rstrip(b"\r\n"))


def _of_rows(unit: Unit, text_field: str) -> Iterator[Record | Defect]:
    identifiers = unit.rows.column("id").to_pylist() if unit.rows.schema.names.count("id") == 1 else None
    for i, text in enumerate(unit.rows.column(text_field).to_pylist()):
        place = f"{unit.path}:row {unit.first + i}"
        if text is None:
            yield Defect(f"{place}: the column {text_field!r} is null, expected a string", b"")
            continue
        fields = {}
        if identifiers:
            value = identifiers[i]
            fields["id"] = value if value is None or isinstance(value, (str, int, float)) else str(value)
        yield Record(place, text, i, b"", fields)


def _decode(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: not UTF-8 (byte {error.start} is 0x{raw[error.start]:02x}); convert it, for example with iconv") from error


@cache
def _fast_json() -> Callable[[bytes], Any] | None:
    return extra("orjson", "JSON").loads if find_spec("orjson") else None


def _of_line(raw: bytes, place: str, row: int, text_field: str) -> Record:
    loads = _fast_json()
    fields: Any = None
    if loads:
        try:
            fields = loads(raw)
        except ValueError:  # json takes lone surrogates and NaN too, and says what is wrong
            fields = None
    if fields is None:
        try:
            fields = json.loads(_decode(raw, place))
        except CorpusError:
            raise
        except (ValueError, RecursionError) as error:
            raise CorpusError(f"{place}: not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise CorpusError(f"{place}: a JSON {type(fields).__name__}, expected an object with the field {text_field!r}")
    if text_field not in fields:
        raise CorpusError(f"{place}: no field {text_field!r}, only {', '.join(map(repr, fields))}; name the text's field with --text-field")
    text = fields[text_field]
    if not isinstance(text, str):
        raise CorpusError(f"{place}: the field {text_field!r} is {type(text).__name__}, expected a string")
    return Record(place, text, row, raw, fields, is_line=True)


def json_line(fields: dict[str, Any]) -> str:
    r"""One line of JSON; lone surrogates, which UTF-8 can't hold, are escaped.

    Examples
    --------
    >>> json_line({"text": "naïve"}), json_line({"text": "\\ud800"})
    ('{"text": "naïve"}', '{"text": "\\\\ud800"}')
    """
    line = json.dumps(fields, ensure_ascii=False)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(fields)
    return line
