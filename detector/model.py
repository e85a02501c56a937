"""The fitted model as plain arrays, and its scores: of a line on its own, of a paragraph among its neighbours, of a piece of a line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.context import FEATURES, context_features, layout_of
from detector.features import KINDS, HashedLines, hash_lines
from detector.native import COMPILED, Compiled
from detector.pieces import GATE, LEAST_WORDS, MOST_WORDS, Expanded, features_in_line, known_of_rows, layout_of_pieces, piece_features

LABELS: Final = ("article", "boilerplate")
"""The two classes, in the order of scikit-learn's ``classes_``."""
THRESHOLDS: Final = ("precision", "balanced", "recall")
"""Names of the thresholds that every model carries; the first is the default."""


BLOCK: Final = 1 << 14
"""Paragraphs whose context is scored in one go; a longer document is scored whole, and results do not depend on it."""
PEAK_WORDS: Final = 12
"""Consecutive words whose evidence is summed to find consent text inside a line: those of a short sentence."""
TROUGH_WORDS: Final = 6
TROUGH: Final = 0.0
"""A line that nowhere has so many words whose evidence adds up to less than this joins nothing: seven in ten of the lines that reach the gate. With
-30 a quarter fewer are cut, but not "... retired in May after forty years on the rock. We use cookies ...": a sentence may say next to nothing."""
SQUARE_BITS: Final = 15
"""Evidence and squared IDF of an n-gram lie in one 32-bit number, the latter in so many bits: sums of four stay in their bits."""
SQUARE_MASK: Final = (1 << SQUARE_BITS) - 1
LARGEST_SQUARE: Final = SQUARE_MASK // 4
SQUARES_TO_ONE: Final = 32
"""Squared IDF is a multiple of 1/32, up to 256."""
EVIDENCE_UNITS: Final = (1 << 14) - 1
"""The largest evidence of a bucket that isn't hot, in units."""
APART: Final = -(1 << 14)
HOT_BELOW: Final = (APART + 1) << SQUARE_BITS
FEW_ROWS: Final = 256
"""So few paragraphs or pieces are scored as one matrix, which saves a hundred calls of numpy."""


def probability_of(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Logistic function; log-odds beyond +-40 give 0 or 1 to within float64 anyway and are cut, so that nothing overflows."""
    return 1.0 / (1.0 + np.exp(-np.clip(log_odds, -40.0, 40.0)))


def _grid_of(evidence: NDArray[np.float64], hot: NDArray[np.bool_]) -> float:
    """Power of two of which the largest evidence of a bucket that isn't hot is `EVIDENCE_UNITS` at most; evidence is weight times IDF."""
    largest = float(np.abs(evidence).max(initial=0.0, where=~hot))
    # what single precision added must not double it
    return 2.0 ** math.ceil(math.log2(largest * (1 - 1e-6) / EVIDENCE_UNITS)) if largest else 1.0


def squares_of(idf: NDArray[np.floating]) -> NDArray[np.int64]:
    """Squared IDF as prediction counts it, `SQUARES_TO_ONE` to one."""
    return np.clip(np.rint(idf.astype(np.float64) ** 2 * SQUARES_TO_ONE), 1, LARGEST_SQUARE).astype(np.int64)


def idf_on_grid(idf: NDArray[np.floating]) -> NDArray[np.float64]:
    """IDF whose squares are whole multiples, as prediction counts them; a fit rounds them, so that it and prediction agree."""
    return np.sqrt(squares_of(idf) / SQUARES_TO_ONE)


def weights_on_grid(weights: NDArray[np.floating], idf: NDArray[np.floating], hot: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights whose products with the IDF are whole multiples of one unit of evidence, as prediction counts them.

    Parameters
    ----------
    weights, idf : ndarray, shape (n_buckets,)
    hot : ndarray of bool, shape (n_buckets,)
        As in `Model`.
    """
    evidence = weights.astype(np.float64) * idf
    grid = _grid_of(evidence, hot)
    return np.rint(evidence / grid) * grid / idf


class Alone(NamedTuple):
    """The log-odds of texts without their documents: ``(log_odds - by_length * log(max(n_tokens, LENGTH) / LENGTH)) * scale + offset``.

    Attributes
    ----------
    by_length : float
        The evidence of a long text is the sum of more n-grams, and what says the same in more words is more often an article's.
    scale, offset : float
        Of texts of `FEW_WORDS` words or more; after them the thresholds lose the same shares of article texts as in documents.
    scale_of_few, offset_of_few : float
        Of shorter ones, which say less, so that they lose no more than others.
    """

    by_length: float
    scale: float
    offset: float
    scale_of_few: float
    offset_of_few: float

    def log_odds(self, own: NDArray[np.float64], n_tokens: NDArray[np.intp]) -> NDArray[np.float64]:
        """Log-odds of texts that come without a document, for which the thresholds are right.

        Parameters
        ----------
        own, n_tokens : ndarray, shape (n_texts,)
            Log-odds of the paragraph stage, and number of words.
        """
        few = n_tokens < FEW_WORDS
        shortened = own - self.by_length * np.log(np.maximum(n_tokens, LENGTH) / LENGTH)
        return shortened * np.where(few, self.scale_of_few, self.scale) + np.where(few, self.offset_of_few, self.offset)


LENGTH: Final = 8
"""Words up to which the length of a text takes nothing off."""
FEW_WORDS: Final = 3
"""A text of fewer words says so little alone that its log-odds have a scale of their own."""


class ScoredLines(NamedTuple):
    """Lines of a text, each on its own.

    Attributes
    ----------
    log_odds : ndarray of float64, shape (n_lines,)
    suspect : ndarray of bool, shape (n_lines,)
        Whether it may join article and consent text.
    n_tokens : ndarray of intp, shape (n_lines,)
    blank : ndarray of bool, shape (n_lines,)
        Whether it is nothing but white space.
    newlines : ndarray of intp, shape (n_lines - 1,)
        Places of the line ends in the text, in UTF-8.
    """

    log_odds: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    n_tokens: NDArray[np.intp]
    blank: NDArray[np.bool_]
    newlines: NDArray[np.intp]


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
    alone : Alone
        What becomes of the paragraph stage's log-odds of a text without its document.
    context, context_bias : ndarray of float64, shape (n_passes, n_context_features) and (n_passes,)
        Coefficients of the context stage, in the order of `detector.context.FEATURES`, and intercepts, for each pass.
    pieces, pieces_bias : ndarray of float64, shape (n_passes, n_piece_features) and (n_passes,)
        The same of the piece stage, in the order of `detector.pieces.PIECE_FEATURES`.
    thresholds : mapping of str to float
        Probability from which a paragraph is boilerplate, by name.
    card : mapping
        Model card: sources with digests, versions, settings, figures.
    grid : float
        Computed of these, as all that follow: log-odds, before they are divided by the norm, of one unit of evidence.
    units : ndarray of int64, shape (2**bits + 1,)
        Evidence of each bucket, weight times IDF, in units of `grid`; here and below the last is for "has none".
    table : ndarray of int32, shape (2**bits + 1,)
        Evidence in the upper 17 bits and squared IDF in the lower 15, so that one look-up of 4 bytes brings both, and their sums over the kinds.
        Hot buckets have `APART` for evidence; theirs is added apart.
    compiled : Compiled or None
        What does the work of scoring, where it was compiled (`detector.native`).
    """

    bits: int
    weights: NDArray[np.float32]
    idf: NDArray[np.float32]
    hot: NDArray[np.bool_]
    bias: float
    alone: Alone
    context: NDArray[np.float64]
    context_bias: NDArray[np.float64]
    pieces: NDArray[np.float64]
    pieces_bias: NDArray[np.float64]
    thresholds: Mapping[str, float]
    card: Mapping[str, Any] = field(default_factory=dict)
    grid: float = field(init=False, repr=False)
    units: NDArray[np.int64] = field(init=False, repr=False)
    table: NDArray[np.int32] = field(init=False, repr=False)
    compiled: Compiled | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # at once: later the model is only read, by any number of threads, and processes that are forked share it. `functools.cached_property` has a
        # lock in Python 3.11, for which a process forked while another thread held it waited for ever
        evidence = self.weights.astype(np.float64) * self.idf
        grid = _grid_of(evidence, self.hot)
        units = np.zeros(len(evidence) + 1, np.int64)
        np.rint(evidence / grid, out=evidence)
        units[:-1] = evidence
        table = np.zeros(len(units), np.int32)
        table[:-1] = np.where(self.hot, APART, evidence)
        table <<= SQUARE_BITS
        table[:-1] += squares_of(self.idf).astype(np.int32)
        self.__dict__.update(grid=grid, units=units, table=table)  # the fields are frozen
        windows = {"peak_words": PEAK_WORDS, "trough_words": TROUGH_WORDS, "least_words": LEAST_WORDS, "most_words": MOST_WORDS}
        bits = {"square_bits": SQUARE_BITS, "squares_to_one": SQUARES_TO_ONE, "apart": APART}
        self.__dict__["compiled"] = None if COMPILED is None else Compiled(self, COMPILED, gate=GATE, trough=TROUGH, **windows, **bits)

    def __reduce__(self) -> tuple[type[Model], tuple[Any, ...]]:
        """For pickle: what is computed of the rest is computed anew, which takes less time than to send it, 20 MB."""
        return Model, tuple(getattr(self, f.name) for f in fields(self) if f.init)

    def score_lines(self, text: bytes) -> ScoredLines:
        r"""Score each line of a text on its own; only "\\n" ends a line.

        Parameters
        ----------
        text : bytes
            What `detector.features.utf8` makes of a text.
        """
        return self.score_lines_by_numpy(text) if self.compiled is None else ScoredLines(*self.compiled.score_lines(text))

    def score_lines_by_numpy(self, text: bytes) -> ScoredLines:
        """Score lines as `score_lines` does, where no library was compiled: the same to the bit."""
        hashed = hash_lines(text, self.bits)
        return ScoredLines(*self.log_odds_and_suspects(hashed), np.diff(hashed.tokens), hashed.blank, hashed.newlines)

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
        return self.log_odds_and_suspects(hashed)[0]

    def log_odds_and_suspects(self, hashed: HashedLines, gate: float = GATE, trough: float = TROUGH) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Log-odds of each line as `log_odds` gives them, and which lines may join consent text and other text.

        Parameters
        ----------
        hashed : HashedLines
        gate, trough : float
            `detector.pieces.GATE` and `TROUGH`; a fit looks at more lines than prediction does.

        Returns
        -------
        log_odds : ndarray of float64, shape (n_lines,)
        suspect : ndarray of bool, shape (n_lines,)
            Lines of `detector.pieces.LEAST_WORDS` words or more that reach the gate, as a whole or with `PEAK_WORDS` consecutive words,
            and have `TROUGH_WORDS` consecutive words that speak against consent text.
        """
        result = np.full(len(hashed.tokens) - 1, self.bias)
        suspect = np.zeros(len(result), np.bool_)
        lines = hashed.lines
        if not len(lines):
            return result, suspect
        table, units = self.table, self.units
        first, end = hashed.tokens[lines], hashed.tokens[lines + 1]
        per_token = np.zeros(len(hashed.starts), np.int32)
        tokens, hot = [], []
        for buckets in hashed.token_buckets:
            found = table.take(buckets)
            at = (found < HOT_BELOW).nonzero()[0]
            tokens.append(at)
            hot.append(buckets[at])
            per_token += found
        hot_tokens, hot_buckets = np.concatenate(tokens), np.concatenate(hot)
        hot_lines = np.searchsorted(first, hot_tokens, side="right") - 1
        hot_units = units.take(hot_buckets)
        evidence = np.right_shift(per_token, SQUARE_BITS, dtype=np.int64)
        np.add.at(evidence, hot_tokens, hot_units - APART)
        running = np.zeros(len(evidence) + 1, np.int64)
        np.cumsum(evidence, out=running[1:])
        total = running[end] - running[first]
        squares = np.add.reduceat(np.bitwise_and(per_token, SQUARE_MASK, dtype=np.int64), first)
        words = end - first
        norm = np.sqrt(squares / (SQUARES_TO_ONE * words))  # of one word, in the mean
        keys = [(hot_lines << 32) | hot_buckets]
        per_line = np.zeros(len(lines), np.int32)
        for buckets in hashed.line_buckets:
            found = table.take(buckets)
            line = (found < HOT_BELOW).nonzero()[0]
            keys.append((line << 32) | buckets[line])
            found[line] -= APART << SQUARE_BITS
            per_line += found
        total += per_line >> SQUARE_BITS
        squares += per_line & SQUARE_MASK
        # hot buckets count once in a line
        total += self._hot_sums(np.concatenate(keys), len(lines)) - np.bincount(hot_lines, hot_units, len(lines)).astype(np.int64)
        result[lines] += total * self.grid / np.sqrt(squares / SQUARES_TO_ONE)
        reaches = (result[lines] >= gate) | self._peaks(running, first, words, norm, gate)
        may = np.flatnonzero(reaches & (words >= LEAST_WORDS) & (words <= MOST_WORDS))
        if len(may):
            suspect[lines[may]] = self._least_windows(running, first[may], words[may], TROUGH_WORDS) <= trough
        return result, suspect

    def _hot_sums(self, keys: NDArray[np.int64], n_lines: int) -> NDArray[np.int64]:
        """Sum of the evidence of the distinct hot buckets of each line; few occurrences are hot, so that sorting them is cheap.

        Parameters
        ----------
        keys : ndarray of int64
            Line in the upper 32 bits, bucket in the lower ones, of each hot occurrence, in any order.
        n_lines : int
        """
        keys.sort()
        distinct = keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys
        return np.bincount(distinct >> 32, self.units.take(distinct & 0xFFFFFFFF), n_lines).astype(np.int64)

    def _peaks(
        self, running: NDArray[np.int64], first: NDArray[np.intp], words: NDArray[np.intp], norm: NDArray[np.float64], gate: float
    ) -> NDArray[np.bool_]:
        """Which lines have `PEAK_WORDS` consecutive words, or fewer in all, of log-odds of at least `gate`.

        Parameters
        ----------
        running : ndarray of int64, shape (n_tokens + 1,)
            Evidence of all tokens before each.
        first, words : ndarray of intp, shape (n_lines,)
            First token and number of tokens of each line, at least one, ascending.
        norm : ndarray of float64, shape (n_lines,)
            Of one word of each line.
        gate : float
        """
        units = (gate - self.bias) / self.grid * norm * np.sqrt(np.minimum(words, PEAK_WORDS))  # that reach the gate
        found: NDArray[np.bool_] = running[first + words] - running[first] >= units
        long = np.flatnonzero(words > PEAK_WORDS)
        if len(long):
            found[long] = False
            # few windows have evidence enough for any line, so that only for those the line is sought
            start = np.flatnonzero(running[PEAK_WORDS:] - running[:-PEAK_WORDS] >= units[long].min())
            line = np.searchsorted(first, start, side="right") - 1
            inside = start + PEAK_WORDS <= first[line] + words[line]
            start, line = start[inside], line[inside]
            found[line[running[start + PEAK_WORDS] - running[start] >= units[line]]] = True
        return found

    def _least_windows(self, running: NDArray[np.int64], first: NDArray[np.intp], words: NDArray[np.intp], size: int) -> NDArray[np.float64]:
        """Smallest sum of the evidence of `size` consecutive words of each of some lines, or of all where it has fewer; arguments as of `_peaks`."""
        size_of = np.minimum(words, size)
        count = words - size_of + 1
        before = np.cumsum(count) - count
        start = np.repeat(first - before, count) + np.arange(int(count.sum()))
        sums = running[start + np.repeat(size_of, count)] - running[start]
        return np.asarray(np.minimum.reduceat(sums, before) * self.grid, np.float64)

    def sums_of_lines(self, text: bytes) -> NDArray[np.int64]:
        r"""Sums over the n-grams of each line of a text, of which every occurrence counts; only "\\n" ends a line.

        Parameters
        ----------
        text : bytes
            What `detector.features.utf8` makes of a text.

        Returns
        -------
        ndarray of int64, shape (n_lines, 6)
            Number of words; evidence of the n-grams of words, in units of `grid`; their squared IDF, `SQUARES_TO_ONE` to one; evidence of the n-grams
            that begin the line, and of those that end it; that of its pairs of words, which is in the second too.
        """
        if self.compiled is not None:
            return self.compiled.sums_of_lines(text)
        hashed = hash_lines(text, self.bits)
        sums = np.zeros((6, len(hashed.tokens) - 1), np.int64)
        lines = hashed.lines
        if len(lines):
            first = hashed.tokens[lines]
            units = [self.units.take(buckets) for buckets in hashed.token_buckets]
            squares = sum(self.table.take(buckets) & SQUARE_MASK for buckets in hashed.token_buckets)
            sums[0] = np.diff(hashed.tokens)
            for row, column in ((1, sum(units)), (2, squares), (5, units[KINDS.index("bigram")])):
                sums[row, lines] = np.add.reduceat(column, first)
            of_line = [self.units.take(buckets) for buckets in hashed.line_buckets]
            sums[3, lines], sums[4, lines] = of_line[0] + of_line[2], of_line[1] + of_line[3]
        return sums.T

    def evidence(self, text: bytes, words: int) -> NDArray[np.float64]:
        """Part of each line in the log-odds of a sentence of `words` such words: of the n-grams of its words, and of the bias by its length.

        Every occurrence counts, of hot buckets too: what repeats in a long line stands in different sentences of it.

        Returns
        -------
        ndarray of float64, shape (3, n_lines)
            Of its words; of its first words, if a sentence begins with them; of its last words, if one ends with them.
        """
        sums = self.sums_of_lines(text)
        result = sums.T[[1, 3, 4]] * (self.grid / _usual_norm(sums, words))
        result[0] += self.bias * sums[:, 0] / words
        return result

    def evidence_of_pairs(self, text: bytes, words: int) -> NDArray[np.float64]:
        """Part of the pairs of neighbouring words of each line in the log-odds of a sentence of `words` such words, shape (n_lines,)."""
        sums = self.sums_of_lines(text)
        return np.asarray(sums[:, 5] * (self.grid / _usual_norm(sums, words)), np.float64)

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
        if len(log_odds) <= BLOCK:
            return self._refine(log_odds, n_tokens, bounds)
        # a few thousand paragraphs at a time, whole documents each, so that the columns stay in the cache
        ends = np.searchsorted(bounds, np.arange(bounds[0] + BLOCK, bounds[-1] + BLOCK, BLOCK), side="right") - 1
        parts = []
        start = 0
        for end in [*np.unique(ends).tolist(), len(bounds) - 1]:
            if end > start:
                here = slice(bounds[start], bounds[end])
                parts.append(self._refine(log_odds[here], n_tokens[here], bounds[start : end + 1] - bounds[start]))
                start = end
        return np.concatenate(parts)

    def _refine(self, log_odds: NDArray[np.float64], n_tokens: NDArray[np.intp], bounds: NDArray[np.intp]) -> NDArray[np.float64]:
        if self.compiled is not None:
            scorer = self.compiled.context(log_odds, n_tokens, bounds)
            refined = log_odds
            for coefficients, bias in zip(self.context, self.context_bias.tolist(), strict=True):
                refined = scorer.weigh(refined, coefficients, bias)
            return refined
        layout = layout_of(n_tokens, bounds)
        return _passes(self.context, self.context_bias, log_odds, lambda refined: context_features(log_odds, refined, layout))

    def log_odds_of_pieces(
        self, rows: Expanded, line_log_odds: NDArray[np.float64], line_in_document: NDArray[np.float64], line_n_tokens: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Log-odds of the pieces of lines that were cut, in their documents: the piece stage.

        Parameters
        ----------
        rows : Expanded
            Documents with these lines cut.
        line_log_odds, line_in_document, line_n_tokens : ndarray, shape (n_lines,)
            Of the whole lines: log-odds of the paragraph stage and of the context stage, number of words.

        Returns
        -------
        ndarray of float64, shape (n_pieces,)
        """
        own = rows.log_odds[rows.is_piece]
        if self.compiled is not None:
            scorer = self.compiled.context(rows.log_odds, rows.n_tokens, rows.bounds, np.flatnonzero(rows.is_piece))
            refined, n = own, len(FEATURES)
            for coefficients, bias in zip(self.pieces, self.pieces_bias.tolist(), strict=True):
                columns = features_in_line(rows, refined, line_log_odds, line_in_document, line_n_tokens)
                refined = scorer.weigh(known_of_rows(rows, refined, line_log_odds), coefficients[:n], bias)
                for weight, column in zip(coefficients[n:].tolist(), columns, strict=True):
                    refined += column * weight
            return refined
        layout = layout_of_pieces(rows)
        return _passes(
            self.pieces,
            self.pieces_bias,
            own,
            lambda refined: piece_features(rows, layout, refined, line_log_odds, line_in_document, line_n_tokens),
        )


def _usual_norm(sums: NDArray[np.int64], words: int) -> NDArray[np.float64]:
    """Norm that each line would have with `words` words such as its own; `sums` as `Model.sums_of_lines` gives them."""
    return np.asarray(np.sqrt(np.maximum(sums[:, 2], 1) / SQUARES_TO_ONE / np.maximum(sums[:, 0], 1) * words), np.float64)


def _passes(
    weights: NDArray[np.float64],
    biases: NDArray[np.float64],
    log_odds: NDArray[np.float64],
    features: Callable[[NDArray[np.float64]], Iterable[NDArray[np.floating]]],
) -> NDArray[np.float64]:
    """Linear passes, each of which sees the result of the one before."""
    refined = log_odds
    for coefficients, bias in zip(weights, biases.tolist(), strict=True):
        # one column at a time, in their order: a matrix product may round differently with another number of rows
        if len(log_odds) <= FEW_ROWS:
            products = np.concatenate([np.full(len(log_odds), bias), *features(refined)]).reshape(len(coefficients) + 1, len(log_odds))
            products[1:] *= coefficients[:, None]
            refined = np.add.accumulate(products)[-1]
            continue
        result = np.full(len(log_odds), bias)
        product = np.empty_like(result)
        for weight, column in zip(coefficients.tolist(), features(refined), strict=True):
            result += np.multiply(column, weight, out=product)
        refined = result
    return refined
