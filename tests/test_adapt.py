"""`training.adapt`: weights shift towards new labels, and stay where these say nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from detector import Detector
from detector.features import hash_lines
from detector.model import Model
from training import adapt as module
from training.adapt import RIDGE, adapt, texts_with, tfidf_of
from training.pipeline import count_ngrams

CONSENT = ["Grant for today", "Page memory is off and needs your grant", "Helpers write notes into page memory", "Wipe my notes"]
ARTICLE = ["The grant pays for half of the roof", "She has a good memory for faces", "Thirty helpers put up the tents", "Notes of a walk to the mill"]
TEXTS = [*CONSENT, *ARTICLE]
LABELS = np.array([True] * len(CONSENT) + [False] * len(ARTICLE))
ONES = np.ones(len(TEXTS))


def log_odds(model: Model, texts: list[str]) -> np.ndarray[Any, Any]:
    return model.log_odds(hash_lines("\n".join(texts), model.bits))


@pytest.fixture(scope="module")
def model() -> Model:
    return Detector.load().model


@pytest.fixture(scope="module")
def adapted(model: Model) -> Model:
    return adapt(model, TEXTS, LABELS, ONES * 3)


def test_new_labels_are_learnt(model: Model, adapted: Model) -> None:
    assert (log_odds(model, CONSENT) < 0).all()
    assert (log_odds(adapted, CONSENT) > 0).all()
    assert (log_odds(adapted, ARTICLE) < 0).all()


def test_ngrams_that_no_label_holds_keep_their_weight(model: Model, adapted: Model) -> None:
    counts = count_ngrams(TEXTS, model.bits)[0]
    untouched = np.setdiff1d(np.arange(1 << model.bits), counts.indices)
    change = (adapted.weights - model.weights)[untouched] * model.idf[untouched]
    assert np.abs(change).max() <= adapted.grid  # what rounding to the grid of prediction may do


def test_labels_that_the_model_gives_anyway_change_next_to_nothing(model: Model) -> None:
    texts = [
        "We use cookies to personalise content and ads. Accept all cookies",
        "The council voted nine to two to repair the old footbridge on Monday.",
    ]
    same = adapt(model, texts, np.array([True, False]), np.ones(2))
    assert np.abs(log_odds(same, texts) - log_odds(model, texts)).max() < 0.5


def test_common_words_move_less_than_new_ones(model: Model) -> None:
    free, held = (adapt(model, TEXTS, LABELS, ONES * 3, remembered=r) for r in (0.0, 0.1))
    common = np.flatnonzero(texts_with(model) > 1000)
    moved = [np.abs((m.weights - model.weights)[common]).sum() for m in (free, held)]
    assert moved[1] < moved[0] / 10


def test_base_texts_keep_their_probability(model: Model) -> None:
    base = ["Grant for today's concert given by the county", "Helpers wanted at the fete", "Wipe the notes off the board"]
    before = log_odds(model, base)
    without, with_base = (log_odds(adapt(model, TEXTS, LABELS, ONES * 3, base=b, remembered=0.0), base) for b in ([], base * 100))
    assert (np.abs(with_base - before) < np.abs(without - before) / 2).all()


def test_it_is_the_minimum_that_scikit_learn_finds_too(model: Model) -> None:
    """From weights of zero and without memory, it is an ordinary logistic regression without a bias."""
    blank = replace(model, weights=np.zeros_like(model.weights), hot=np.zeros_like(model.hot), bias=0.0)
    found = adapt(blank, TEXTS, LABELS, ONES, remembered=0.0)
    x = tfidf_of(blank).transform(count_ngrams(TEXTS, model.bits)[0])
    expected = LogisticRegression(C=1 / RIDGE, fit_intercept=False, tol=1e-8, max_iter=1000).fit(x, LABELS)
    assert np.allclose(log_odds(found, TEXTS), expected.decision_function(x), atol=0.02)


def test_rows_on_disk_give_the_same_as_rows_in_memory(model: Model, adapted: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IN_MEMORY", 0)
    monkeypatch.setattr(module, "TEXTS_AT_ONCE", 3)
    again = adapt(model, TEXTS, LABELS, ONES * 3)
    assert np.allclose(log_odds(again, TEXTS), log_odds(adapted, TEXTS), atol=0.01)


def test_what_became_heavy_counts_once(model: Model, adapted: Model) -> None:
    size = np.abs(adapted.weights * adapted.idf)
    least = np.abs(model.weights * model.idf)[model.hot].min()
    assert adapted.hot[size >= least * 1.001].all()
    assert (adapted.hot | ~model.hot).all()
