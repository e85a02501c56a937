"""Read saved web pages: HTML files, directories and globs of them, JSONL with the HTML in a field, and the responses of WARC files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from detector.corpus import CorpusError, Defect, known_format, read_units, records_of, warc_field
from detector.files import found, opened, without_compression
from training.saved_pages import host_of

SUFFIXES: Final = (".html", ".htm", ".xhtml", ".shtml", ".testhtml", ".jsonl", ".ndjson", ".warc")
"""Names by which the files of a directory are known; .gz or .zst may follow."""


class SavedPage(NamedTuple):
    """A saved page: its id, its HTML, and the site that it is filed under."""

    id: str
    html: bytes | str
    site: str


def saved_pages(inputs: Sequence[str], html_field: str = "html", errors: list[str] | None = None, output: str = "") -> Iterator[SavedPage]:
    """Yield the pages of files, directories and globs.

    Parameters
    ----------
    inputs : sequence of str
    html_field : str
        Field of a JSONL line that holds the HTML.
    errors : list of str or None
        Is given what can't be read; None to stop there.
    output : str
        No page: what an earlier run wrote into a directory of the inputs.

    Raises
    ------
    CorpusError
        If an input stands for no page, or with file and line for what can't be read.
    """
    done = {output}
    for pattern in inputs:
        matches = found(pattern)
        if matches is None:
            matches = [(pattern, Path(pattern).name)]
        elif Path(pattern).is_dir():
            matches = [(path, name) for path, name in matches if without_compression(path).endswith(SUFFIXES)]
        if not matches:
            raise CorpusError(f"{pattern}: no saved page ({', '.join(SUFFIXES)}; .gz or .zst may follow)")
        for path, name in matches:
            if path in done:
                continue
            done.add(path)
            folder = name.replace("\\", "/").rpartition("/")[0].split("/")[0]
            try:
                if known_format(path) == "jsonl":
                    yield from _records(path, html_field, errors)
                elif known_format(path) == "wet":
                    yield from _responses(path)
                else:
                    yield SavedPage(path, _unpacked(_read(path), path), folder)
            except CorpusError as error:
                if errors is None:
                    raise
                errors.append(str(error))


def _read(path: str) -> bytes:
    with opened(path) as (file, _):
        return file.read()


def _unpacked(data: bytes, place: str) -> bytes:
    try:
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data  # many crawlers pack pages and name them .html
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{place}: can't be read as gzip ({error})") from error


def _responses(path: str) -> Iterator[SavedPage]:
    """HTML pages of a WARC file."""
    for unit in read_units(path, "wet"):
        for i, (head, body) in enumerate(unit.rows):
            http, _, payload = body.partition(b"\r\n\r\n")
            if warc_field(head, "WARC-Type") != "response" or "html" not in (warc_field(http, "Content-Type") or "") or http.split()[1:2] != [b"200"]:
                continue
            place = f"{path}:record {unit.first + i}"
            if (warc_field(http, "Transfer-Encoding") or "").lower() == "chunked":
                payload = _joined(payload)
            yield SavedPage(place, _unpacked(payload, place), host_of(warc_field(head, "WARC-Target-URI") or ""))


def _records(path: str, html_field: str, errors: list[str] | None) -> Iterator[SavedPage]:
    for unit in read_units(path, "jsonl", html_field):
        for record in records_of(unit, html_field):
            if record is None:
                continue
            if isinstance(record, Defect):
                message = record.message.replace("--text-field", "--html-field")
                if errors is None:
                    raise CorpusError(message)
                errors.append(message)
                continue
            fields = record.fields or {}
            site = fields.get("site") or host_of(str(fields.get("url") or ""))
            yield SavedPage(record.place, record.text, str(site))


def _joined(chunked: bytes) -> bytes:
    """The chunks of a body in one; it as it is where it was joined before it was stored."""
    parts = []
    at = 0
    while (end := chunked.find(b"\r\n", at)) >= 0:
        try:
            size = int(chunked[at:end].partition(b";")[0], 16)
        except ValueError:
            return chunked
        if not size:
            break
        parts.append(chunked[end + 2 : end + 2 + size])
        at = end + 2 + size + 2
    return b"".join(parts) or chunked
