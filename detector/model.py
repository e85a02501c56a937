"""The fitted model as plain arrays, and its two scores: of a line on its own, and of a paragraph among its neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detector.context import context_features
from detector.features import HashedLines

LABELS: Final = ("article", "boilerplate")
"""The two classes, in the order of scikit-learn's ``classes_``."""
THRESHOLDS: Final = ("precision", "balanced", "recall")
"""Names of the thresholds that every model carries; the first is the default."""


def probability_of(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function; log-odds beyond +-40 give 0 or 1 to within float64 anyway and are cut, so that nothing overflows."""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -40.0, 40.0)))


@dataclass(frozen=True, eq=False)
class Model:
    """Arrays and numbers of a fitted model; `detector.persistence` says how they lie in a file.

    Attributes
    ----------
    bits : int
        Binary logarithm of the number of buckets.
    weights, idf : ndarray of float32, shape (2**bits,)
        Coefficient of the logistic regression and inverse document frequency of each bucket.
    hot : ndarray of bool, shape (2**bits,)
        Buckets that count once in a line, however often they occur: those of largest weight. A recipe that says "cookies" nine times would
        add up otherwise; for the others counting every occurrence costs nothing (measured, `training/README.md`) and saves de-duplication.
    bias : float
        Intercept of the paragraph stage.
    alone : tuple of float
        Scale and offset that turn the paragraph stage's log-odds into calibrated ones for a text without its document.
    context, context_bias : ndarray of float64, shape (n_passes, n_context_features) and (n_passes,)
        Coefficients of the context stage, in the order of `detector.context.FEATURES`, and intercepts, for each pass.
    thresholds : mapping of str to float
        Probability from which a paragraph is boilerplate, by name.
    card : mapping
        Model card: sources with digests, versions, settings, figures.
    """

    bits: int
    weights: NDArray[np.float32]
    idf: NDArray[np.float32]
    hot: NDArray[np.bool_]
    bias: float
    alone: tuple[float, float]
    context: NDArray[np.float64]
    context_bias: NDArray[np.float64]
    thresholds: Mapping[str, float]
    card: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _table(self) -> NDArray[np.complex64]:
        """Weight times IDF, and squared IDF, side by side, so that one look-up brings both; the last row is for "has none"."""
        table = np.zeros((1 << self.bits) + 1, np.complex64)
        table.real[:-1] = np.where(self.hot, np.float32(0), self.weights * self.idf)
        table.imag[:-1] = self.idf * self.idf
        return table

    @cached_property
    def _hot(self) -> NDArray[np.bool_]:
        return np.append(self.hot, False)

    def log_odds(self, hashed: HashedLines) -> NDArray[np.float64]:
        """Log-odds that each line is boilerplate, each on its own: the paragraph stage.

        With count c, weight w and IDF d of each bucket of a line: ``sum(c' * w * d) / sqrt(sum(c * d**2)) + bias``, where c' is 1 for hot
        buckets and c for the others. A line without tokens has the bias.

        Parameters
        ----------
        hashed : HashedLines
            From `detector.features.hash_lines` with this model's ``bits``.

        Returns
        -------
        ndarray of float64, shape (n_lines,)
        """
        result = np.full(len(hashed.tokens) - 1, self.bias)
        lines = hashed.lines
        if not len(lines):
            return result
        table = self._table
        first = hashed.tokens[lines]
        per_token = table.take(hashed.token_buckets[0])
        for buckets in hashed.token_buckets[1:]:
            per_token += table.take(buckets)
        sums = np.add.reduceat(per_token, first)
        for buckets in hashed.line_buckets:
            sums += table.take(buckets)
        dot = sums.real.astype(np.float64) + self._hot_sums(hashed)
        result[lines] += dot / np.sqrt(sums.imag.astype(np.float64))
        return result

    def _hot_sums(self, hashed: HashedLines) -> NDArray[np.float64]:
        """Sum of weight times IDF over the distinct hot buckets of each line with tokens; few occurrences are hot, so sorting them is cheap."""
        first = hashed.tokens[hashed.lines]
        kind, at = np.divmod(np.flatnonzero(self._hot.take(hashed.token_buckets)), hashed.token_buckets.shape[1])
        keys = [(np.searchsorted(first, at, side="right") - 1 << 32) | hashed.token_buckets[kind, at]]
        for buckets in hashed.line_buckets:
            line = np.flatnonzero(self._hot.take(buckets))
            keys.append((line << 32) | buckets[line])
        key = np.concatenate(keys)
        key.sort()
        key = key[np.append(True, key[1:] != key[:-1])] if len(key) else key
        bucket = key & 0xFFFFFFFF
        values = self.weights[bucket].astype(np.float64) * self.idf[bucket]
        return np.bincount(key >> 32, weights=values, minlength=len(hashed.lines)).astype(np.float64, copy=False)

    def log_odds_alone(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated log-odds of texts that come without a document."""
        scale, offset = self.alone
        return log_odds * scale + offset

    def log_odds_in_context(self, log_odds: NDArray[np.float64], n_tokens: NDArray[np.intp], bounds: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log-odds of paragraphs in their documents: the context stage.

        Parameters
        ----------
        log_odds, n_tokens : ndarray, shape (n_paragraphs,)
            Log-odds of each paragraph on its own, and its number of words.
        bounds : ndarray of intp, shape (n_documents + 1,)
            Document i has the paragraphs ``bounds[i]:bounds[i + 1]``.

        Returns
        -------
        ndarray of float64, shape (n_paragraphs,)
        """
        refined = log_odds
        for weights, bias in zip(self.context, self.context_bias.tolist(), strict=True):
            result = np.full(len(log_odds), bias)
            # one column at a time: a matrix product may round differently with another number of rows
            product = np.empty_like(result)
            for weight, column in zip(weights.tolist(), context_features(log_odds, refined, n_tokens, bounds), strict=True):
                result += np.multiply(column, weight, out=product)
            refined = result
        return refined
