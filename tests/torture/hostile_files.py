"""Bad inputs of every format, made by code, each with what the command says to it."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

PAGE = "The harbour reopens on Monday, the council said.\n\nWe use cookies to personalise content and ads and to analyse our traffic.\nAccept all cookies\n"
TEXT = json.dumps(PAGE)
READ = ""
"""The file is read."""


def line(fields: str) -> bytes:
    """A line of JSON with the text and more."""
    return f'{{"text": {TEXT}, {fields}}}\n'.encode()


def json_lines() -> Iterator[tuple[str, bytes, str]]:
    """Name, bytes, and a part of the message; none where the file is read."""
    for depth in (100, 199):
        yield f"nested-{depth}.jsonl", line(f'"a": {"[" * depth}{"]" * depth}'), READ
    for depth in (300, 900, 980, 990, 1000, 1010, 1020, 2000, 100_000):
        message = "lists and objects in one another" if depth < 900 else ""
        for name, value in {
            "lists": "[" * depth + "]" * depth,
            "objects": '{"a":' * depth + "1" + "}" * depth,
        }.items():
            for field in ("a", "id", "consent_spans", "line_quality"):
                yield f"nested-{name}-{field}-{depth}.jsonl", line(f'"{field}": {value}'), message or "jsonl:1: "
        # a text that is escaped in a way of its own is written anew
        yield f"nested-escaped-{depth}.jsonl", line(f'"a": {"[" * depth}{"]" * depth}').replace(b"We", b"W\\u0065"), message or "jsonl:1: "
    yield "not-closed.jsonl", b'{"text": ' + b"[" * 100_000 + b"\n", "not JSON"
    for name, value in {"NaN": "NaN", "infinite": "-Infinity", "1e999": "1e999", "400 digits": "9" * 400, "5000 decimals": "0." + "1" * 5000}.items():
        for field in ("id", "consent_spans", "a"):
            yield f"number-{name}-{field}.jsonl".replace(" ", "-"), line(f'"{field}": {value}'), READ
    yield "5000-digits.jsonl", line(f'"id": {"9" * 5000}'), "jsonl:1: "
    yield "text-twice.jsonl", f'{{"text": "x", "text": {TEXT}}}\n'.encode(), READ
    yield "the-same-text-twice.jsonl", f'{{"text": {TEXT}, "text": {TEXT}}}\n'.encode(), READ
    yield "surrogates.jsonl", f'{{"text": {json.dumps(PAGE + chr(0xD800))}, "id": "\\udfff", "\\ud800": 1}}\n'.encode(), READ
    yield "NUL-escaped.jsonl", f'{{"text": {json.dumps(chr(0) + PAGE)}}}\n'.encode(), READ
    yield "NUL.jsonl", b'{"text": "a\x00b"}\n', "not JSON"
    yield "NUL-lines.jsonl", b"\x00\n\x00\n", "not JSON"
    yield "byte-order-mark.jsonl", b"\xef\xbb\xbf" + line('"a": 1'), "not JSON"
    yield "UTF-16.jsonl", line('"a": 1').decode().encode("utf-16"), "not UTF-8"
    yield "Latin-1.jsonl", '{"text": "caf\xe9"}\n'.encode("latin-1"), "not UTF-8"
    yield "mixed.jsonl", line('"a": "é"') + '{"text": "caf\xe9"}\n'.encode("cp1252"), "jsonl:2: not UTF-8"
    yield "surrogates-raw.jsonl", b'{"text": "\xed\xa0\x80"}\n', "not UTF-8"
    yield "many-fields.jsonl", line(", ".join(f'"k{i}": 1' for i in range(100_000))), READ
    yield "many-other-fields.jsonl", ("{" + ", ".join(f'"k{i}": 1' for i in range(100_000)) + "}\n").encode(), "no field 'text', only 'k0', 'k1'"
    yield "a-long-name.jsonl", ('{"' + "k" * 1_000_000 + '": 1}\n').encode(), "no field 'text'"
    yield "blank-lines.jsonl", b"\n \t\r\n" * 50_000 + line('"a": 1'), READ
    yield "nothing.jsonl", b"", READ
    for name, value in {"null": "null", "a-number": "1", "a-list": "[]"}.items():
        yield f"text-is-{name}.jsonl", f'{{"text": {value}}}\n'.encode(), "expected a string"


def warc(body: bytes, length: object = None, more: str = "") -> bytes:
    """A record."""
    n = len(body) if length is None else length
    return f"WARC/1.0\r\nWARC-Type: conversion\r\n{more}Content-Length: {n}\r\n\r\n".encode() + body + b"\r\n\r\n"


def others() -> Iterator[tuple[str, bytes, str]]:
    """Text, WET, packed files."""
    page = PAGE.encode()
    for name, length, message in (
        *((n, n, "no Content-Length that is a number") for n in ("-5", "-1", "1_0", "+5", "\u0663", "", "1e3", "0x10")),
        *((n, n, "has more than") for n in ("1000000000000", "9" * 30, "9" * 5000)),
        *(("more-than-there-is", 5000, "ends too early"), ("nothing", 0, "not WARC")),
    ):
        yield f"length-{name[:9]}-{len(name)}.wet", warc(page, length), message
    yield "not-UTF-8.wet", warc(b"\xff\xfe"), "not UTF-8"
    yield "no-length.wet", b"WARC/1.0\r\nWARC-Type: conversion\r\n\r\nx", "no Content-Length"
    yield "long-head.wet", b"WARC/1.0\r\n" + b"X: y\r\n" * 400_000, "has a head of more than 1 MB"
    yield "long-line-in-head.wet", b"WARC/1.0\r\nX: " + b"y" * 5_000_000, "has a head of more than 1 MB"
    yield "one-long-line.wet", b"W" * 5_000_000, "not WARC"
    yield "line-ends.wet", b"WARC/1.0\nWARC-Type: conversion\nContent-Length: 3\n\nabc\n\n", READ
    yield "head-not-UTF-8.wet", warc(page, more="WARC-Target-URI: ht\x01tp\r\n").replace(b"\x01", b"\xff"), READ
    yield "nothing.txt", b"", READ
    yield "NUL.txt", bytes(9999), READ
    yield "byte-order-mark.txt", b"\xef\xbb\xbf" + page, READ
    yield "not-UTF-8.txt", page + b"\xff\xfe", "not UTF-8"
    yield "UTF-32.txt", PAGE.encode("utf-32"), "not UTF-8"
    packed = gzip.compress(page)
    yield "cut-off.txt.gz", packed[:-3], "can't be read"
    yield "junk-behind.txt.gz", packed + b"junk", "can't be read"
    yield "wrong-checksum.txt.gz", packed[:-8] + bytes(4) + packed[-4:], "can't be read"
    yield "not-packed.txt.gz", page, "can't be read"
    yield "nothing.txt.gz", b"", "it is empty"
    yield "many-members.txt.gz", gzip.compress(b"") * 20_000 + packed, READ
    frame = zstandard.compress(page)
    yield "cut-off.txt.zst", frame[:-3], "ends too early"
    yield "junk-behind.txt.zst", frame + b"junk", "can't be read"
    yield "not-packed.txt.zst", page, "can't be read"
    yield "nothing.txt.zst", b"", "it is empty"
    yield "many-frames.txt.zst", zstandard.compress(b"") * 20_000 + frame, READ
    yield "a-window-of-a-gigabyte.txt.zst", b"\x28\xb5\x2f\xfd\x00\xa0" + b"\x01\x00\x00", "can't be read"
    yield "not-Parquet.parquet", page, "can't be read"
    yield "nothing.parquet", b"", "can't be read"
    yield "a-footer-that-lies.parquet", b"PAR1" + b"\xff" * 400 + b"\xff\xff\xff\x7fPAR1", "can't be read"


def parquet(columns: dict[str, Any] | pa.Table) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(columns if isinstance(columns, pa.Table) else pa.table(columns), out)
    return out.getvalue()


def tables() -> Iterator[tuple[str, bytes, str]]:
    """Parquet files with other types than strings, and with values that Python can't hold."""
    not_utf8 = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\2\0\0\0\3\0\0\0"), pa.py_buffer(b"\xff\xfea")])
    for name, values in {
        "lists": [[PAGE]],
        "large lists": pa.array([[PAGE]], pa.large_list(pa.string())),
        "maps": pa.array([[("a", PAGE)]], pa.map_(pa.string(), pa.string())),
        "structs": [{"text": PAGE}],
        "integers": [1],
        "bytes": [b"\xff"],
        "nothing": pa.nulls(2),
    }.items():
        yield f"{name}.parquet", parquet({"text": values}), "expected strings"
    yield "null.parquet", parquet({"text": [PAGE, None]}), "row 2: the column 'text' is null"
    yield "not-UTF-8.parquet", parquet({"text": not_utf8}), "row 1: the column 'text' can't be read"
    yield "not-UTF-8-in-dictionary.parquet", parquet({"text": not_utf8.dictionary_encode()}), "row 1: the column 'text' can't be read"
    yield "two-columns.parquet", parquet(pa.Table.from_arrays([pa.array([PAGE])] * 2, names=["text", "text"])), "no column 'text', only"
    yield "many-columns.parquet", parquet({f"k{i}": [1] for i in range(2000)}), "no column 'text', only 'k0'"
    yield "no-columns.parquet", parquet(pa.table({})), "no column 'text'"
    yield "no-rows.parquet", parquet({"text": pa.array([], pa.string())}), READ
    for name, values in {
        "not UTF-8": not_utf8,
        "a date beyond all": pa.array([2**52] * 2, pa.timestamp("ms")),
        "nanoseconds": pa.array([12345678901234567] * 2, pa.timestamp("ns")),
        "NaN": [float("nan")] * 2,
        "structs": [{"a": 1}] * 2,
        "bytes": [b"\xff"] * 2,
        "null": pa.nulls(2),
    }.items():
        yield f"id-{name}.parquet", parquet({"id": values, "text": [PAGE] * 2}), READ


def hostile_files() -> Iterator[tuple[str, bytes, str]]:
    """All of them."""
    yield from json_lines()
    yield from others()
    yield from tables()
