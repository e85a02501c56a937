"""`training.fit` and `training.pipeline`: what is learnt, and that prediction scores as training does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Detector
from detector.features import hash_lines
from detector.model import Model, probability_of
from tests import labelled
from training.dataset import DatasetError
from training.fit import MAY_LOSE, Fit, Settings, Table, choose_thresholds, fit, folds_by_group, merge_copies
from training.pipeline import OccurrenceTfidf, count_ngrams, paragraph_pipeline
from training.sources import Source
from training.sources import labelled as labelled_source

SETTINGS = Settings(bits=12, folds=3)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return labelled_source([labelled.write(tmp_path_factory.mktemp("labelled") / "made.jsonl", 60)])


@pytest.fixture(scope="module")
def fitted(source: Source) -> Fit:
    return fit([source], SETTINGS, quiet=True)


@pytest.fixture(scope="module")
def pipeline_and_model() -> tuple[Any, Model]:
    texts = [str(p["text"]) for d in labelled.documents(80) for p in d["paragraphs"]]
    y = np.array([p["label"] == "boilerplate" for d in labelled.documents(80) for p in d["paragraphs"]])
    pipeline = paragraph_pipeline(bits=10, hot_share=0.05).fit(texts, y)
    tfidf, classifier = pipeline["tfidf"], pipeline["classifier"]
    model = Model(
        bits=10,
        weights=classifier.coef_[0].astype(np.float32),
        idf=tfidf.idf_.astype(np.float32),
        hot=tfidf.hot_,
        bias=float(classifier.intercept_[0]),
        alone=(1.0, 0.0),
        context=np.zeros((1, 1)),
        context_bias=np.zeros(1),
        thresholds={},
    )
    return pipeline, model


@given(st.lists(st.text(st.sampled_from("cookies accept weABü漢字 1."), max_size=60), min_size=1, max_size=8))
@settings(max_examples=100, deadline=None)
def test_the_exported_scorer_gives_what_the_pipeline_gives(pipeline_and_model: tuple[Any, Model], texts: list[str]) -> None:
    pipeline, model = pipeline_and_model
    scores = model.log_odds(hash_lines("\n".join(texts), model.bits))
    assert np.allclose(scores, pipeline.decision_function(texts), atol=1e-5)


def test_the_exported_scorer_gives_what_the_pipeline_gives_on_long_repetitive_text(pipeline_and_model: tuple[Any, Model]) -> None:
    pipeline, model = pipeline_and_model
    texts = ["cookies " * n + "The harbour and the bread " * 50 + "Accept all " * n for n in (1, 9, 200)]
    assert model.hot.any()
    scores = model.log_odds(hash_lines("\n".join(texts), model.bits))
    assert np.allclose(scores, pipeline.decision_function(texts), atol=1e-5)


def test_a_hot_bucket_counts_once_and_the_norm_counts_occurrences() -> None:
    counts, _ = count_ngrams(["cookies cookies cookies bread", "bread bread", "harbour cookies"], 8)
    tfidf = OccurrenceTfidf(hot_share=1.0).fit(counts, np.array([True, False, False]))
    dense, idf = counts.toarray(), tfidf.idf_
    expected = (dense > 0) * idf / np.sqrt((dense * idf**2).sum(axis=1, keepdims=True))
    assert np.allclose(tfidf.transform(counts).toarray(), expected)
    tfidf.hot_[:] = False
    assert np.allclose(tfidf.transform(counts).toarray(), dense * expected)


def test_a_share_of_the_buckets_is_hot() -> None:
    texts = [p["text"] for d in labelled.documents(40) for p in d["paragraphs"]]
    y = np.array([p["label"] == "boilerplate" for d in labelled.documents(40) for p in d["paragraphs"]])
    counts, _ = count_ngrams(texts, 10)
    assert OccurrenceTfidf(hot_share=0.02).fit(counts, y).hot_.sum() == round(0.02 * 1024)


def test_a_fitted_model_finds_consent_text_of_sites_it_has_not_seen(fitted: Fit) -> None:
    detector = Detector(fitted.model, threshold="balanced")
    for document in labelled.documents(12, seed=99):
        rows = [row for row in document["paragraphs"] if row["label"] != "unsure"]
        filtered = detector.filter("\n".join(row["text"] for row in rows))
        kept = filtered.text.splitlines()
        assert not [row for row in rows if (row["text"] in kept) != (row["label"] == "article") and row["label"] != "other"]


def test_the_same_inputs_and_seed_give_the_same_model(source: Source, fitted: Fit) -> None:
    again = fit([source], Settings(bits=12, folds=3, jobs=2), quiet=True)
    for name in ("weights", "idf", "hot", "context", "context_bias"):
        assert getattr(again.model, name).tobytes() == getattr(fitted.model, name).tobytes(), name
    assert (again.model.bias, again.model.alone, again.model.thresholds) == (fitted.model.bias, fitted.model.alone, fitted.model.thresholds)


def test_a_site_is_never_in_two_folds(source: Source) -> None:
    table = Table.of([source])
    fold = folds_by_group(table, SETTINGS)
    assert all(len(set(fold[table.group == group])) == 1 for group in set(table.group))
    assert set(fold) == {0, 1, 2}


def test_out_of_fold_probabilities_are_calibrated(fitted: Fit) -> None:
    table = fitted.table
    assert abs(fitted.probability[table.known].mean() - table.boilerplate[table.known].mean()) < 0.02


def test_thresholds_lose_no_more_than_they_may() -> None:
    rng = np.random.default_rng(0)
    probability, article = probability_of(rng.normal(-4, 3, 50_000)), rng.random(50_000) < 0.9
    thresholds = choose_thresholds(probability, article)
    for name, share in MAY_LOSE.items():
        lost = (probability[article] >= thresholds[name]).sum()
        assert lost <= share * article.sum() < lost + 1.5, name
    assert list(thresholds) == ["precision", "balanced", "recall"]


def test_copies_of_a_text_count_once_for_each_label() -> None:
    rows, weight = merge_copies(
        np.array([0, 1, 2, 4]), np.array([5, 5, 5, 7, 7]), np.array([True, True, False, True, False]), np.array([1.0, 3, 2, 9, 4])
    )
    assert sorted(zip(rows.tolist(), weight.tolist(), strict=True)) == [(0, 3.0), (2, 2.0), (4, 4.0)]


def test_a_source_may_weigh_more(source: Source) -> None:
    table = Table.of([source], {"labelled": 5.0})
    assert set(table.weight) == {5.0}


@pytest.mark.parametrize(("n", "message"), [(0, "has 0 sites or documents, fewer than 3 folds"), (2, "has 2 sites or documents, fewer than 3 folds")])
def test_too_few_sites_are_refused(tmp_path: Path, n: int, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fit([labelled_source([labelled.write(tmp_path / "few.jsonl", n)])], SETTINGS, quiet=True)


def test_one_label_alone_is_refused(source: Source) -> None:
    article = [d for d in source.documents if all(p.label != "boilerplate" for p in d.paragraphs)]
    with pytest.raises(DatasetError, match="needs paragraphs of both labels, article and boilerplate"):
        fit([Source("labelled", article, {}, measured=True)], SETTINGS, quiet=True)
