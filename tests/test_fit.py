"""`training.fit` and `training.pipeline`: what is learnt, and that prediction scores as training does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detector import Detector
from detector.features import hash_lines
from detector.model import FEW_WORDS, LENGTH, Alone, Model, probability_of
from tests import labelled
from training.dataset import DatasetError, LabelledDocument, LabelledParagraph
from training.evaluate import texts_alone
from training.fit import (
    MAY_LOSE,
    MOST_BALANCE,
    Fit,
    Settings,
    Table,
    balance_languages,
    choose_thresholds,
    context_weights,
    fit,
    fit_length,
    folds_by_group,
    merge_copies,
)
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
        alone=Alone(0.0, 1.0, 0.0, 1.0, 0.0),
        context=np.zeros((1, 1)),
        context_bias=np.zeros(1),
        pieces=np.zeros((1, 1)),
        pieces_bias=np.zeros(1),
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
    for name in ("weights", "idf", "hot", "context", "context_bias", "pieces", "pieces_bias"):
        assert getattr(again.model, name).tobytes() == getattr(fitted.model, name).tobytes(), name
    assert (again.model.bias, again.model.alone, again.model.thresholds) == (fitted.model.bias, fitted.model.alone, fitted.model.thresholds)


def test_a_site_is_never_in_two_folds(source: Source) -> None:
    table = Table.of([source])
    fold = folds_by_group(table, SETTINGS)
    assert all(len(set(fold[table.group == group])) == 1 for group in set(table.group))
    assert set(fold) == {0, 1, 2}


def test_pages_keep_their_folds_when_other_sources_change(source: Source) -> None:
    consent = [LabelledDocument(f"c{i}", "fi", "packages", f"packages/{i}", (LabelledParagraph(f"suostumus {i}", "boilerplate"),)) for i in range(9)]
    both = Table.of([Source("packages", consent, {}, measured=False), source])
    assert folds_by_group(both, SETTINGS)[both.measured].tolist() == folds_by_group(Table.of([source]), SETTINGS).tolist()


def test_consent_text_of_composed_documents_weighs_least_in_the_context_stage() -> None:
    consent, article = LabelledParagraph("We use cookies", "boilerplate"), LabelledParagraph("The council met", "article")

    def table(measured: bool, *documents: tuple[LabelledParagraph, ...]) -> list[Source]:
        made = [LabelledDocument(f"{measured}{i}", "en", "made", f"{measured}{i}", rows) for i, rows in enumerate(documents)]
        return [Source("pages" if measured else "authored", made, {}, measured=measured)]

    composed = table(False, (article, consent), (), (article,))
    weights = context_weights(Table.of(composed + table(True, (article,))), Settings(context_weight=0.1, article_weight=0.4))
    assert weights.tolist() == [0.4, 0.1, 0.4, 1.0]
    long = table(False, (article,) * 50, (article, consent))
    assert context_weights(Table.of(long), Settings(context_weight=0.1, article_weight=0.4)).tolist() == [1.0] * 50 + [0.4, 0.1]
    assert context_weights(Table.of(table(False, (article, consent))), Settings()).tolist() == [1.0, 1.0]


def test_what_means_nothing_alone_teaches_the_context_stage_only() -> None:
    texts = (("Cookies", False), ("We use cookies", False), ("Duration: 2 years", True))
    paragraphs = tuple(LabelledParagraph(text, "boilerplate", generic=generic) for text, generic in texts)
    document = LabelledDocument("d", "en", "made", "d", (*paragraphs, LabelledParagraph("Cookies", "article")))
    for measured, generic in ((False, [True, False, True, False]), (True, [False, False, True, False])):
        assert Table.of([Source("made", [document], {}, measured=measured)]).generic.tolist() == generic


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


def test_of_texts_alone_long_ones_have_less_and_short_ones_a_scale_of_their_own() -> None:
    alone = Alone(by_length=1.0, scale=2.0, offset=1.0, scale_of_few=0.5, offset_of_few=-3.0)
    n_tokens = np.array([FEW_WORDS - 1, FEW_WORDS, LENGTH, 4 * LENGTH])
    assert np.allclose(alone.log_odds(np.full(4, 6.0), n_tokens), [0.0, 13.0, 13.0, 13.0 - 2 * np.log(4)])


def test_length_takes_off_what_it_adds_to_article_texts() -> None:
    rng = np.random.default_rng(0)
    n_tokens = rng.integers(FEW_WORDS, 80, 4000)
    boilerplate = rng.random(4000) < 0.5
    length = np.log(np.maximum(n_tokens, LENGTH))
    table = replace(empty_table(4000), boilerplate=boilerplate)
    for takes_off in (0.0, 0.8):
        log_odds = np.where(boilerplate, 2.0, -2.0) + takes_off * length + rng.normal(size=4000)
        assert fit_length(log_odds, n_tokens, table) == pytest.approx(takes_off, abs=0.1)
    assert fit_length(log_odds, n_tokens, replace(table, source=["pages"] * 4000)) == 0.0


def empty_table(n: int) -> Table:
    """Rows of authored documents of a paragraph each, without text or label."""
    no, empty = np.zeros(n, np.bool_), [""] * n
    return Table(empty, no, no, ~no, no, no, no, np.zeros(n, np.intp), np.arange(n + 1), np.ones(n), empty, empty, empty, ["authored"] * n)


def test_copies_of_a_text_count_once_shared_between_its_labels() -> None:
    rows, weight = merge_copies(
        np.array([0, 1, 2, 4]), np.array([5, 5, 5, 7, 7]), np.array([True, True, False, True, False]), np.array([1.0, 3, 2, 9, 4])
    )
    assert sorted(zip(rows.tolist(), weight.tolist(), strict=True)) == [(0, 2.0), (2, 2 / 3), (4, 4.0)]  # text 5: twice the one label, once the other


def test_a_source_may_weigh_more(source: Source) -> None:
    table = Table.of([source], {"labelled": 5.0})
    assert set(table.weight) == {5.0}


def languages(*rows: tuple[str, str, str]) -> Table:
    documents = [LabelledDocument(str(i), lang, "made", f"d{i}", (LabelledParagraph(text, label),)) for i, (lang, text, label) in enumerate(rows)]
    return Table.of([Source("made", documents, {}, measured=True)])


def test_article_texts_of_a_language_weigh_at_least_so_many_times_its_consent_texts() -> None:
    consent = [("fi", f"suostumus {i}", "boilerplate") for i in range(4)]
    article = [("fi", f"satama {i}", "article") for i in range(8)] + [("fi", "satama 0", "article"), ("fi", "valikko", "unsure")]
    plenty = [("en", "consent", "boilerplate")] + [("en", f"harbour {i}", "article") for i in range(30)]
    table = languages(*consent, *article, *plenty)
    _, text_of = np.unique(np.array(table.texts), return_inverse=True)
    weight = balance_languages(table, text_of, 6.0)
    fi = np.array(table.lang) == "fi"
    assert set(weight[table.boilerplate]) == {1.0}
    assert set(weight[fi & ~table.boilerplate]) == {3.0}  # six times four consent texts over eight article texts
    assert set(weight[~fi]) == {1.0}
    assert set(balance_languages(table, text_of, 0.0)) == {1.0}
    assert balance_languages(table, text_of, 1e6).max() == MOST_BALANCE


def test_single_texts_are_measured_alone_at_the_cut_of_pages_and_of_prose(fitted: Fit) -> None:
    """Ten consent texts of a package, all above the cut but two; prose of the strings, one of ten hard ones above it."""
    consent = [("packages", f"we use cookies to number {i}", "boilerplate", -9.0 if i < 2 else 9.0, False) for i in range(10)]
    prose = [("strings", f"the harbour is number {i}", "article", 0.0, False) for i in range(10)]
    hard = [("strings", f"the cookie is number {i}", "article", 5.0 if i == 0 else -5.0, True) for i in range(10)]
    pages = [("pages", f"the page is number {i}", "article", 1.0, False) for i in range(10)]
    rows = [*consent, *prose, *hard, *pages]
    sources = [
        Source(name, [LabelledDocument(text, "en", name, text, (LabelledParagraph(text, label, None, is_hard),))], {}, measured=name == "pages")
        for name, text, label, _, is_hard in rows
    ]
    table = Table.of(sources)
    lines = texts_alone(Fit(fitted.model, table, np.zeros(len(rows)), np.array([row[3] for row in rows]), [], [], []))
    assert [line for line in lines if not line.startswith("    ")] == [
        "texts alone, where 1 in 1,000 of 10 article paragraphs of pages is lost:",
        "  packages: recall 0.800, mean of 1 languages (1 at 0.75, 0 at 0.85, 0 at 0.9); 10 texts",
        "  prose about privacy and cookies lost: 0.100 of 10",
        "texts alone, where 1 in 1,000 of 10 ordinary prose of 'strings' is lost:",
        "  packages: recall 0.800, mean of 1 languages (1 at 0.75, 0 at 0.85, 0 at 0.9); 10 texts",
        "  prose about privacy and cookies lost: 0.100 of 10",
    ]


@pytest.mark.parametrize(("n", "message"), [(0, "has 0 sites or documents, fewer than 3 folds"), (2, "has 2 sites or documents, fewer than 3 folds")])
def test_too_few_sites_are_refused(tmp_path: Path, n: int, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fit([labelled_source([labelled.write(tmp_path / "few.jsonl", n)])], SETTINGS, quiet=True)


def test_one_label_alone_is_refused(source: Source) -> None:
    article = [d for d in source.documents if all(p.label != "boilerplate" for p in d.paragraphs)]
    with pytest.raises(DatasetError, match="needs paragraphs of both labels, article and boilerplate"):
        fit([Source("labelled", article, {}, measured=True)], SETTINGS, quiet=True)
