r"""Read documents from files, a unit of bounded size at a time: plain text, JSONL, WET and Parquet.

A text file is one document. A JSONL file has one document a line, in a field of its own. Of a WET file (WARC) the `conversion` records are
documents. A Parquet file has one document a row, in a column of strings. All but Parquet, which packs its columns itself, may be compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice
from typing import IO, Any, Final, Literal, NamedTuple

from detector.files import (
    BUFFER_BYTES,
    COMPRESSIONS,
    STANDARD,
    CorpusError,
    extra,
    is_file,
    name_of,
    open_bytes,
    opened,
    size_of,
    without_compression,
    written,
)

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
UNIT_BYTES: Final = 4_000_000
UNIT_LINES: Final = 10_000
"""So much is held and handed to a worker at once, so that memory is bounded: WARC records and rows up to the first two, lines up to the last two."""
MAX_DOCUMENT_BYTES: Final = 1 << 28
"""Largest text file, JSON line or WARC record, unpacked, unless another is given: few packed bytes may hold more than the memory. Filtering
takes 10 to 60 times as much as a document (10 MB of banners, and of words of one character), 210 times if it is all lines of one full stop."""
HEAD_BYTES: Final = 1 << 20
"""Largest head of a WARC record."""
DEEPEST: Final = 200
"""Lists and objects in one another in a JSON line. Python itself gives up at some 1,000, in some places and not in others."""
NAMES_SHOWN: Final = 20


class Unit(NamedTuple):
    """Some documents of a file, as they are stored.

    Attributes
    ----------
    path : str
    file_format : {"text", "jsonl", "wet", "parquet"}
    first : int
        Number of the first line, record or row, from 1.
    rows : bytes, int, list or pyarrow.RecordBatch
        A text file, or lines with their line ends, or the length of these; head and body of WARC records; rows.
    n_rows : int
        How many files, lines, records or rows these are.
    stored : int
        Bytes of the file, as it is stored, up to the end of the unit; for a compressed file about.
    ends_group : bool
        Whether this is the end of a row group of a Parquet file.
    """

    path: str
    file_format: Format
    first: int
    rows: Any
    n_rows: int
    stored: int
    ends_group: bool = False


class Record(NamedTuple):
    r"""One document of a file.

    Attributes
    ----------
    place : str
        File and line, for messages.
    text : str
    row : int
        Its number in the unit.
    raw : bytes
        The line as it was read, without the "\n" at its end; for a text file and a WARC record, the text.
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
        if not self.fields or "id" not in self.fields:
            return {"place": self.place}
        value = self.fields["id"]
        return {"place": self.place, "id": value if isinstance(value, (str, int)) else self.exact_fields["id"]}

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


def read_units(path: str, file_format: Format, text_field: str = "text", max_document_bytes: int = MAX_DOCUMENT_BYTES) -> Generator[Unit, None, None]:
    """Read a file, some documents at a time.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    file_format : {"text", "jsonl", "wet", "parquet"}
    text_field : str
        Field of a JSONL line, or column of a Parquet file, that holds the document.
    max_document_bytes : int
        Bytes of UTF-8 that a text file, a JSON line or a WARC record may have, unpacked.

    Yields
    ------
    Unit
        At least one, which may be empty.

    Raises
    ------
    CorpusError
        If the file can't be read, is no WARC or Parquet file, has no such column, or has a document that is too large, which is not held as a whole.
    """
    if file_format == "parquet":
        yield from _parquet_units(path, text_field)
        return
    with opened(path) as (file, stored):
        if file_format == "text":
            yield Unit(path, file_format, 1, _whole(file, name_of(path), max_document_bytes), 1, size_of(path) or 0)
            return
        first, end = 1, 0
        parts: Iterator[tuple[Any, int]] = (
            _lines(file, name_of(path), max_document_bytes)
            if file_format == "jsonl"
            else _batches(_warc_records(file, name_of(path), max_document_bytes))
        )
        for rows, n in parts:
            end += len(rows)
            is_exact = file_format == "jsonl" and file is stored
            yield Unit(path, file_format, first, rows, n, end if is_exact or path == STANDARD else stored.tell())
            first += n
        if first == 1:
            yield Unit(path, file_format, 1, b"" if file_format == "jsonl" else [], 0, 0)


def in_file(unit: Unit) -> Unit:
    """A unit for another process; lines of a plain local file are named by their place, which costs less than to send them."""
    is_plain = unit.file_format == "jsonl" and not unit.path.endswith(COMPRESSIONS) and is_file(unit.path)
    return unit._replace(rows=len(unit.rows)) if is_plain else unit


def from_file(unit: Unit) -> Unit:
    """A unit with its lines, where they were named by their place.

    Raises
    ------
    CorpusError
        If the file has become shorter.
    """
    if not isinstance(unit.rows, int):
        return unit
    with opened(unit.path) as (file, _):
        file.seek(unit.stored - unit.rows)
        rows = file.read(unit.rows)
    if len(rows) < unit.rows:
        raise CorpusError(f"{unit.path}: was changed while it was read")
    return unit._replace(rows=rows)


def _too_large(place: str, most: int) -> CorpusError:
    return CorpusError(f"{place}: has more than {most:,} bytes, the most that one document may have; split it, or raise --max-document-bytes")


def _whole(file: IO[bytes], name: str, most: int) -> bytes:
    parts = []
    left = most
    while data := file.read(UNIT_BYTES):
        parts.append(data)
        left -= len(data)
        if left < 0:
            raise _too_large(name, most)
    return b"".join(parts)


def _lines(file: IO[bytes], name: str, most: int) -> Iterator[tuple[bytes, int]]:
    """Whole lines, `UNIT_BYTES` of them at a time, or one that is longer; and how many they are.

    They are not split here: one search for the last line end and one count of all cost a tenth of what it takes to split 4 MB into lines.
    """
    begun: list[bytes] = []  # of a line that has no end yet
    size = n = 0  # of it; lines before it
    while data := file.read(UNIT_BYTES):
        end = data.rfind(b"\n") + 1
        if end:
            whole = b"".join((*begun, memoryview(data)[:end]))
            _check_lines(whole, f"{name}", n, most)
            for lines, count in _few_lines(whole):
                yield lines, count
                n += count
            begun, size = [], 0
        begun.append(data[end:])
        size += len(data) - end
        if size > most:
            raise _too_large(f"{name}:{n + 1}", most)
    if data := b"".join(begun):
        yield data, 1


def _check_lines(lines: bytes, name: str, before: int, most: int) -> None:
    if len(lines) > most + 1:
        for i, line in enumerate(lines.split(b"\n"), before + 1):
            if len(line) > most:
                raise _too_large(f"{name}:{i}", most)


def _few_lines(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Cut lines with their line ends where they are many, and count them."""
    n = data.count(b"\n")
    if n <= UNIT_LINES:
        yield data, n
        return
    lines = data.split(b"\n")[:-1]
    for i in range(0, n, UNIT_LINES):
        some = lines[i : i + UNIT_LINES]
        yield b"\n".join(some) + b"\n", len(some)


def _batches(records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[list[tuple[bytes, bytes]], int]]:
    while batch := list(_take(records)):
        yield batch, len(batch)


def _take(records: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    size = 0
    for record in islice(records, UNIT_DOCUMENTS):
        yield record
        size += len(record[1])
        if size >= UNIT_BYTES:
            return


def _warc_records(file: IO[bytes], name: str, most: int) -> Iterator[tuple[bytes, bytes]]:
    """Head, with the empty line that ends it, and body of each record."""
    number = 0
    while line := file.readline(HEAD_BYTES):
        if not line.strip():
            continue
        number += 1
        place = f"{name}:record {number}"
        if not line.startswith(b"WARC/"):
            raise CorpusError(f"{place}: not WARC (starts with {line[:20]!r}, expected WARC/1.0)")
        head = _warc_head(file, line, place)
        value = warc_field(head, "Content-Length") or ""
        if not (value.isascii() and value.isdigit()):
            raise CorpusError(f"{place}: its head has no Content-Length that is a number")
        length = int(value) if len(value) < 20 else most + 1
        if length > most:
            raise _too_large(place, most)
        body = file.read(length)
        if len(body) < length:
            raise CorpusError(f"{place}: can't be read (it ends too early)")
        yield head, body


def _warc_head(file: IO[bytes], line: bytes, place: str) -> bytes:
    """The head of a record that begins with this line."""
    lines = [line]
    size = len(line)
    while line.strip():
        line = file.readline(HEAD_BYTES)
        lines.append(line)
        size += len(line)
        if size > HEAD_BYTES:
            raise CorpusError(f"{place}: has a head of more than {HEAD_BYTES >> 20} MB")
    return b"".join(lines)


def warc_field(head: bytes, name: str) -> str | None:
    """Value of a field of a WARC record's head."""
    start = name.lower().encode() + b":"
    values = (line[len(start) :] for line in head.splitlines() if line[: len(start)].lower() == start)
    value = next(values, None)
    return None if value is None else value.strip().decode("utf-8", "replace")


WARC_FIELDS: Final = {"id": "WARC-Record-ID", "url": "WARC-Target-URI", "date": "WARC-Date"}


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
            file = parquet.ParquetFile(stored, buffer_size=BUFFER_BYTES, pre_buffer=False)  # else a row group is read as a whole
            schema, n_rows, size = file.schema_arrow, file.metadata.num_rows, size_of(path) or 0
            if schema.names.count(text_field) != 1:
                names = _names(schema.names)
                raise CorpusError(f"{path}: no column {text_field!r}, only {names}; name the text's column with --text-field")
            kind = schema.field(text_field).type
            if not any(is_kind(kind.value_type if arrow.types.is_dictionary(kind) else kind) for is_kind in _kinds_of_string(arrow)):
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
    except (OSError, UnicodeDecodeError, arrow.ArrowException) as error:
        raise CorpusError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error})") from error


def _names(names: Iterable[str]) -> str:
    """Names for a message, of many only some."""
    shown = [repr(name)[:60] for name in islice(names, NAMES_SHOWN + 1)]
    return ", ".join(shown[:NAMES_SHOWN] + ["..."] * (len(shown) > NAMES_SHOWN))


def _kinds_of_string(arrow: Any) -> list[Callable[[Any], bool]]:
    return [arrow.types.is_string, arrow.types.is_large_string, arrow.types.is_string_view]


def read_records(
    path: str, file_format: Format, text_field: str = "text", max_document_bytes: int = MAX_DOCUMENT_BYTES, columns: Sequence[str] = ()
) -> Iterator[Record]:
    """Yield the documents of a file.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    file_format : {"text", "jsonl", "wet", "parquet"}
    text_field : str
        Field of a JSONL line, or column of a Parquet file, that holds the document.
    max_document_bytes : int
        As for `read_units`.
    columns : sequence of str
        Columns of a Parquet file to read into the fields beside the identifier, where it has them; a JSONL line has all its fields anyway.

    Raises
    ------
    CorpusError
        With file and line: unreadable, not UTF-8, no JSON object, no such field, or a field that is no string.
    """
    for unit in read_units(path, file_format, text_field, max_document_bytes):
        for record in records_of(unit, text_field, columns):
            if isinstance(record, Defect):
                raise CorpusError(record.message)
            if record:
                yield record


def records_of(unit: Unit, text_field: str, columns: Sequence[str] = ()) -> Iterator[Record | Defect | None]:
    """Yield for each row of a unit its document, or what is wrong with it, or None for a blank line or a WARC record that is no document."""
    name = name_of(unit.path)
    if unit.file_format == "parquet":
        yield from _of_rows(unit, text_field, columns)
    elif unit.file_format == "text":
        yield _or_defect(_of_text, unit.rows, name, 0, None)
    elif unit.file_format == "wet":
        for i, row in enumerate(unit.rows):
            if not is_conversion(row):
                yield None
                continue
            fields = {key: warc_field(row[0], field) for key, field in WARC_FIELDS.items()}
            yield _or_defect(_of_text, row[1], f"{name}:record {unit.first + i}", i, fields)
    else:
        lines = unit.rows.split(b"\n")
        if not lines[-1]:  # what follows the last line end
            lines.pop()
        for i, raw in enumerate(lines):
            yield _or_defect(_of_line, raw, f"{name}:{unit.first + i}", i, text_field) if raw and not raw.isspace() else None


def _or_defect(read: Callable[..., Record], raw: bytes, *of: Any) -> Record | Defect:
    try:
        return read(raw, *of)
    except CorpusError as error:
        return Defect(str(error), raw.rstrip(b"\r\n"))


def _of_text(raw: bytes, place: str, row: int, fields: dict[str, Any] | None) -> Record:
    return Record(place, _decode(raw, place), row, raw, fields)


def _of_rows(unit: Unit, text_field: str, columns: Sequence[str]) -> Iterator[Record | Defect]:
    names = [name for name in ("id", *columns) if unit.rows.schema.names.count(name) == 1]
    columns_of = {name: values_of(unit.rows.column(name)) for name in names}
    for i, text in enumerate(values_of(unit.rows.column(text_field))):
        place = f"{unit.path}:row {unit.first + i}"
        if not isinstance(text, str):
            what = "is null, expected a string" if text is None else f"can't be read ({text})"
            yield Defect(f"{place}: the column {text_field!r} {what}", b"")
            continue
        fields = {name: _plain(column[i]) for name, column in columns_of.items() if not isinstance(column[i], Exception)}
        yield Record(place, text, i, b"", fields)


def _plain(value: Any) -> Any:
    """A value of a column as JSON can hold it."""
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def values_of(column: Any) -> list[Any]:
    """Values of a column, with an exception in the place of each that Python can't hold: bytes that are no UTF-8, a date beyond its years."""
    try:
        return column.to_pylist()  # type: ignore[no-any-return]  # pyarrow has no types
    except (ValueError, OverflowError):
        return [_value_of(scalar) for scalar in column]


def _value_of(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except (ValueError, OverflowError) as error:
        return error


def _decode(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: not UTF-8 (byte {error.start} is 0x{raw[error.start]:02x}); convert it, for example with iconv") from error


@cache
def _fast_json() -> Any:
    return extra("orjson", "JSON") if find_spec("orjson") else None


def fields_of(line: bytes) -> Any:
    """What a line of JSON holds, with integers of more than 64 bits rounded.

    Raises
    ------
    ValueError, RecursionError
        If it isn't JSON.
    """
    fast = _fast_json()
    if fast:
        try:
            return fast.loads(line)
        except ValueError:  # json takes lone surrogates and NaN too, and says what is wrong
            pass
    return json.loads(line.decode())


def utf8_literal(text: str) -> bytes:
    """A string as JSON with letters beyond ASCII as they are; nothing if UTF-8 can't hold it."""
    fast = _fast_json()
    try:
        return fast.dumps(text) if fast else json.dumps(text, ensure_ascii=False).encode()
    except (TypeError, UnicodeEncodeError):  # a lone surrogate
        return b""


def ascii_literal(text: str) -> bytes:
    """A string as JSON in ASCII."""
    return json.dumps(text).encode()


def _is_deep(fields: Any) -> bool:
    level = [fields]
    for _ in range(DEEPEST + 1):
        level = [inner for value in level for inner in _inside(value) if _is_nested(inner)]
    return bool(level)


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def _is_nested(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _of_line(raw: bytes, place: str, row: int, text_field: str) -> Record:
    try:
        fields = fields_of(raw)
    except (ValueError, RecursionError) as error:
        _decode(raw, place)
        raise CorpusError(f"{place}: not JSON ({error})") from error
    if any(map(_is_nested, _inside(fields))) and raw.count(b"[") + raw.count(b"{") > DEEPEST and _is_deep(fields):
        raise CorpusError(f"{place}: has more than {DEEPEST} lists and objects in one another")
    if not isinstance(fields, dict):
        raise CorpusError(f"{place}: a JSON {type(fields).__name__}, expected an object with the field {text_field!r}")
    if text_field not in fields:
        raise CorpusError(f"{place}: no field {text_field!r}, only {_names(fields)}; name the text's field with --text-field")
    text = fields[text_field]
    if not isinstance(text, str):
        raise CorpusError(f"{place}: the field {text_field!r} is {type(text).__name__}, expected a string")
    return Record(place, text, row, raw, fields, is_line=True)


def json_line(fields: dict[str, Any], indent: int | None = None) -> str:
    r"""One line of JSON, or several, indented; lone surrogates, which UTF-8 can't hold, are escaped.

    Examples
    --------
    >>> json_line({"text": "naïve"}), json_line({"text": "\\ud800"})
    ('{"text": "naïve"}', '{"text": "\\\\ud800"}')
    """
    line = json.dumps(fields, ensure_ascii=False, indent=indent)
    try:
        line.encode()
    except UnicodeEncodeError:
        return json.dumps(fields, indent=indent)
    return line
