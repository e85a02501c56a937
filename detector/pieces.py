"""Cut a line that may join article and consent text into pieces: sentences, cut further where the evidence turns within one.

The paragraph stage is linear: each n-gram of a line adds its part. Summed over a *unit*, the text between two edges (`detector.sentences`), these
parts say what the unit speaks for. A sentence is one piece unless another course pays: the best labelling of its units, where each change of label
costs `TURN`, is found by a dynamic programme with two states (Viterbi). So a missing full stop does not hide a banner. The pieces are then
scored like lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.context import FEATURES, LIMIT, context_features
from detector.features import hash_lines, utf8
from detector.sentences import find_units

if TYPE_CHECKING:
    from detector.model import Model

GATE: Final = -0.5
"""A line is cut where its own log-odds, or those of its most suspect words, are at least this. Of the article text of real pages this looks at a
twentieth, of consent lines at all but 1 in 100."""
LEAST_WORDS: Final = 6
"""A shorter line is not cut."""
MOST_WORDS: Final = 1 << 18
"""Nor is a longer one: it is no page of text, and its pieces would fill the memory."""
TURN: Final = 1.0
"""Log-odds that a change of label within a sentence costs; at 3, twice as much article text stays in one piece with consent text."""
USUAL: Final = 10
"""Words of a usual sentence: a unit of so many words has the evidence that it would have as a line."""
BYTES_AT_ONCE: Final = 1 << 18


DETAILS: Final = ("evidence_for", "evidence_against", "marked_start", "marked_end")
"""What is known of a piece beside its log-odds: the sum of the evidence of its units that speak for consent text, and of those that speak against;
whether a sentence ends before it, and with it."""
PIECE_FEATURES: Final = (
    *FEATURES,
    *("line", "line_above_0", "line_length", "share", "line_by_share", "best_of_line", "worst_of_line"),
    *("line_in_document", "line_in_document_above_0", "line_in_document_by_share"),
    *DETAILS,
    *("for_by_length", "against_by_length"),
)
"""Names of the features of a piece: those of a paragraph, with the pieces of its line as neighbours; what its line is as a whole; its details."""


class Pieces(NamedTuple):
    """Pieces of lines, one after another.

    Attributes
    ----------
    bounds : ndarray of intp, shape (n_lines + 1,)
        Line i has the pieces ``bounds[i]:bounds[i + 1]``, at least one.
    start : ndarray of intp, shape (n_pieces,)
        Offset of each piece in its line, in code points; the first one's is 0. A piece ends where the next one starts.
    log_odds : ndarray of float64, shape (n_pieces,)
        Of the paragraph stage, each piece on its own.
    n_tokens : ndarray of intp, shape (n_pieces,)
    details : ndarray of float64, shape (4, n_pieces)
        As in `DETAILS`.
    """

    bounds: NDArray[np.intp]
    start: NDArray[np.intp]
    log_odds: NDArray[np.float64]
    n_tokens: NDArray[np.intp]
    details: NDArray[np.float64]


def suspects(log_odds: NDArray[np.float64], peak: NDArray[np.float64], n_tokens: NDArray[np.intp]) -> NDArray[np.intp]:
    """Lines that may hold consent text beside other text, by their own log-odds and those of their most suspect words."""
    return np.flatnonzero((np.maximum(log_odds, peak) >= GATE) & (n_tokens >= LEAST_WORDS) & (n_tokens <= MOST_WORDS))


def cut_into_pieces(model: Model, lines: Sequence[str]) -> Pieces:
    """Cut lines into pieces and score each.

    Parameters
    ----------
    model : Model
    lines : sequence of str
        Without line ends.

    Returns
    -------
    Pieces
    """
    line, offset, strong = find_units(lines)
    evidence = _evidence(model, _slices(lines, line, offset))
    piece = np.flatnonzero(strong | _turns(evidence, strong))
    texts = _slices(lines, line[piece], offset[piece])
    log_odds, n_tokens = _score(model, texts)
    one_way = np.maximum(evidence[0], 0.0), np.minimum(evidence[0], 0.0)
    sums = [np.add.reduceat(part, piece) if len(piece) else np.empty(0) for part in one_way]
    marked = strong[piece]
    bounds = np.searchsorted(line[piece], np.arange(len(lines) + 1))
    return Pieces(bounds, offset[piece], log_odds, n_tokens, np.vstack((*sums, marked, np.append(marked[1:], True)[: len(marked)])))


def _slices(lines: Sequence[str], line: NDArray[np.intp], offset: NDArray[np.intp]) -> list[str]:
    """Text from each offset to the next one in its line, or to the line's end."""
    ends = np.append(offset[1:], 0)
    ends[np.append(line[1:] != line[:-1], True)[: len(line)]] = [len(lines[i]) for i in np.unique(line)]
    return [lines[i][a:b] for i, a, b in zip(line.tolist(), offset.tolist(), ends.tolist(), strict=False)]


class Expanded(NamedTuple):
    """Documents with some of their lines cut into pieces; each row is a line or a piece.

    Attributes
    ----------
    log_odds : ndarray of float64, shape (n_rows,)
        Of the paragraph stage.
    n_tokens : ndarray of intp, shape (n_rows,)
    bounds : ndarray of intp, shape (n_documents + 1,)
        Document i has the rows ``bounds[i]:bounds[i + 1]``.
    line : ndarray of intp, shape (n_rows,)
        The line that each row is, or is a piece of.
    start : ndarray of intp, shape (n_rows,)
        Its offset in the line, in code points.
    is_piece : ndarray of bool, shape (n_rows,)
        Whether its line was given to be cut, into one piece or more.
    details : ndarray of float64, shape (4, n_rows)
        As in `DETAILS`; 0 for lines that were not given to be cut.
    """

    log_odds: NDArray[np.float64]
    n_tokens: NDArray[np.intp]
    bounds: NDArray[np.intp]
    line: NDArray[np.intp]
    start: NDArray[np.intp]
    is_piece: NDArray[np.bool_]
    details: NDArray[np.float64]


def expand(log_odds: NDArray[np.float64], n_tokens: NDArray[np.intp], bounds: NDArray[np.intp], cut: NDArray[np.intp], pieces: Pieces) -> Expanded:
    """Put the pieces of some lines in the place of these lines.

    Parameters
    ----------
    log_odds, n_tokens : ndarray, shape (n_lines,)
    bounds : ndarray of intp, shape (n_documents + 1,)
        Document i has the lines ``bounds[i]:bounds[i + 1]``.
    cut : ndarray of intp, shape (n_cut,)
        The lines that `pieces` is of, ascending.
    pieces : Pieces
    """
    count = np.ones(len(log_odds), np.intp)
    count[cut] = np.diff(pieces.bounds)
    line = np.repeat(np.arange(len(log_odds)), count)
    row = np.concatenate((np.zeros(1, np.intp), np.cumsum(count)))
    of_piece = np.repeat(row[cut] - pieces.bounds[:-1], count[cut]) + np.arange(len(pieces.start))
    own, length, start = log_odds[line], n_tokens[line], np.zeros(len(line), np.intp)
    is_piece = np.zeros(len(line), np.bool_)
    own[of_piece], length[of_piece], start[of_piece], is_piece[of_piece] = pieces.log_odds, pieces.n_tokens, pieces.start, True
    details = np.zeros((len(DETAILS), len(line)))
    details[:, of_piece] = pieces.details
    return Expanded(own, length, row[bounds], line, start, is_piece, details)


def piece_features(
    rows: Expanded,
    refined: NDArray[np.float64],
    line_log_odds: NDArray[np.float64],
    line_in_document: NDArray[np.float64],
    line_n_tokens: NDArray[np.intp],
) -> Iterator[NDArray[np.floating]]:
    """Yield the features of each row, one column at a time, in the order of `PIECE_FEATURES`.

    Parameters
    ----------
    rows : Expanded
    refined : ndarray of float64, shape (n_rows,)
        Best log-odds known so far, as in `detector.context.context_features`.
    line_log_odds, line_in_document, line_n_tokens : ndarray, shape (n_lines,)
        Of the whole lines: log-odds of the paragraph stage and of the context stage, number of words.

    Yields
    ------
    ndarray of float64, shape (n_rows,)
    """
    yield from context_features(rows.log_odds, refined, rows.n_tokens, rows.bounds)
    line = np.clip(line_log_odds, -LIMIT, LIMIT)[rows.line]
    words = line_n_tokens[rows.line]
    share = rows.n_tokens / np.maximum(words, 1)
    yield line
    yield np.maximum(line, 0.0)
    yield np.log1p(words)
    yield share
    yield line * share
    first = np.flatnonzero(np.append(True, rows.line[1:] != rows.line[:-1])[: len(rows.line)])
    count = np.diff(np.append(first, len(rows.line)))
    for best in (np.maximum, np.minimum):
        yield np.clip(np.repeat(best.reduceat(refined, first), count), -LIMIT, LIMIT)
    in_document = np.clip(line_in_document, -LIMIT, LIMIT)[rows.line]
    yield in_document
    yield np.maximum(in_document, 0.0)
    yield in_document * share
    details = np.clip(rows.details, -2 * LIMIT, 2 * LIMIT)
    yield from details
    length = np.sqrt(np.maximum(rows.n_tokens, 1))
    yield details[0] / length
    yield details[1] / length


def _turns(evidence: NDArray[np.float64], strong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Before which units the best labelling of their sentence changes.

    Parameters
    ----------
    evidence : ndarray of float64, shape (3, n_units)
        Log-odds that each unit adds: by its words, as the beginning of a sentence, as the end of one.
    strong : ndarray of bool, shape (n_units,)
        Units that begin a sentence; a change of label there costs nothing, and is a cut anyway.
    """
    turns = np.zeros(len(strong), np.bool_)
    first = np.flatnonzero(strong)
    if not len(first):
        return turns
    above = np.add.reduceat(np.maximum(evidence[0], 0.0), first)
    below = np.add.reduceat(np.minimum(evidence[0], 0.0), first)
    ends = np.append(first[1:], len(strong))
    for i in np.flatnonzero((above > TURN / 4) & (below < -TURN / 4)).tolist():
        a, b = int(first[i]), int(ends[i])
        labels = _best_labels(*evidence[:, a:b].tolist())
        turns[a + 1 : b] = labels[1:] != labels[:-1]
    return turns


def _best_labels(evidence: list[float], begins: list[float], finishes: list[float]) -> NDArray[np.bool_]:
    """Labels of a sentence's units with the largest sum of evidence, less `TURN` for each change (Viterbi's algorithm with two states)."""
    article = consent = 0.0
    came: list[tuple[bool, bool]] = []  # for each unit: whether its best course as article, as consent, comes from consent
    end = 0.0
    for value, begin, finish in zip(evidence, begins, finishes, strict=True):
        # a change here ends one part and begins another
        turn_to_consent = article - TURN + (begin - end) / 2
        turn_to_article = consent - TURN + (end - begin) / 2
        to_article, to_consent = bool(came) and turn_to_article > article, not came or consent >= turn_to_consent
        came.append((to_article, to_consent))
        article, consent = (turn_to_article if to_article else article) - value / 2, (consent if to_consent else turn_to_consent) + value / 2
        end = finish
    labels = np.empty(len(evidence), np.bool_)
    label = consent > article
    for i in range(len(evidence) - 1, -1, -1):
        labels[i] = label
        label = came[i][label]
    return labels


def _evidence(model: Model, units: Sequence[str]) -> NDArray[np.float64]:
    """Log-odds that each unit adds to its sentence: those of a sentence of `USUAL` such words, by its share of the words."""
    parts = [np.empty((3, 0))]
    for text in _joined(units):
        hashed = hash_lines(text, model.bits)
        parts.append(model.evidence(hashed, USUAL))
    return np.concatenate(parts, axis=1)


def _score(model: Model, texts: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Log-odds and numbers of words of texts, each on its own."""
    log_odds, n_tokens = [np.empty(0)], [np.empty(0, np.intp)]
    for text in _joined(texts):
        hashed = hash_lines(text, model.bits)
        log_odds.append(model.log_odds(hashed))
        n_tokens.append(np.diff(hashed.tokens))
    return np.concatenate(log_odds), np.concatenate(n_tokens)


def _joined(texts: Sequence[str]) -> Iterator[bytes]:
    r"""UTF-8 of texts, one a line, about `BYTES_AT_ONCE` bytes at a time."""
    waiting: list[bytes] = []
    size = 0
    for text in texts:
        waiting.append(utf8(text))
        size += len(waiting[-1]) + 1
        if size >= BYTES_AT_ONCE:
            yield b"\n".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"\n".join(waiting)
