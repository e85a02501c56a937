"""What the neighbours of a paragraph say: the features of the context stage.

Consent text comes in runs, and its buttons ("OK", "Learn more") mean nothing alone. Each feature is one number for a paragraph, made of
its own log-odds and length and those of the paragraphs around it; blank lines are no neighbours. All are made so that a document gets the
same bits alone and in any batch: sums over windows run over integers, and nothing is a matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

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
NEIGHBOURS: Final = np.array([[way * k] for k in NEAREST for way in (-1, 1)])
WIDTHS: Final = np.array(WINDOWS)[:, None]
HINGES: Final = np.array([[0.0], [DOUBTFUL]])
PEAKS: Final = np.arange(1, PEAK + 1)[:, None]
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


class Layout(NamedTuple):
    """Where paragraphs stand in their documents, and what of their features follows from that alone: the same for every pass.

    Attributes
    ----------
    n : int
        Number of all paragraphs.
    apart : ndarray of intp, shape (n,)
        Places of all paragraphs in an array in which documents lie apart by as many places as a neighbour may be away, so that a neighbour is
        one look-up without a test.
    n_apart : int
        Length of such an array.
    here, place, first, last : ndarray of intp, shape (n_rows,)
        Of the paragraphs whose features are wanted: which they are, their places, and the first paragraph of their document and of the next.
    rows : ndarray of intp or slice
        `here`, or all.
    length, short, few, n_others : ndarray of float64, shape (n_rows,)
    lengths_near : ndarray of float64, shape (2, n_rows)
    counts : list of ndarray of float64, shape (n_rows,)
        Logarithms of the number of paragraphs, of those before and of those after.
    """

    n: int
    apart: NDArray[np.intp]
    n_apart: int
    here: NDArray[np.intp]
    place: NDArray[np.intp]
    first: NDArray[np.intp]
    last: NDArray[np.intp]
    rows: NDArray[np.intp] | slice
    length: Column
    short: Column
    few: Column
    n_others: Column
    lengths_near: Column
    counts: list[Column]

    def spread(self, values: Column, otherwise: float) -> Column:
        """Values of all paragraphs with their documents apart."""
        spread = np.full(self.n_apart, otherwise)
        spread[self.apart] = values
        return spread


def sums_of(refined: Column) -> NDArray[np.int64]:
    """Sums of the probabilities of all paragraphs before each, `ONE` to one, shape (n_paragraphs + 1,), of log-odds within `LIMIT`."""
    sums = np.zeros(len(refined) + 1, np.int64)
    np.cumsum(np.rint(ONE / (1.0 + np.exp(-refined))).astype(np.int64), out=sums[1:])
    return sums


def layout_of(n_tokens: NDArray[np.intp], bounds: NDArray[np.intp], at: NDArray[np.intp] | None = None) -> Layout:
    """Lay out paragraphs.

    Parameters
    ----------
    n_tokens : ndarray of intp, shape (n_paragraphs,)
    bounds : ndarray of intp, shape (n_documents + 1,)
        Document i has the paragraphs ``bounds[i]:bounds[i + 1]``.
    at : ndarray of intp, shape (n_rows,), optional
        The paragraphs whose features are wanted; all by default.
    """
    n = len(n_tokens)
    count = bounds[1:] - bounds[:-1]
    document = np.repeat(np.arange(len(count)), count)
    here = np.arange(n)
    apart = here + FARTHEST * (document + 1)
    n_apart = n + FARTHEST * (len(count) + 1)
    lengths = np.zeros(n_apart)
    lengths[apart] = np.log1p(n_tokens)
    place = apart
    if at is not None:
        here, n_tokens, document, place = at, n_tokens[at], document[at], apart[at]
    first, last = bounds[document], bounds[document + 1]
    size = last - first
    logarithms = np.log1p(np.arange(max(count.tolist(), default=0) + 1))  # a logarithm takes 10 ns, a look-up 1
    counts = [logarithms.take(number) for number in (size, here - first, last - 1 - here)]
    few, n_others = FEW / (FEW + size), np.maximum(size - 1.0, 1.0)
    length, short = lengths.take(place), SHORT / (SHORT + n_tokens)
    lengths_near = lengths.take(place + NEIGHBOURS[:2])
    return Layout(n, apart, n_apart, here, place, first, last, slice(None) if at is None else at, length, short, few, n_others, lengths_near, counts)


def context_features(own: Column, refined: Column, layout: Layout) -> Iterator[Column]:
    """Yield the features of each paragraph in its document, one column at a time.

    Parameters
    ----------
    own : ndarray of float64, shape (n_paragraphs,)
        Log-odds of the paragraph stage.
    refined : ndarray of float64, shape (n_paragraphs,)
        Best log-odds known so far: the same in the first pass, the first pass's result in the second.
    layout : Layout

    Yields
    ------
    ndarray of float64, shape (n_rows,)
        In the order of `FEATURES`.
    """
    here, place, rows, length, short, few = layout.here, layout.place, layout.rows, layout.length, layout.short, layout.few
    own, refined = np.clip(own, -LIMIT, LIMIT), np.clip(refined, -LIMIT, LIMIT)
    sums = sums_of(refined)
    refined_at, probability_at = layout.spread(refined, OUTSIDE), layout.spread((sums[1:] - sums[:-1]) / ONE, 0.0)
    own, refined = own[rows], refined[rows]

    yield own
    yield from np.maximum(own - HINGES, 0.0)
    yield refined
    yield from np.maximum(refined - HINGES, 0.0)
    yield length
    yield short
    yield own * length
    near = refined_at.take(place + NEIGHBOURS)
    yield from near
    yield from np.maximum(near[:2], 0.0)
    yield from layout.lengths_near
    before, after = sums.take(here), sums.take(here + 1)  # sums of all up to each paragraph, without it and with it
    mean_up = (before - sums.take(np.maximum(layout.first, here - WIDTHS))) / (WIDTHS * ONE)
    mean_down = (sums.take(np.minimum(layout.last, here + 1 + WIDTHS)) - after) / (WIDTHS * ONE)
    short_by_mean = short * (mean_up + mean_down)
    for up, down, by_mean in zip(mean_up, mean_down, short_by_mean, strict=True):
        yield up
        yield down
        yield up * down
        yield by_mean
        yield own * (up + down)
    peak_up, peak_down = (probability_at.take(place + way * PEAKS).max(axis=0) for way in (-1, 1))
    yield peak_up
    yield peak_down
    yield peak_up * peak_down
    yield own * peak_up
    yield own * peak_down
    sum_before, sum_after = (before - sums.take(layout.first)) / ONE, (sums.take(layout.last) - after) / ONE
    total = sum_before + sum_after
    share = total / layout.n_others
    yield np.log1p(total)
    yield share
    yield from layout.counts
    yield np.log1p(sum_before)
    yield np.log1p(sum_after)
    yield few
    for column in (own, refined, length, near[0], near[1], peak_up, peak_down, share, short_by_mean[WINDOWS.index(MIDDLE)]):
        yield few * column
