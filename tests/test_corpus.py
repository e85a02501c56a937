"""`detector.corpus`: files in, files out, and what is wrong with them, by file and line."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from detector.cli import main
from detector.corpus import CorpusError, Format, format_of, read_records, written
from detector.files import opened


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("a.jsonl", None, "jsonl"),
        ("a.JSONL.gz", None, "jsonl"),
        ("a.ndjson", None, "jsonl"),
        ("a.txt", None, "text"),
        ("a.txt.gz", None, "text"),
        ("-", None, "text"),
        ("-", "jsonl", "jsonl"),
        ("a.jsonl", "text", "text"),
    ],
)
def test_the_format_is_known_by_the_name_or_given(name: str, given: Format | None, expected: str) -> None:
    assert format_of(name, given) == expected


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_text_file_is_one_document_with_all_its_characters(tmp_path: Path, suffix: str) -> None:
    text = "\ufeffone\r\n\r\ntwo\x85\u2028three\x0c\n"
    path = tmp_path / f"a.txt{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix else text.encode())
    assert [record.text for record in read_records(str(path), "text")] == [text]


DEFECTS = {
    "no JSON": (b'{"text": "a"}\n{"text": \n', r"a\.jsonl:2: not JSON"),
    "no object": (b'["text"]\n', r"a\.jsonl:1: a JSON list, expected an object with the field 'text'"),
    "no such field": (b'{"body": "a", "id": 1}\n', r"a\.jsonl:1: no field 'text', only 'body', 'id'; name the text's field with --text-field"),
    "a null text": (b'{"text": null}\n', r"a\.jsonl:1: the field 'text' is NoneType, expected a string"),
    "not UTF-8": (b'{"text": "caf\xe9"}\n', r"a\.jsonl:1: not UTF-8 \(byte 13 is 0xe9\)"),
    "nesting that orjson reads and json does not": (
        b'{"text": "a", "b": ' + b"[" * 1000 + b"]" * 1000 + b"}\n",
        "a.jsonl:1: has more than 200 lists",
    ),
    "many other fields": (
        b'{"f0": 1' + b"".join(b', "f%d": 1' % i for i in range(1, 99)) + b"}",
        r"no field 'text', only 'f0', .*'f19', \.\.\.; name",
    ),
    "deep nesting": (b'{"text": ' + b"[" * 200_000 + b"\n", r"a\.jsonl:1: not JSON"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_reported_with_file_and_line(tmp_path: Path, defect: str) -> None:
    raw, message = DEFECTS[defect]
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(CorpusError, match=message):
        list(read_records(str(path), "jsonl"))


WARC_LENGTHS = {
    "a negative length": (b"-5", "has no Content-Length that is a number"),
    "a length that means all": (b"-1", "has no Content-Length that is a number"),
    "digits of another script": ("\u0663".encode(), "has no Content-Length that is a number"),
    "a length beyond all": (b"9" * 30, r"has more than 268,435,456 bytes, .* raise --max-document-bytes"),
    "a length beyond the memory": (b"1000000000000", r"has more than 268,435,456 bytes, .* raise --max-document-bytes"),
}


@pytest.mark.parametrize("defect", WARC_LENGTHS)
def test_a_length_of_a_record_that_cannot_be_is_reported(tmp_path: Path, defect: str) -> None:
    length, message = WARC_LENGTHS[defect]
    (tmp_path / "a.wet").write_bytes(b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: " + length + b"\r\n\r\nabc\r\n\r\n")
    with pytest.raises(CorpusError, match=rf"a\.wet:record 1: .*{message}"):
        list(read_records(str(tmp_path / "a.wet"), "wet"))


def test_a_head_without_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    for head in (b"WARC/1.0\r\n" + b"a: b\r\n" * 200_000, b"WARC/1.0\r\n" + b"a" * 1_200_000):
        (tmp_path / "a.wet").write_bytes(head)
        with pytest.raises(CorpusError, match=r"a\.wet:record 1: has a head of more than 1 MB"):
            list(read_records(str(tmp_path / "a.wet"), "wet"))


@pytest.mark.parametrize(("name", "place"), [("a.txt", "a.txt"), ("a.jsonl", "a.jsonl:3"), ("a.wet", "a.wet:record 2")])
@pytest.mark.parametrize("size", [1, 5_000_000])
def test_a_document_beyond_the_limit_is_reported_with_its_place(tmp_path: Path, name: str, place: str, size: int) -> None:
    most = 30 + size
    short, long = (json.dumps({"text": "a" * n}).encode() for n in (2, most))
    record = b"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n"
    raw = {
        "a.txt": b"a" * (most + 1),
        "a.jsonl": short + b"\n\n" + long + b"\n",
        "a.wet": record % (2, b"aa") + record % (most + 1, b"a" * (most + 1)),
    }
    (tmp_path / name).write_bytes(raw[name])
    with pytest.raises(CorpusError, match=f"{place}: has more than {most:,} bytes, the most that one document may have; split it, or raise"):
        list(read_records(str(tmp_path / name), format_of(name), "text", most))
    assert list(read_records(str(tmp_path / name), format_of(name), "text", most + 20))


def test_a_column_of_lists_of_strings_is_no_column_of_strings(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [["a"]]}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"the column 'text' is list<.*>, expected strings"):
        list(read_records(str(tmp_path / "a.parquet"), "parquet"))


def test_names_of_columns_that_are_no_utf8_are_reported(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"], "zzzz": [1]}), tmp_path / "a.parquet", store_schema=False)
    (tmp_path / "a.parquet").write_bytes((tmp_path / "a.parquet").read_bytes().replace(b"zzzz", b"\xffzzz"))
    with pytest.raises(CorpusError, match=r"a\.parquet: can't be read \('utf-8' codec can't decode byte 0xff"):
        list(read_records(str(tmp_path / "a.parquet"), "parquet"))


def test_values_that_python_cannot_hold_are_reported_by_row(tmp_path: Path) -> None:
    not_utf8 = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")])
    pq.write_table(pa.table({"text": not_utf8}), tmp_path / "a.parquet")
    with pytest.raises(CorpusError, match=r"a\.parquet:row 2: the column 'text' can't be read \('utf-8' codec"):
        list(read_records(str(tmp_path / "a.parquet"), "parquet"))
    for identifiers in (not_utf8, pa.array([2**52] * 2, pa.timestamp("ms"))):
        pq.write_table(pa.table({"text": ["b", "c"], "id": identifiers}), tmp_path / "b.parquet")
        assert [record.text for record in read_records(str(tmp_path / "b.parquet"), "parquet")] == ["b", "c"]
    pq.write_table(pa.table({"text": not_utf8.dictionary_encode()}), tmp_path / "c.parquet")
    options = ["--on-error", "skip", "--errors", str(tmp_path / "errors"), "--threshold", "0"]
    assert main(["filter", str(tmp_path / "c.parquet"), "-o", str(tmp_path / "out.parquet"), *options]) == 0
    assert pq.read_table(tmp_path / "out.parquet")["text"].to_pylist() == [""]


def test_zeros_packed_as_zstandard_come_a_little_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a.txt.zst").write_bytes(zstandard.compress(bytes(1 << 28)))
    tracemalloc.start()
    with opened(str(tmp_path / "a.txt.zst")) as (file, _):
        assert file.read(4) == bytes(4)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    tracemalloc.stop()


def test_a_missing_file_a_directory_and_a_damaged_archive_are_reported(tmp_path: Path) -> None:
    (tmp_path / "cut.txt.gz").write_bytes(gzip.compress(b"text" * 99)[:-9])
    raw = bytearray(gzip.compress(bytes(range(256)) * 99))
    raw[20:40] = b"\xff" * 20
    (tmp_path / "damaged.txt.gz").write_bytes(raw)
    for path in (tmp_path / "absent.txt", tmp_path, tmp_path / "cut.txt.gz", tmp_path / "damaged.txt.gz"):
        with pytest.raises(CorpusError, match=f"{path}: can't be read"):
            list(read_records(str(path), "text"))


def test_an_output_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("old")
    message = "stopped"
    with pytest.raises(RuntimeError, match=message), written(str(path)) as out:
        out.write("half")
        raise RuntimeError(message)
    assert path.read_text() == "old"
    with written(str(path)) as out:
        out.write("new\r\n\x85")
        assert path.read_text() == "old"
    assert path.read_bytes() == "new\r\n\x85".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_a_compressed_output_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        with written(str(tmp_path / name)) as out:
            out.write("text\n")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b"text\n"


def test_an_output_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="can't be written"), written(str(tmp_path / "absent" / "out.txt")) as out:
        out.write("text")
