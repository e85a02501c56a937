"""`detector.corpus`: files in, files out, and what is wrong with them, by file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from detector.corpus import CorpusError, Format, format_of, read_records, written


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
    "deep nesting": (b'{"text": ' + b"[" * 200_000 + b"\n", r"a\.jsonl:1: not JSON"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_reported_with_file_and_line(tmp_path: Path, defect: str) -> None:
    raw, message = DEFECTS[defect]
    path = tmp_path / "a.jsonl"
    path.write_bytes(raw)
    with pytest.raises(CorpusError, match=message):
        list(read_records(str(path), "jsonl"))


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
