"""`detector.paragraphs`: documents to paragraphs and back, without loss."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detector.paragraphs import cut_lines, newline_offsets, paragraph_lines, paragraph_offsets

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
def test_kept_text_is_the_slices_between_the_lines_that_are_cut(text: str, data: st.DataObject) -> None:
    lines = text.split("\n")
    edges = data.draw(st.lists(st.integers(0, len(lines)), max_size=6).map(sorted))
    spans = list(zip(edges[0::2], edges[1::2], strict=False))
    ended = [line + "\n" for line in lines[:-1]] + lines[-1:]
    gone = {i for a, b in spans for i in range(a, b)}
    kept = cut_lines(text, spans, len(lines))
    assert kept == "".join(line for i, line in enumerate(ended) if i not in gone)
    if not gone:
        assert kept is text


def test_a_document_without_lines_has_no_paragraph_lines() -> None:
    assert paragraph_lines(np.empty(0, np.bool_)).tolist() == []
