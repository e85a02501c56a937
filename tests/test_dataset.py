"""`training.dataset`: labelled documents are read, and each defect is named with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA
from training.dataset import MOST_DEFECTS, DatasetError, check_splits, read_documents

P = {"text": "Accept all", "label": "boilerplate", "kind": "button"}
Q = {"text": "The council met.", "label": "article"}


def write(path: Path, *records: object) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records), encoding="utf-8")
    return path


def test_documents_are_read_with_all_they_say(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": "x", "lang": "en", "source": "s", "site": "a.example", "paragraphs": [P, {**Q, "hard": True}]})
    (document,) = read_documents([path])
    assert (document.id, document.lang, document.source, document.group) == ("x", "en", "s", "a.example")
    assert [(p.text, p.label, p.kind, p.hard) for p in document.paragraphs] == [
        ("Accept all", "boilerplate", "button", False),
        ("The council met.", "article", None, True),
    ]
    assert document.place == f"{path}:1"


def test_flat_lines_of_one_document_make_a_document(tmp_path: Path) -> None:
    rows = [{**P, "document": "d1", "lang": "en"}, {**Q, "document": "d1", "lang": "en"}, {**Q, "document": "d2"}, P, Q]
    path = tmp_path / "flat.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    assert [[p.label for p in document.paragraphs] for document in read_documents([path])] == [
        ["boilerplate", "article"],
        ["article"],
        ["boilerplate"],
        ["article"],
    ]


DEFECTS: dict[str, tuple[object, str]] = {
    "no JSON": ("{", "no JSON"),
    "a list": ([1], "a list, expected an object"),
    "an unknown label": ({**P, "label": "bad"}, "label 'bad', expected one of article, boilerplate, other, unsure"),
    "no label": ({"text": "a"}, "label None"),
    "an unknown kind": ({**P, "kind": "popup"}, "kind 'popup', expected one of banner"),
    "blank text": ({**P, "text": " \t"}, "the text is blank"),
    "no text": ({"label": "article"}, "'text' is NoneType, expected str"),
    "a line end": ({**P, "text": "a\nb"}, "has a line end inside"),
    "paragraphs that are no list": ({"id": "a", "paragraphs": "x"}, "'paragraphs' is a str, expected a list"),
    "a paragraph that is no object": ({"id": "a", "paragraphs": ["x"]}, "paragraph 1: a str, expected an object"),
    "a bad paragraph": ({"id": "a", "paragraphs": [Q, {**P, "label": "?"}]}, "paragraph 2: label '\\?'"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_named_with_file_and_line(defect: str, tmp_path: Path) -> None:
    record, message = DEFECTS[defect]
    path = write(tmp_path / "a.jsonl", Q, record)
    with pytest.raises(DatasetError, match=f"1 defects in the labelled data:\n{path}:2.*{message}"):
        read_documents([path])


def test_an_id_used_twice_is_a_defect(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"id": "x", "paragraphs": [Q]}, {"id": "x", "paragraphs": [P]})
    with pytest.raises(DatasetError, match=f"{path}:2: the id 'x' stands at {path}:1 too"):
        read_documents([path])


def test_one_paragraph_between_the_same_neighbours_has_one_label(tmp_path: Path) -> None:
    before, after = {**Q, "text": "The council met on Tuesday to vote. " * 2}, {**Q, "text": "It was a long evening for everyone in the hall. " * 2}
    both: list[dict[str, Any]] = [
        {"id": label, "paragraphs": [before, {"text": "I agree", "label": label}, after]} for label in ("article", "boilerplate")
    ]
    path = write(tmp_path / "a.jsonl", *both)
    with pytest.raises(DatasetError, match=f"{path}:2, paragraph 2: 'I agree' is boilerplate here, and the other label .* at {path}:1, paragraph 2"):
        read_documents([path])
    both[1]["paragraphs"][0] = {**Q, "text": "Before you go on, a question about your data and how we use it here."}
    assert len(read_documents([write(path, *both)])) == 2


def test_many_defects_are_listed_and_the_rest_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", *["{"] * (MOST_DEFECTS + 5))
    with pytest.raises(DatasetError, match=r"25 defects(.|\n)*\.\.\. and 5 more"):
        read_documents([path])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_bytes(b"\xff\xfe")
    raw = bytearray(gzip.compress(bytes(range(256)) * 99))
    raw[20:40] = b"\xff" * 20
    (tmp_path / "c.jsonl.gz").write_bytes(raw)
    for name in ("absent.jsonl", "b.jsonl", "c.jsonl.gz"):
        with pytest.raises(DatasetError, match=f"{name}: can't be read"):
            read_documents([tmp_path / name])


def test_a_site_in_two_splits_is_refused(tmp_path: Path) -> None:
    documents = read_documents(
        [
            write(
                tmp_path / "a.jsonl",
                *[{"id": str(i), "site": site, "paragraphs": [Q]} for i, site in enumerate(["a.example", "b.example", "a.example"])],
            )
        ]
    )
    check_splits({"train": documents[::2], "test": documents[1:2]})
    with pytest.raises(DatasetError, match=r"a\.jsonl:3: site 'a.example' is in test and in train \(.*a\.jsonl:1\)"):
        check_splits({"train": documents[:2], "test": documents[2:]})


def test_the_authored_documents_have_no_defect() -> None:
    paths = sorted((DATA / "authored").glob("*.jsonl"))
    documents = read_documents(paths)
    assert len(paths) >= 10
    assert sum(len(document.paragraphs) for document in documents) >= 1200
    assert {p.kind for document in documents for p in document.paragraphs if p.label == "boilerplate"} == {
        *("banner", "preference", "button", "opt_out", "embed", "form", "wall")
    }
