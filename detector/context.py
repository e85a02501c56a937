"""What the neighbours of a paragraph say: the features of the context stage.

Consent text comes in runs, and its buttons ("OK", "Learn more") mean nothing alone. Each feature is one number for a paragraph, made of
its own log-odds and length and those of the paragraphs around it; blank lines are no neighbours. All are made so that a document gets the
same bits alone and in any batch: sums over windows run over integers, and nothing is a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.floating]

LIMIT: Final = 12.0
"""Log-odds are cut at this value: beyond it they say nothing more."""
OUTSIDE: Final = -6.0
"""Log-odds of a neighbour that doesn't exist, before the first and after the last paragraph: those of a clear article paragraph."""
DOUBTFUL: Final = -3.0
"""From here on (probability .05) a paragraph is suspect; a hinge at this value lets the slope change there."""
WINDOWS: Final = (2, 4, 8, 24)
"""Numbers of paragraphs over which the neighbours' probabilities are averaged, upwards and downwards."""
MIDDLE: Final = 8
"""The window whose mean also counts by the size of the document."""
NEAREST: Final = (1, 2, 3)
"""Distances at which a neighbour's own log-odds are a feature."""
PEAK: Final = 4
"""The largest probability is taken over this many neighbours on each side."""
FARTHEST: Final = max(*NEAREST, PEAK)
SHORT: Final = 4.0
"""Number of words at which a paragraph counts as half short."""
FEW: Final = 16.0
"""Number of paragraphs at which a document counts as half small. Beside two lines of consent text alone a headline has no other neighbours; in
small documents these weigh less: a quarter fewer of its article paragraphs are lost."""
ONE: Final = 1 << 20
"""Probabilities are summed as integers, this many to one, so that a sum doesn't depend on what stands before it in the batch."""

FEATURES: Final = (
    *("own", "own_above_0", "own_above_doubt", "refined", "refined_above_0", "refined_above_doubt"),
    *("length", "short", "own_by_length"),
    *(f"at_{way}{k}" for k in NEAREST for way in ("up", "down")),
    *("above_0_up1", "above_0_down1", "length_up1", "length_down1"),
    *(f"{what}_{w}" for w in WINDOWS for what in ("mean_up", "mean_down", "both_sides", "short_by_mean", "own_by_mean")),
    *("peak_up", "peak_down", "peak_both", "own_by_peak_up", "own_by_peak_down"),
    *("sum_of_others", "share_of_others", "n_paragraphs", "n_before", "n_after", "sum_before", "sum_after"),
    *("few", "few_by_own", "few_by_refined", "few_by_length", "few_by_up1", "few_by_down1"),
    *("few_by_peak_up", "few_by_peak_down", "few_by_share", "few_by_short_mean"),
)
"""Names of the features, in the order in which `context_features` yields them."""


def context_features(
    own: Column, refined: Column, n_tokens: NDArray[np.intp], bounds: NDArray[np.intp], at: NDArray[np.intp] | None = None
) -> Iterator[Column]:
    """Yield the features of each paragraph in its document, one column at a time.

    Parameters
    ----------
    own : ndarray of float64, shape (n_paragraphs,)
        Log-odds of the paragraph stage.
    refined : ndarray of float64, shape (n_paragraphs,)
        Best log-odds known so far: the same in the first pass, the first pass's result in the second.
    n_tokens : ndarray of intp, shape (n_paragraphs,)
    bounds : ndarray of intp, shape (n_documents + 1,)
        Document i has the paragraphs ``bounds[i]:bounds[i + 1]``.
    at : ndarray of intp, shape (n_rows,), optional
        The paragraphs whose features are wanted; all by default.

    Yields
    ------
    ndarray of float64, shape (n_rows,)
        In the order of `FEATURES`.
    """
    n = len(own)
    own, refined = np.clip(own, -LIMIT, LIMIT), np.clip(refined, -LIMIT, LIMIT)
    count = np.diff(bounds)
    document = np.repeat(np.arange(len(count)), count)
    integers = np.rint(ONE / (1.0 + np.exp(-refined))).astype(np.int64)
    sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(integers)))
    # documents lie apart by as many places as a neighbour may be away, so that it is one look-up without a test
    place = np.arange(n) + FARTHEST * (document + 1)

    def apart(values: Column, otherwise: float) -> Column:
        spread = np.full(n + FARTHEST * (len(count) + 1), otherwise)
        spread[place] = values
        return spread

    refined_at, probability_at, length_at = apart(refined, OUTSIDE), apart(integers / ONE, 0.0), apart(np.log1p(n_tokens), 0.0)
    here = np.arange(n)
    if at is not None:
        here, own, refined, n_tokens, document, place = at, own[at], refined[at], n_tokens[at], document[at], place[at]
    first, last = bounds[document], bounds[document + 1]
    length = np.log1p(n_tokens)
    short = SHORT / (SHORT + n_tokens)

    yield own
    yield np.maximum(own, 0.0)
    yield np.maximum(own - DOUBTFUL, 0.0)
    yield refined
    yield np.maximum(refined, 0.0)
    yield np.maximum(refined - DOUBTFUL, 0.0)
    yield length
    yield short
    yield own * length
    nearest = {}
    for k in NEAREST:
        for distance in (-k, k):
            nearest[distance] = refined_at.take(place + distance)
            yield nearest[distance]
    yield np.maximum(nearest[-1], 0.0)
    yield np.maximum(nearest[1], 0.0)
    yield length_at.take(place - 1)
    yield length_at.take(place + 1)
    short_by_mean = np.zeros(len(here))
    for w in WINDOWS:
        up = (sums[here] - sums[np.maximum(first, here - w)]) / (w * ONE)
        down = (sums[np.minimum(last, here + w + 1)] - sums[here + 1]) / (w * ONE)
        yield up
        yield down
        yield up * down
        short_mean = short * (up + down)
        short_by_mean = short_mean if w == MIDDLE else short_by_mean
        yield short_mean
        yield own * (up + down)
    peak_up, peak_down = np.zeros(len(here)), np.zeros(len(here))
    for k in range(1, PEAK + 1):
        np.maximum(peak_up, probability_at.take(place - k), out=peak_up)
        np.maximum(peak_down, probability_at.take(place + k), out=peak_down)
    yield peak_up
    yield peak_down
    yield peak_up * peak_down
    yield own * peak_up
    yield own * peak_down
    before, after = (sums[here] - sums[first]) / ONE, (sums[last] - sums[here + 1]) / ONE
    size = (last - first).astype(np.float64)
    yield np.log1p(before + after)
    share = (before + after) / np.maximum(size - 1.0, 1.0)
    yield share
    yield np.log1p(size)
    yield np.log1p(here - first)
    yield np.log1p(last - 1 - here)
    yield np.log1p(before)
    yield np.log1p(after)
    few = FEW / (FEW + size)
    yield few
    for column in (own, refined, length, nearest[-1], nearest[1], peak_up, peak_down, share, short_by_mean):
        yield few * column
