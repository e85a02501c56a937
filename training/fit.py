"""Fit a model: out-of-fold paragraph scores by site, context stage, calibration, thresholds.

The context stage must see scores as it will meet them: of paragraphs that the paragraph stage was not trained on. So the paragraph stage is
fitted once for each fold of sites, and each paragraph is scored by the fit that did not see its site; the exported paragraph stage is
then fitted on everything. The context stage's own out-of-fold scores give calibration and thresholds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from detector.context import FEATURES, context_features, layout_of
from detector.model import FEW_WORDS, LENGTH, THRESHOLDS, Alone, Model, probability_of
from detector.pieces import PIECE_FEATURES
from detector.sentences import find_edges
from training.dataset import DatasetError, LabelledDocument, LabelledParagraph
from training.extract import n_words
from training.fit_pieces import COMPOSED_WEIGHT, apply_piece_stage, fit_piece_stage, joined_documents, match_shares, score_joined
from training.joining import JoinedDocument
from training.pipeline import BITS, HOT_SHARE, TOLERANCE, C, OccurrenceTfidf, count_ngrams, new_classifier, round_weights
from training.sources import Source

FOLDS: Final = 5
SENTENCE_WEIGHT: Final = 0.3
"""Weight of a sentence of a longer text in the paragraph stage, beside the text itself: pieces of joined lines are sentences. It costs the figures of
whole paragraphs nothing."""
SENTENCE_WORDS: Final = 3
LEAST_SENTENCES: Final = 12
"""A text with fewer characters is one sentence."""
NO_EDGES: Final = np.empty(0, np.intp), np.empty(0, np.bool_)
CONTEXT_C: Final = 0.01
"""Inverse regularisation strength of the context stage: of .001, .01 and .1 the one with the best average precision and recall at 1 in 1,000."""
CONTEXT_WEIGHT: Final = 0.03
"""Weight of consent texts of composed documents in the context stage where there are real pages: they teach the order of other languages and of
short documents, but such documents hold far more consent text than a page does."""
ARTICLE_WEIGHT: Final = 0.15
"""Weight of their article texts there. With the weight of the consent texts, four times as many were lost at the default threshold, out of fold,
and nothing was gained on real pages."""
WHOLE_LINES: Final = 40
"""Without real pages, composed documents of so many lines stand for them."""
BALANCE: Final = 10.0
"""Weight of all article texts of a language, as a multiple of that of its consent texts, at least. In a language with little article text the
common words would become signs of consent text, and its prose would be lost first where one threshold serves all languages."""
MOST_BALANCE: Final = 10.0
"""No text weighs more than so many."""
PASSES: Final = 2
"""Passes of the context stage: the second sees the first's result. It adds .015 of recall at 1 in 1,000 and .03 at 1 in 10,000; a third
adds nothing."""
FEW_LESS: Final = 1.75
"""The log-odds of a paragraph in a document of few paragraphs are so much lower than the fit wants, times `detector.context.FEW` / (number + FEW).
Thresholds are chosen on whole pages, and short documents, of which there are few among these, would lose a quarter more of their article paragraphs.
It was chosen on the folds that are quoted and on the gate (`training/README.md`)."""
MAY_LOSE: Final = dict(zip(THRESHOLDS, (1e-4, 1e-3, 1e-2), strict=True))
"""Share of article paragraphs that each threshold may lose on validation data."""

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of a fit; the defaults were chosen by cross-validation over sites (`training/README.md`)."""

    seed: int = 0
    bits: int = BITS
    C: float = C
    hot_share: float = HOT_SHARE
    context_c: float = CONTEXT_C
    context_weight: float = CONTEXT_WEIGHT
    article_weight: float = ARTICLE_WEIGHT
    sentence_weight: float = SENTENCE_WEIGHT
    balance: float = BALANCE
    passes: int = PASSES
    folds: int = FOLDS
    jobs: int = 1


@dataclass(frozen=True)
class Table:
    """Labelled documents as columns, one row a paragraph.

    Attributes
    ----------
    texts : list of str
    boilerplate, article, known, measured, hard, generic : ndarray of bool, shape (n_paragraphs,)
        `article` is the label "article" alone; `known` is every label but "unsure"; `measured` rows choose thresholds; `generic` rows mean
        nothing outside their document, and teach the context stage only.
    group : ndarray of intp, shape (n_paragraphs,)
    bounds : ndarray of intp, shape (n_documents + 1,)
    weight : ndarray of float64, shape (n_paragraphs,)
    kind, lang, site, source : list of str
    """

    texts: list[str]
    boilerplate: Flags
    article: Flags
    known: Flags
    measured: Flags
    hard: Flags
    generic: Flags
    group: Integers
    bounds: Integers
    weight: Floats
    kind: list[str]
    lang: list[str]
    site: list[str]
    source: list[str]

    @classmethod
    def of(cls, sources: Sequence[Source], weights: dict[str, float] | None = None) -> Table:
        """Lay out the documents of all sources; `weights` gives the weight of each source's paragraphs in the fit, 1 by default."""
        rows = [(source, document, p) for source in sources for document in source.documents for p in document.paragraphs]
        documents = [document for source in sources for document in source.documents]
        label = np.array([p.label for _, _, p in rows])
        _, group = np.unique(np.array([document.group for _, document, _ in rows]), return_inverse=True)
        return cls(
            texts=[p.text for _, _, p in rows],
            boilerplate=label == "boilerplate",
            article=label == "article",
            known=label != "unsure",
            measured=np.array([source.measured for source, _, _ in rows]),
            hard=np.array([p.hard for _, _, p in rows]),
            generic=np.array([p.generic or (not source.measured and is_generic(p)) for source, _, p in rows]),
            group=group,
            bounds=np.cumsum([0, *[len(document.paragraphs) for document in documents]]).astype(np.intp),
            weight=np.array([(weights or {}).get(source.name, 1.0) for source, _, _ in rows]),
            kind=[p.kind or "" for _, _, p in rows],
            lang=[document.lang for _, document, _ in rows],
            site=[document.group for _, document, _ in rows],
            source=[source.name for source, _, _ in rows],
        )

    def rows(self, keep: Flags) -> Table:
        """The rows that a mask keeps; documents keep their bounds among these."""
        at = np.flatnonzero(keep)
        kept_before = np.concatenate((np.zeros(1, np.intp), np.cumsum(keep)))

        def of(values: list[str]) -> list[str]:
            return [values[i] for i in at]

        bounds: Integers = np.unique(kept_before[self.bounds])
        masks = {name: getattr(self, name)[keep] for name in ("boilerplate", "article", "known", "measured", "hard", "generic", "group", "weight")}
        return Table(texts=of(self.texts), bounds=bounds, kind=of(self.kind), lang=of(self.lang), site=of(self.site), source=of(self.source), **masks)


def is_generic(paragraph: LabelledParagraph) -> bool:
    """Whether a consent text is a single word: "Cookies", "Consent", "Save" are anything's own. On real pages they are as frequent as they are."""
    return paragraph.label == "boilerplate" and n_words(paragraph.text) < GENERIC_WORDS


GENERIC_WORDS: Final = 2


class Progress:
    """Says on standard error what is being done and how long it took."""

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.start = time.perf_counter()

    def __call__(self, message: str) -> None:
        """Say it."""
        if not self.quiet:
            print(f"[{time.perf_counter() - self.start:6.1f} s] {message}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class ParagraphStage:
    """A fitted paragraph stage over counts that were made once."""

    tfidf: OccurrenceTfidf
    classifier: Any

    def log_odds(self, counts: sp.csr_matrix) -> Floats:
        """Log-odds of texts, from their counts."""
        result: Floats = self.classifier.decision_function(self.tfidf.transform(counts))
        return result


def fit_paragraph_stage(counts: sp.csr_matrix, boilerplate: Flags, weight: Floats, settings: Settings) -> ParagraphStage:
    """Fit TF-IDF and logistic regression; rows of the same text and label should have been merged (`merge_copies`)."""
    if boilerplate.all() or not boilerplate.any():
        raise DatasetError("the training data needs paragraphs of both labels, article and boilerplate; it has one of them only")
    tfidf = OccurrenceTfidf(settings.hot_share, settings.C).fit(counts, boilerplate, weight)
    classifier = new_classifier(settings.C, TOLERANCE)
    if settings.hot_share < 1:  # starts where the search for hot buckets ended
        classifier.set_params(warm_start=True)
        classifier.coef_, classifier.intercept_, classifier.classes_ = tfidf.first_.coef_, tfidf.first_.intercept_, tfidf.first_.classes_
    classifier.fit(tfidf.transform(counts).astype(np.float32), boilerplate, weight)
    round_weights(tfidf, classifier)
    return ParagraphStage(tfidf, classifier)


def merge_copies(rows: Integers, text_of: Integers, boilerplate: Flags, weight: Floats) -> tuple[Integers, Floats]:
    """Keep the first row of each text and label, with the largest weight that any of them has, times the label's share of the text's rows.

    A text counts once, however many pages show it: the vendors' wording would outweigh everything else. One that has both labels counts as
    each as often as it is that: "Terms" is a piece of a consent line now and then, and a plain link on every other page.
    """
    key = text_of[rows] * 2 + boilerplate[rows]
    keys, first, inverse, n = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    largest = np.zeros(len(first))
    np.maximum.at(largest, inverse, weight[rows])
    n_of_text = np.bincount(keys // 2, weights=n)
    return rows[first], largest * n / n_of_text[keys // 2]


@dataclass(frozen=True)
class Sentences:
    """Sentences of texts of more than one, as rows to fit on.

    Attributes
    ----------
    counts : csr_matrix, shape (n_distinct_sentences, 2**bits)
    number : ndarray of intp, shape (n_sentences,)
        Which distinct sentence each is.
    bounds : ndarray of intp, shape (n_texts + 1,)
        Text i has the sentences ``bounds[i]:bounds[i + 1]``; a text of one sentence has none.
    """

    counts: sp.csr_matrix
    number: Integers
    bounds: Integers

    @classmethod
    def of(cls, texts: Sequence[str], bits: int) -> Sentences:
        """Cut texts at strong edges; sentences of one or two words are left out."""
        found: list[str] = []
        bounds = [0]
        for text in texts:
            offsets, strong = find_edges(text) if len(text) >= LEAST_SENTENCES else NO_EDGES
            starts = [0, *offsets[strong].tolist(), len(text)]
            if len(starts) > len((0, len(text))):
                found += [part for a, b in pairwise(starts) if n_words(part := text[a:b]) >= SENTENCE_WORDS]
            bounds.append(len(found))
        distinct, number = np.unique(np.array(found, object), return_inverse=True)
        return cls(count_ngrams(distinct.tolist(), bits)[0], number.astype(np.intp), np.array(bounds, np.intp))

    def rows(self, texts: Integers, boilerplate: Flags, weight: Floats) -> tuple[sp.csr_matrix, Flags, Floats]:
        """Counts, labels and weights of the distinct sentences of some texts, which have their text's label and weight."""
        count = np.diff(self.bounds)[texts]
        begin = self.bounds[texts]
        at = np.repeat(begin - np.cumsum(count) + count, count) + np.arange(count.sum())
        label, heavy = np.repeat(boilerplate, count), np.repeat(weight, count)
        rows, merged = merge_copies(np.arange(len(at)), self.number[at], label, heavy)
        return self.counts[self.number[at[rows]]], label[rows], merged


def balance_languages(table: Table, text_of: Integers, ratio: float) -> Floats:
    """Weights of the rows: article texts of a language weigh together at least `ratio` times as much as its consent texts.

    Parameters
    ----------
    table : Table
    text_of : ndarray of intp, shape (n_paragraphs,)
        Number of each row's text; a text counts once in a language.
    ratio : float
        0 leaves all as they are.

    Returns
    -------
    ndarray of float64, shape (n_paragraphs,)
    """
    languages, lang = np.unique(np.array(table.lang), return_inverse=True)
    key = (text_of * len(languages) + lang) * 2 + table.boilerplate
    first = np.zeros(len(key), np.bool_)
    first[np.unique(key, return_index=True)[1]] = True
    first &= table.known
    consent = np.bincount(lang[first & table.boilerplate], minlength=len(languages))
    article = np.bincount(lang[first & ~table.boilerplate], minlength=len(languages))
    weight = np.clip(ratio * consent / np.maximum(article, 1), 1, MOST_BALANCE)
    return np.where(table.boilerplate, 1.0, weight[lang]) * table.weight


def folds_by_group(table: Table, settings: Settings) -> Integers:
    """Number of the fold that each row is held out in; a group is never in two.

    Real pages are dealt out by themselves: their folds, and so their figures, stay comparable when other sources change.
    """
    fold = np.zeros(len(table.texts), np.intp)
    splitter = StratifiedGroupKFold(settings.folds, shuffle=True, random_state=settings.seed)
    for rows in (np.flatnonzero(table.measured), np.flatnonzero(~table.measured)):
        n_groups = len(np.unique(table.group[rows]))
        if n_groups < settings.folds:  # too few to be dealt out: each is held out in a fold of its own
            fold[rows] = np.unique(table.group[rows], return_inverse=True)[1]
            continue
        for k, (_, held_out) in enumerate(splitter.split(rows, table.boilerplate[rows], table.group[rows])):
            fold[rows[held_out]] = k
    return fold


def context_weights(table: Table, settings: Settings) -> Floats:
    """Weights of the rows in the context stage: 1 on real pages, less in composed documents, and least for their consent text."""
    lines = np.diff(table.bounds)
    composed = np.where(table.boilerplate, settings.context_weight, settings.article_weight)
    whole = table.measured if table.measured.any() else np.repeat(lines >= WHOLE_LINES, lines)
    return np.where(whole, 1.0, composed if whole.any() else 1.0) * table.weight


def fit_context_stage(
    own: Floats, n_tokens: Integers, bounds: Integers, boilerplate: Flags, use: Flags, weight: Floats, settings: Settings
) -> tuple[Floats, Floats]:
    """Fit the passes of the context stage on rows `use`.

    Returns
    -------
    coefficients : ndarray of float64, shape (n_passes, n_context_features)
    biases : ndarray of float64, shape (n_passes,)
    """
    coefficients, biases = [], []
    refined, layout = own, layout_of(n_tokens, bounds)
    for _ in range(settings.passes):
        columns = np.column_stack(list(context_features(own, refined, layout)))
        scaler = StandardScaler().fit(columns[use])
        classifier = new_classifier(settings.context_c).fit(scaler.transform(columns[use]), boilerplate[use], weight[use])
        coefficient = classifier.coef_[0] / scaler.scale_
        coefficients.append(coefficient)
        biases.append(float(classifier.intercept_[0] - coefficient @ scaler.mean_))
        refined = columns @ coefficient + biases[-1]
    coefficients[-1][FEATURES.index("few")] -= FEW_LESS
    return np.array(coefficients), np.array(biases)


def calibrate(log_odds: Floats, boilerplate: Flags, weight: Floats) -> tuple[float, float]:
    """Scale and offset that calibrate log-odds (Platt, 1999)."""
    classifier = new_classifier(1e6).fit(log_odds[:, None], boilerplate, weight)
    return float(classifier.coef_[0, 0]), float(classifier.intercept_[0])


def fit_length(log_odds: Floats, n_tokens: Integers, table: Table) -> float:
    """What the length of a text without its document takes off its log-odds (`detector.model.Alone`), not less than 0.

    It is fitted out of fold on authored texts that mean something alone, since most of those of real pages are lines of lists and menus; 0 without
    authored texts of both labels.
    """
    rows = np.flatnonzero(table.known & ~table.generic & (n_tokens >= FEW_WORDS) & (np.array(table.source) == "authored"))
    if len(np.unique(table.boilerplate[rows])) < len(("article", "boilerplate")):
        return 0.0
    columns = np.column_stack((log_odds, np.log(np.maximum(n_tokens, LENGTH))))[rows]
    classifier = new_classifier(1e6).fit(columns, table.boilerplate[rows])
    own, length = classifier.coef_[0].tolist()
    return float(np.clip(-length / own, 0.0, MOST_BY_LENGTH)) if own > 0 else 0.0


MOST_BY_LENGTH: Final = 3.0
"""Length takes off no more than this; 1 is usual."""


def choose_thresholds(probability: Floats, article: Flags) -> dict[str, float]:
    """Least probability at which no more than the allowed share of article paragraphs is removed, for each name of `MAY_LOSE`."""
    highest = np.sort(probability[article])[::-1]
    thresholds = {}
    for name, share in MAY_LOSE.items():
        k = int(share * len(highest))
        thresholds[name] = float(np.nextafter(highest[k], 1.0)) if len(highest) else 0.5
    return thresholds


@dataclass(frozen=True)
class Fit:
    """A fitted model with the out-of-fold scores that it was made from.

    Attributes
    ----------
    model : Model
    table : Table
    probability : ndarray of float64, shape (n_paragraphs,)
        In its document; thresholds were chosen on these.
    alone : ndarray of float64, shape (n_paragraphs,)
        Log-odds of each text without its document.
    held_out : list of (Model, list of LabelledDocument)
        For each fold, its real pages (or what stands for them), and the model that was fitted without it.
    joined, composed_joined : list of dict of str to list of JoinedDocument
        For each fold, its documents with joined lines: real pages (or what stands for them), and those that we composed.
    """

    model: Model
    table: Table
    probability: Floats
    alone: Floats
    held_out: list[tuple[Model, list[LabelledDocument]]]
    joined: list[dict[str, list[JoinedDocument]]]
    composed_joined: list[dict[str, list[JoinedDocument]]]


def fit(sources: Sequence[Source], settings: Settings | None = None, *, weights: dict[str, float] | None = None, quiet: bool = False) -> Fit:
    """Fit both stages on the documents of all sources.

    Parameters
    ----------
    sources : sequence of Source
    settings : Settings, optional
    weights : dict of str to float, optional
        Weight of a source's paragraphs in the fit, by its name; 1 by default.
    quiet : bool
        No progress on standard error.

    Returns
    -------
    Fit
        Its model has no card yet (`training.card`).

    Raises
    ------
    DatasetError
        If one of the two labels is missing, or there are fewer groups than folds.
    """
    # one thread for each sum, so that it has one order: the same inputs give the same bytes, however many folds are fitted at once
    with threadpool_limits(1):
        return _fit(sources, settings or Settings(), weights, Progress(quiet))


def _fit(sources: Sequence[Source], settings: Settings, weights: dict[str, float] | None, say: Progress) -> Fit:
    table = Table.of(sources, weights)
    n_groups = len(np.unique(table.group)) if len(table.group) else 0
    if n_groups < settings.folds:
        raise DatasetError(f"the training data has {n_groups} sites or documents, fewer than {settings.folds} folds; add documents or lower --folds")
    say(f"{len(table.bounds) - 1:,} documents, {len(table.texts):,} paragraphs, {int(table.boilerplate.sum()):,} of them boilerplate")
    distinct, text_of = np.unique(np.array(table.texts, object), return_inverse=True)
    counts, n_tokens_of = count_ngrams(distinct.tolist(), settings.bits)
    n_tokens = n_tokens_of[text_of]
    say(f"{len(distinct):,} distinct texts hashed into {1 << settings.bits:,} buckets")

    balanced = balance_languages(table, text_of, settings.balance)
    sentences = Sentences.of(distinct.tolist(), settings.bits)
    say(f"{len(sentences.number):,} sentences of longer texts")

    def stage_of(rows: Integers) -> ParagraphStage:
        rows, weight = merge_copies(rows, text_of, table.boilerplate, balanced)
        x, y, w = sentences.rows(text_of[rows], table.boilerplate[rows], weight * settings.sentence_weight)
        return fit_paragraph_stage(
            sp.vstack((counts[text_of[rows]], x), format="csr"), np.append(table.boilerplate[rows], y), np.append(weight, w), settings
        )

    fold = folds_by_group(table, settings)
    own = np.zeros(len(table.texts))
    stages: list[ParagraphStage] = []

    def held_out_scores(k: int) -> tuple[Integers, Floats, ParagraphStage]:
        held_out = np.flatnonzero(fold == k)
        stage = stage_of(np.flatnonzero((fold != k) & table.known & ~table.generic))
        return held_out, stage.log_odds(counts[text_of[held_out]]), stage

    for k, (held_out, scores, stage) in enumerate(
        Parallel(settings.jobs, backend="threading", return_as="generator")(delayed(held_out_scores)(k) for k in range(settings.folds)), 1
    ):
        own[held_out] = scores
        stages.append(stage)
        say(f"paragraph stage, fold {k} of {settings.folds}: {len(held_out):,} paragraphs scored")
    final = stage_of(np.flatnonzero(table.known & ~table.generic))
    say("paragraph stage fitted on everything")

    in_context = context_weights(table, settings)
    out_of_fold = np.zeros(len(own))
    contexts = []
    for k in range(settings.folds):
        use = (fold != k) & table.known
        held_out = fold == k
        contexts.append(fit_context_stage(own, n_tokens, table.bounds, table.boilerplate, use, in_context, settings))
        out_of_fold[held_out] = _apply_context(*contexts[-1], own, n_tokens, table.bounds)[held_out]
        say(f"context stage, fold {k + 1} of {settings.folds}")
    context = fit_context_stage(own, n_tokens, table.bounds, table.boilerplate, table.known, in_context, settings)
    say("context stage fitted on everything")

    chosen = table.known & (table.measured if table.measured.any() else True)
    calibration = calibrate(out_of_fold[chosen], table.boilerplate[chosen], table.weight[chosen])
    probability = probability_of(out_of_fold * calibration[0] + calibration[1])
    thresholds = choose_thresholds(probability, table.article & chosen)
    shares, names = list(MAY_LOSE.values())[:2], list(MAY_LOSE)[:2]
    wanted = [float(np.log(thresholds[name] / (1 - thresholds[name]))) for name in names]
    by_length = fit_length(own, n_tokens, table)
    shortened = Alone(by_length, 1.0, 0.0, 1.0, 0.0).log_odds(own, n_tokens)
    rows, _ = merge_copies(np.flatnonzero(chosen), text_of, table.boilerplate, table.weight)
    few = n_tokens[rows] < FEW_WORDS
    # of fewer texts the smallest share is none at all: then both kinds are matched as one
    groups = [some if len(some) * shares[0] >= 1 else rows for some in (rows[~few], rows[few])]
    articles = [table.article[some].astype(np.float64) for some in groups]
    matched_alone = [match_shares(shortened[some], texts, float(texts.sum()), shares, wanted) for some, texts in zip(groups, articles, strict=True)]
    alone = Alone(by_length, *matched_alone[0], *matched_alone[1])
    say("calibrated, thresholds chosen: " + ", ".join(f"{name} {value:.4f}" for name, value in thresholds.items()))

    def model_of(stage: ParagraphStage, in_document: tuple[Floats, Floats], of_pieces: tuple[Floats, Floats]) -> Model:
        return Model(
            bits=settings.bits,
            weights=stage.classifier.coef_[0].astype(np.float32),
            idf=stage.tfidf.idf_.astype(np.float32),
            hot=stage.tfidf.hot_,
            bias=float(stage.classifier.intercept_[0]),
            alone=alone,
            context=_scaled(*in_document, *calibration)[0],
            context_bias=_scaled(*in_document, *calibration)[1],
            pieces=of_pieces[0],
            pieces_bias=of_pieces[1],
            thresholds=thresholds,
        )

    no_pieces = np.empty((0, len(PIECE_FEATURES))), np.empty(0)
    held_out_models = [model_of(stage, in_document, no_pieces) for stage, in_document in zip(stages, contexts, strict=True)]
    held_out_documents = documents_by_fold(sources, fold[table.bounds[:-1]], settings.folds)
    joined = [
        {measured: joined_documents(documents, measured=measured, seed=settings.seed) for measured, documents in of_fold.items()}
        for of_fold in held_out_documents
    ]
    scored = Parallel(settings.jobs)(
        delayed(score_joined)(m, kinds, 1.0 if measured else COMPOSED_WEIGHT)
        for m, of_fold in zip(held_out_models, joined, strict=True)
        for measured, kinds in of_fold.items()
    )
    number = [(k, measured) for k, of_fold in enumerate(joined) for measured in of_fold]
    say(f"piece stage: {sum(int(part.rows.is_piece.sum()) for part in scored):,} pieces of joined lines scored")
    rest = [[part for (j, _), part in zip(number, scored, strict=True) if j != k] for k in range(settings.folds)]
    piece_fits: list[tuple[Floats, Floats]] = Parallel(settings.jobs)(delayed(fit_piece_stage)(others, settings.passes) for others in rest)
    own_pages = [measured or not table.measured.any() for _, measured in number]
    parts = [(part, *piece_fits[k]) for (k, _), part, use in zip(number, scored, own_pages, strict=True) if use]
    cut = np.concatenate([apply_piece_stage(coefficients, biases, part) for part, coefficients, biases in parts])
    article = np.concatenate([part.article for part, _, _ in parts])
    matched = match_shares(cut, article, sum(part.total_article for part, _, _ in parts), shares, wanted)
    final_pieces = _scaled(*fit_piece_stage(scored, settings.passes), *matched)
    say("piece stage fitted")
    held_out_models = [
        replace(m, pieces=p, pieces_bias=b) for m, (p, b) in zip(held_out_models, (_scaled(*f, *matched) for f in piece_fits), strict=True)
    ]
    real = bool(table.measured.any())
    held_out = [(model, documents.get(real, [])) for model, documents in zip(held_out_models, held_out_documents, strict=True)]
    joined_of = {kind: [of_fold.get(kind, {}) for of_fold in joined] for kind in (True, False)}
    return Fit(model_of(final, context, final_pieces), table, probability, alone.log_odds(own, n_tokens), held_out, joined_of[real], joined_of[False])


def _scaled(coefficients: Floats, biases: Floats, scale: float, offset: float) -> tuple[Floats, Floats]:
    """Passes whose last result is scaled and moved."""
    return np.vstack((coefficients[:-1], coefficients[-1:] * scale)), np.append(biases[:-1], biases[-1] * scale + offset)


def documents_by_fold(sources: Sequence[Source], fold: Integers, folds: int) -> list[dict[bool, list[LabelledDocument]]]:
    """Documents of each fold, those of measured sources under True and those that we composed under False; single texts are left out."""
    found: list[dict[bool, list[LabelledDocument]]] = [{} for _ in range(folds)]
    documents = ((source, document) for source in sources for document in source.documents)
    for (source, document), k in zip(documents, fold.tolist(), strict=True):
        if source.measured or source.name == "authored":
            found[k].setdefault(source.measured, []).append(document)
    return found


def _apply_context(coefficients: Floats, biases: Floats, own: Floats, n_tokens: Integers, bounds: Integers) -> Floats:
    refined, layout = own, layout_of(n_tokens, bounds)
    for coefficient, bias in zip(coefficients, biases, strict=True):
        refined = np.column_stack(list(context_features(own, refined, layout))) @ coefficient + bias
    return refined


def with_card(result: Fit, card: dict[str, Any]) -> Model:
    """The fitted model with its model card."""
    return replace(result.model, card=card)
