"""Read documents from text and JSONL files, and write them back with everything but the text untouched.

A text file is one document. A JSONL file has one document a line, in a field of its own; all other fields and the order are kept, and a
line from which nothing was removed is written as it came. Both may be gzipped; ``-`` is standard input or output.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Literal

Format = Literal["text", "jsonl"]
FORMATS: Final = ("text", "jsonl")
STANDARD: Final = "-"


class CorpusError(ValueError):
    """An input that can't be read or an output that can't be written; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Record:
    """One document of a file.

    Attributes
    ----------
    place : str
        File and line, for messages.
    text : str
    line : str
        The line as it was read, without its line end; for a text file, the text.
    fields : dict or None
        All fields of a JSONL line; None for a text file.
    """

    place: str
    text: str
    line: str
    fields: dict[str, Any] | None


def format_of(path: str, given: Format | None = None) -> Format:
    """Format of a file by its name, unless one is given: ``.jsonl`` and ``.ndjson`` are JSONL, all others text; ``.gz`` may follow.

    Examples
    --------
    >>> format_of("news.jsonl.gz"), format_of("story.txt"), format_of("-", "jsonl")
    ('jsonl', 'text', 'jsonl')
    """
    if given is not None:
        return given
    name = path.lower().removesuffix(".gz")
    return "jsonl" if name.endswith((".jsonl", ".ndjson")) else "text"


def _name(path: str) -> str:
    return "standard input" if path == STANDARD else path


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    try:
        if path == STANDARD:
            yield sys.stdin.buffer
        elif path.endswith(".gz"):
            with gzip.open(path, "rb") as file:
                yield file  # type: ignore[misc]  # a GzipFile reads bytes like any other
        else:
            with open(path, "rb") as file:
                yield file
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise CorpusError(f"{_name(path)}: can't be read ({error.strerror if isinstance(error, OSError) and error.strerror else error})") from error


def read_records(path: str, file_format: Format, text_field: str = "text") -> Iterator[Record]:
    """Yield the documents of a file.

    Parameters
    ----------
    path : str
        ``-`` is standard input.
    file_format : {"text", "jsonl"}
    text_field : str
        Field of a JSONL line that holds the document.

    Raises
    ------
    CorpusError
        With file and line: unreadable, not UTF-8, no JSON object, no such field, or a field that is no string.
    """
    with _opened(path) as file:
        if file_format == "text":
            text = _decode(file.read(), _name(path))
            yield Record(_name(path), text, text, None)
            return
        for number, raw in enumerate(file, 1):
            place = f"{_name(path)}:{number}"
            line = _decode(raw, place).rstrip("\r\n")
            if line.strip():
                yield _record(line, place, text_field)


def _decode(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{place}: not UTF-8 (byte {error.start} is 0x{raw[error.start]:02x}); convert it, for example with iconv") from error


def _record(line: str, place: str, text_field: str) -> Record:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{place}: not JSON ({error})") from error
    if not isinstance(fields, dict):
        raise CorpusError(f"{place}: a JSON {type(fields).__name__}, expected an object with the field {text_field!r}")
    if text_field not in fields:
        raise CorpusError(f"{place}: no field {text_field!r}, only {', '.join(map(repr, fields))}; name the text's field with --text-field")
    text = fields[text_field]
    if not isinstance(text, str):
        raise CorpusError(f"{place}: the field {text_field!r} is {type(text).__name__}, expected a string")
    return Record(place, text, line, fields)


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


@contextmanager
def written(path: str) -> Iterator[IO[str]]:
    """Open an output that appears under its name only when it is complete.

    Parameters
    ----------
    path : str
        ``-`` is standard output; ``.gz`` is compressed, without name and time, so that the same text gives the same bytes.

    Raises
    ------
    CorpusError
        If it can't be written; a file of that name is left as it was.
    """
    if path == STANDARD:
        out = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8", newline="", write_through=False)
        try:
            yield out
            out.flush()
        finally:
            out.detach()
        return
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as raw:
            packed = gzip.GzipFile("", "wb", fileobj=raw, mtime=0) if path.endswith(".gz") else raw
            with io.TextIOWrapper(packed, encoding="utf-8", newline="") as out:
                yield out
        os.replace(temporary, target)
    except BrokenPipeError:  # of another output, while this one was open
        raise
    except OSError as error:
        raise CorpusError(f"{path}: can't be written ({error.strerror or error})") from error
    finally:
        temporary.unlink(missing_ok=True)
