"""`detector.context`: features of a paragraph among its neighbours."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from detector.context import FEATURES, ONE, OUTSIDE, WINDOWS, context_features, layout_of

SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=5)


def columns(own: np.ndarray, refined: np.ndarray, n_tokens: np.ndarray, bounds: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(FEATURES, context_features(own, refined, layout_of(n_tokens, bounds)), strict=True))


@given(SIZES, st.integers(0, 1000))
def test_a_document_has_the_same_features_in_any_batch(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    bounds = np.cumsum([0, *sizes])
    own, refined, n_tokens = rng.normal(0, 6, bounds[-1]), rng.normal(0, 6, bounds[-1]), rng.integers(0, 99, bounds[-1])
    together = columns(own, refined, n_tokens, bounds)
    for a, b in itertools.pairwise(bounds):
        alone = columns(own[a:b], refined[a:b], n_tokens[a:b], np.array([0, b - a]))
        for name in FEATURES:
            assert together[name][a:b].tobytes() == alone[name].tobytes(), name


def test_windows_average_the_neighbours_and_not_the_paragraph() -> None:
    refined = np.array([-9.0, 9.0, 0.0, -9.0, 3.0])
    found = columns(refined, refined, np.arange(5), np.array([0, 5]))
    probability = np.rint(ONE / (1 + np.exp(-refined))) / ONE
    for w in WINDOWS:
        for i in range(5):
            assert np.isclose(found[f"mean_up_{w}"][i], probability[max(0, i - w) : i].sum() / w)
            assert np.isclose(found[f"mean_down_{w}"][i], probability[i + 1 : i + 1 + w].sum() / w)


def test_neighbours_end_with_the_document() -> None:
    refined = np.array([5.0, 4.0, 3.0])
    found = columns(refined, refined, np.ones(3, int), np.array([0, 2, 3]))
    assert found["at_up1"].tolist() == [OUTSIDE, 5.0, OUTSIDE]
    assert found["at_down1"].tolist() == [4.0, OUTSIDE, OUTSIDE]
    assert found["n_before"].tolist() == [0, np.log1p(1), 0]
    assert found["peak_down"][1] == found["sum_of_others"][2] == 0


def test_no_paragraphs_have_no_features() -> None:
    empty = np.empty(0)
    assert all(len(column) == 0 for column in context_features(empty, empty, layout_of(np.empty(0, int), np.array([0, 0]))))


@given(SIZES, st.integers(0, 1000))
def test_some_paragraphs_have_the_features_that_they_have_among_all(sizes: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    bounds = np.cumsum([0, *sizes])
    own, refined, n_tokens = rng.normal(0, 6, bounds[-1]), rng.normal(0, 6, bounds[-1]), rng.integers(0, 99, bounds[-1])
    at = np.flatnonzero(rng.random(bounds[-1]) < 0.4)
    every, chosen = (context_features(own, refined, layout_of(n_tokens, bounds, rows)) for rows in (None, at))
    for all_of, some in zip(every, chosen, strict=True):
        assert all_of[at].tobytes() == some.tobytes()
