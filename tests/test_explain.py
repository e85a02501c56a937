"""`detector.Detector.explain`: the parts are the log-odds, and their sum the probability."""

from __future__ import annotations

import gzip
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Detector, Explanation
from tests.conftest import SHARED, joined_lines

SHIPPED = Detector.load()
LINES = st.one_of(
    st.sampled_from(
        ["We use cookies to improve your visit.", "Accept all", "Sunday league results", "OK", "", "***", "すべて許可", "쿠키를 사용합니다"]
    ),
    st.sampled_from(joined_lines()),
    st.text(max_size=25),
)


def check_sums(explanations: list[Explanation]) -> None:
    for e in explanations:
        total = sum(n.contribution for n in e.ngrams) + e.bias + e.alone + e.neighbours
        assert total == pytest.approx(e.log_odds, abs=1e-5)
        assert 1 / (1 + np.exp(-np.clip(e.log_odds, -40, 40))) == pytest.approx(e.paragraph.probability, abs=1e-9)


@given(st.lists(LINES, max_size=6).map("\n".join))
@settings(max_examples=100, deadline=None)
def test_the_parts_sum_to_the_log_odds_of_every_paragraph(text: str) -> None:
    explanations = SHIPPED.explain(text)
    check_sums(explanations)
    assert [e.paragraph for e in explanations] == [p for p in SHIPPED.filter(text).paragraphs if p.text.strip()]


def test_the_parts_sum_to_the_log_odds_on_real_pages() -> None:
    with gzip.open(SHARED / "pages" / "pages.jsonl.gz", "rt", encoding="utf-8") as lines:
        pages = [json.loads(line) for i, line in enumerate(lines) if i % 40 == 0]
    assert len(pages) > 10
    for page in pages:
        check_sums(SHIPPED.explain("\n".join(p["text"] for p in page["paragraphs"])))


def test_the_ngrams_are_those_of_the_text_and_the_largest_come_first() -> None:
    (explanation,) = SHIPPED.explain("We use cookies, and cookies use us.")
    found = {(n.text, n.kind): n.count for n in explanation.ngrams}
    assert found["cookies", "word"] == 2
    assert found["cook…", "prefix4"] == 2
    assert found["we use", "bigram"] == 1
    assert found["we use", "first_two"] == 1
    assert found["us", "last"] == 1
    sizes = [abs(n.contribution) for n in explanation.ngrams]
    assert sizes == sorted(sizes, reverse=True)
    assert max(explanation.ngrams, key=lambda n: n.contribution).contribution > 0


@pytest.mark.parametrize(
    ("text", "kind", "ngram"),
    [("쿠키를 사용합니다", "prefix4", "사용…"), ("すべて許可", "prefix4", "すべて"), ("Ήλιος 2024", "word", "ηλιοσ"), ("in 2024", "word", "0000")],
)
def test_ngrams_are_shown_as_the_features_see_them(text: str, kind: str, ngram: str) -> None:
    (explanation,) = SHIPPED.explain(text)
    assert (ngram, kind) in {(n.text, n.kind) for n in explanation.ngrams}


def test_neighbours_are_what_the_document_adds() -> None:
    alone = SHIPPED.explain("OK")[0]
    beside = SHIPPED.explain("We use cookies to personalise content and ads.\nAccept all cookies\nOK")[-1]
    assert alone.neighbours == pytest.approx(0)
    assert beside.neighbours > 1
    assert [n.contribution for n in beside.ngrams] == [n.contribution for n in alone.ngrams]


def test_nothing_has_no_explanation_and_other_types_are_refused() -> None:
    assert SHIPPED.explain("") == SHIPPED.explain(" \n\n") == []
    with pytest.raises(TypeError, match="text must be str, got bytes"):
        SHIPPED.explain(b"x")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["\u00ad\nOK", "\u00ad\u00ad\n \nOK\n\u00ad", " \u00ad \n\u00adOK"])
def test_a_line_of_nothing_but_soft_hyphens_has_no_text_to_explain(text: str) -> None:
    assert [e.paragraph.text.replace("\u00ad", "").strip() for e in SHIPPED.explain(text)] == ["OK"]


def test_a_document_is_split_once_however_many_lines_it_has() -> None:
    splits = 0

    class Counted(str):
        __slots__ = ()

        def split(self, *separator: Any) -> list[str]:
            nonlocal splits
            splits += 1
            return super().split(*separator)

    assert len(SHIPPED.explain(Counted("OK\n" * 50))) == 50
    assert splits <= 2
