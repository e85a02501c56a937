"""The paragraph stage as a scikit-learn pipeline: hashed n-grams, TF-IDF, logistic regression."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from detector.features import hash_lines
from detector.model import idf_on_grid, weights_on_grid

BITS: Final = 20
"""2**20 buckets: documents in 61 languages have millions of n-grams, which in fewer buckets share their weights with strangers. Consent text of
languages with little data gains most (`training/README.md`)."""
C: Final = 30.0
"""Inverse regularisation strength of the paragraph stage; 10 to 300 differ by less than two folds do."""
HOT_SHARE: Final = 0.005
"""Share of the buckets that count once in a line (`OccurrenceTfidf`); .01 of so many would be 4 % of the occurrences in articles, and cost a tenth
of the speed."""
TOLERANCE: Final = 1e-5
"""The paragraph stage is fitted to this tolerance, in single precision; further steps only fit the training texts more closely
(`training/README.md`)."""
LINES_AT_ONCE: Final = 4000


def count_ngrams(texts: Sequence[str], bits: int) -> tuple[sp.csr_matrix, NDArray[np.intp]]:
    """Counts of hashed n-grams, and number of words, of each text; a line end inside a text counts as a space.

    Parameters
    ----------
    texts : sequence of str, length n_texts
    bits : int
        Binary logarithm of the number of buckets.

    Returns
    -------
    counts : csr_matrix of float64, shape (n_texts, 2**bits)
    n_tokens : ndarray of intp, shape (n_texts,)
    """
    parts = [sp.csr_matrix((0, 1 << bits))]
    n_tokens = [np.empty(0, np.intp)]
    for start in range(0, len(texts), LINES_AT_ONCE):
        lines = [text.replace("\n", " ") for text in texts[start : start + LINES_AT_ONCE]]
        hashed = hash_lines("\n".join(lines), bits)
        n_tokens.append(np.diff(hashed.tokens))
        line_of_token = np.repeat(np.arange(len(lines)), n_tokens[-1])
        rows = np.concatenate([line_of_token] * len(hashed.token_buckets) + [hashed.lines] * len(hashed.line_buckets))
        columns = np.concatenate([*hashed.token_buckets, *hashed.line_buckets]).astype(np.int64)
        exists = columns < (1 << bits)
        counts = sp.csr_matrix((np.ones(exists.sum()), (rows[exists], columns[exists])), shape=(len(lines), 1 << bits))
        counts.sum_duplicates()
        parts.append(counts)
    return sp.vstack(parts, format="csr"), np.concatenate(n_tokens)


class HashedNgrams(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Texts to counts of hashed n-grams, by the function that prediction uses (`detector.features.hash_lines`).

    Parameters
    ----------
    bits : int
        Binary logarithm of the number of buckets.
    """

    def __init__(self, bits: int = BITS) -> None:
        self.bits = bits

    def fit(self, X: Sequence[str], y: object = None) -> HashedNgrams:
        """Do nothing: hashing learns nothing."""
        return self

    def transform(self, X: Sequence[str]) -> sp.csr_matrix:
        """Count the n-grams of each text; a line end inside a text counts as a space.

        Parameters
        ----------
        X : sequence of str, length n_texts

        Returns
        -------
        csr_matrix of float64, shape (n_texts, 2**bits)
        """
        return count_ngrams(X, self.bits)[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags


class OccurrenceTfidf(TfidfTransformer):  # type: ignore[misc]  # scikit-learn has no types
    """TF-IDF whose norm counts occurrences, and whose heaviest buckets count once in a text.

    The value of a bucket with count c and IDF d is ``c' * d / sqrt(sum(c * d**2))``, the sum over the text's buckets. c' is 1 for hot
    buckets, those of largest ``abs(weight * idf)`` in a first logistic regression in which all are hot, and c for the others. Held-out
    figures equal those of the full L2 form with binary counts, and prediction need only find repeats among the few hot occurrences.

    Parameters
    ----------
    hot_share : float
        Share of the buckets that are hot.
    C : float
        Inverse regularisation strength of the first logistic regression.

    Attributes
    ----------
    idf_ : ndarray of float64, shape (n_features,)
    hot_ : ndarray of bool, shape (n_features,)
    first_ : LogisticRegression
        The first logistic regression; where all buckets are hot there is none.
    """

    def __init__(self, hot_share: float = HOT_SHARE, C: float = C) -> None:
        super().__init__(norm=None)
        self.hot_share = hot_share
        self.C = C

    def fit(self, X: sp.csr_matrix, y: NDArray[np.bool_], sample_weight: NDArray[np.float64] | None = None) -> OccurrenceTfidf:
        """Learn the IDF, and from the labels which buckets are hot."""
        super().fit(X)
        # on the grid of prediction, and in single precision as in the model file, so that the pipeline and the exported scorer are one function
        self.idf_: NDArray[np.float64] = idf_on_grid(self.idf_).astype(np.float32).astype(np.float64)
        self.hot_ = np.ones(X.shape[1], np.bool_)
        if self.hot_share < 1:
            self.first_ = new_classifier(self.C, TOLERANCE).fit(self.transform(X).astype(np.float32), y, sample_weight)
            size = np.abs(self.first_.coef_[0] * self.idf_)
            self.hot_ = size > np.quantile(size, 1 - self.hot_share)
        return self

    def transform(self, X: sp.csr_matrix, copy: bool = True) -> sp.csr_matrix:
        """Weigh the counts.

        Parameters
        ----------
        X : csr_matrix, shape (n_texts, n_features)

        Returns
        -------
        csr_matrix, shape (n_texts, n_features)
        """
        idf = self.idf_[X.indices]
        row = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        norm = np.sqrt(np.bincount(row, weights=X.data * idf * idf, minlength=X.shape[0]))
        values = np.where(self.hot_[X.indices], 1.0, X.data) * idf / norm[row]
        return sp.csr_matrix((values, X.indices, X.indptr), shape=X.shape)


def new_classifier(C: float = C, tol: float = 1e-6) -> LogisticRegression:
    """Logistic regression as all stages use it, by L-BFGS."""
    return LogisticRegression(C=C, max_iter=3000, tol=tol)


def paragraph_pipeline(bits: int = BITS, C: float = C, hot_share: float = HOT_SHARE) -> Pipeline:
    """The paragraph stage from texts to log-odds, unfitted.

    Returns
    -------
    Pipeline
        With the steps ``ngrams``, ``tfidf`` and ``classifier``.
    """
    return ParagraphPipeline([("ngrams", HashedNgrams(bits)), ("tfidf", OccurrenceTfidf(hot_share, C)), ("classifier", new_classifier(C))])


class ParagraphPipeline(Pipeline):  # type: ignore[misc]  # scikit-learn has no types
    """A pipeline whose weights are rounded, when it is fitted, to the grid of prediction (`detector.model.weights_on_grid`)."""

    def fit(self, X: Sequence[str], y: NDArray[np.bool_] | None = None, **params: Any) -> ParagraphPipeline:
        """Fit all steps, and round."""
        super().fit(X, y, **params)
        round_weights(self["tfidf"], self["classifier"])
        return self


def round_weights(tfidf: OccurrenceTfidf, classifier: LogisticRegression) -> None:
    """Round the weights of a fitted logistic regression to the grid of prediction, by which log-odds change in the fourth digit."""
    classifier.coef_ = weights_on_grid(classifier.coef_[0], tfidf.idf_, tfidf.hot_)[None, :]
