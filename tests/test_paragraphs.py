"""`detector.paragraphs`: documents to paragraphs and back, without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.paragraphs import keep, newline_offsets, paragraph_lines, paragraph_offsets

TEXTS = st.one_of(st.text(st.sampled_from("ab \n\r\t\u2028\x85\x0cé漢👍\ud800"), max_size=40), st.text(max_size=60))


def offsets(text: str) -> list[tuple[int, int]]:
    start, end = paragraph_offsets(text, np.array([not line.strip() for line in text.split("\n")]))
    return list(zip(start.tolist(), end.tolist(), strict=True))


@pytest.mark.parametrize(
    ("text", "paragraphs"),
    [
        ("", []),
        ("\n", ["\n"]),
        ("one", ["one"]),
        ("one\n", ["one\n"]),
        ("one\ntwo", ["one\n", "two"]),
        ("one\n\n \t\ntwo\n\n", ["one\n\n \t\n", "two\n\n"]),
        ("\n\none", ["\n\n", "one"]),
        ("a\r\nb\u2028c\x85d\x0ce\rf\ng", ["a\r\n", "b\u2028c\x85d\x0ce\rf\n", "g"]),
        ("👍\n漢字\n", ["👍\n", "漢字\n"]),
    ],
)
def test_a_paragraph_is_a_line_with_the_blank_lines_after_it(text: str, paragraphs: list[str]) -> None:
    assert [text[a:b] for a, b in offsets(text)] == paragraphs


@given(TEXTS)
def test_paragraphs_lie_side_by_side_and_cover_the_document(text: str) -> None:
    assert "".join(text[a:b] for a, b in offsets(text)) == text
    assert all(a < b for a, b in offsets(text))


@given(TEXTS)
def test_newlines_are_found_by_code_point(text: str) -> None:
    assert newline_offsets(text).tolist() == [i for i, c in enumerate(text) if c == "\n"]


@given(TEXTS, st.data())
def test_kept_text_is_the_kept_slices(text: str, data: st.DataObject) -> None:
    spans = offsets(text)
    removed = data.draw(st.lists(st.booleans(), min_size=len(spans), max_size=len(spans)))
    start, end = (np.array([span[i] for span in spans], np.intp) for i in (0, 1))
    kept = keep(text, start, end, np.array(removed, np.bool_))
    assert kept == "".join(text[a:b] for (a, b), gone in zip(spans, removed, strict=True) if not gone)
    if not any(removed):
        assert kept is text


def test_a_document_without_lines_has_no_paragraph_lines() -> None:
    assert paragraph_lines(np.empty(0, np.bool_)).tolist() == []
