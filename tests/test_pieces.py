"""`detector.pieces`: lines that join article and consent text are cut, and nothing of them is lost."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Detector
from detector.pieces import (
    CLEAR_WORDS,
    CLEARER,
    DETAILS,
    DOUBT,
    GATE,
    SURE,
    SURELY,
    Pieces,
    _best_labels,
    cut_into_pieces,
    differing,
    most_of_whole,
    some_of,
)
from tests.conftest import joined_lines

SHIPPED = Detector.load()
NUMBERS = st.floats(-6, 6, allow_nan=False)


def worth(labels: tuple[bool, ...], rows: list[tuple[float, ...]]) -> float:
    """Value of a labelling as `_best_labels` defines it."""
    total = sum(row[0] / 2 if label else -row[0] / 2 for label, row in zip(labels, rows, strict=True))
    for i in range(1, len(labels)):
        _, begin, _, pair, turn = rows[i]
        changed = labels[i] != labels[i - 1]
        total += (begin - rows[i - 1][2]) / 2 * (1 if labels[i] else -1) - turn if changed else pair / 2 * (1 if labels[i] else -1)
    return total


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.floats(0, 3)), min_size=1, max_size=7))
def test_the_labelling_of_units_is_the_best_of_all(rows: list[tuple[float, ...]]) -> None:
    found = tuple(_best_labels(*np.array(rows).T).tolist())
    best = max(worth(labels, rows) for labels in product((False, True), repeat=len(rows)))
    assert worth(found, rows) == pytest.approx(best)


@given(st.lists(st.one_of(st.sampled_from(joined_lines()), st.text(max_size=30)).map(lambda text: text.replace("\n", " ")), max_size=5))
@settings(max_examples=60, deadline=None)
def test_pieces_lie_side_by_side_and_cover_their_line(lines: list[str]) -> None:
    pieces = cut_into_pieces(SHIPPED.model, lines)
    assert len(pieces.bounds) == len(lines) + 1
    for line, (a, b) in zip(lines, pairwise(pieces.bounds.tolist()), strict=True):
        starts = pieces.start[a:b].tolist()
        assert starts[0] == 0
        assert all(x < y for x, y in pairwise(starts))
        assert starts[-1] <= len(line)


def test_a_piece_scores_as_the_same_text_alone() -> None:
    line = joined_lines()[0]
    pieces = cut_into_pieces(SHIPPED.model, [line])
    texts = [line[a:b] for a, b in pairwise([*pieces.start.tolist(), len(line)])]
    alone = cut_into_pieces(SHIPPED.model, texts)
    assert len(texts) > 1
    first = alone.bounds[:-1]
    same = np.diff(alone.bounds) == 1
    assert np.array_equal(alone.log_odds[first][same], pieces.log_odds[same])


def test_some_lines_keep_their_pieces() -> None:
    pieces = cut_into_pieces(SHIPPED.model, joined_lines()[:6])
    chosen = np.array([1, 4])
    some = some_of(pieces, chosen)
    for i, line in enumerate(chosen.tolist()):
        here, there = slice(*some.bounds[i : i + 2]), slice(*pieces.bounds[line : line + 2])
        assert some.start[here].tolist() == pieces.start[there].tolist()
        assert some.log_odds[here].tolist() == pieces.log_odds[there].tolist()
        assert some.details[:, here].tolist() == pieces.details[:, there].tolist()


def test_lines_differ_that_have_consent_text_beside_other_text() -> None:
    lines = [
        "The harbour reopens on Monday, the mayor of the town said. We use cookies to show personalised ads.",
        "We use cookies to show personalised ads.",
    ]
    assert differing(cut_into_pieces(SHIPPED.model, lines)).tolist() == [0]
    assert differing(cut_into_pieces(SHIPPED.model, [])).tolist() == []


WHOLE_LINES = {
    "a piece that is surely article text": (0.0, [(SURE, CLEAR_WORDS), (3.0, 9)], SURELY),
    "a piece that is clearly article text": (0.0, [(CLEARER, CLEAR_WORDS), (3.0, 9)], DOUBT),
    "no such piece": (0.0, [(CLEARER + 0.1, 20), (3.0, 9)], np.inf),
    "only a piece of few words": (0.0, [(SURE, CLEAR_WORDS - 1), (3.0, 9)], np.inf),
    "consent text by itself": (GATE, [(SURE, 20), (9.0, 9)], np.inf),
}


@pytest.mark.parametrize(("own", "pieces", "most"), WHOLE_LINES.values(), ids=WHOLE_LINES)
def test_neighbours_make_no_consent_text_of_a_line_with_a_piece_that_is_not(own: float, pieces: list[tuple[float, int]], most: float) -> None:
    log_odds, n_tokens = (np.array(column) for column in zip(*pieces, strict=True))
    n = len(pieces)
    of_line = Pieces(np.array([0, n]), np.arange(n), log_odds.astype(np.float64), n_tokens, np.zeros((len(DETAILS), n)))
    assert most_of_whole(np.array([own]), of_line).tolist() == [most]
    assert most_of_whole(np.empty(0), some_of(of_line, np.empty(0, np.intp))).tolist() == []
