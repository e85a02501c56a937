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

from detector.characters import CLASS_OF_CODE, SPACE
from detector.context import FEATURES, LIMIT, Layout, context_features, layout_of
from detector.features import utf8
from detector.sentences import find_units, runs_of

if TYPE_CHECKING:
    from detector.model import Model

GATE: Final = 1.0
"""A line may be cut where its own log-odds, or those of its most suspect words, are at least this. At -.5 .01 more of the consent text of joined
lines is found, and twice as much text of real pages is looked at."""
LIKELY: Final = -3.0
"""So may one that does not, where its neighbours make it this: a sentence between two dialogues that has a button glued to it."""
DIFFER: Final = -1.0
CLEAR_WORDS: Final = 4
"""A piece of fewer words says too little by itself to be clearly article text."""
CLEARER: Final = -5.0
"""A line that would be removed as a whole is also cut if it has one piece of some words as clear as this: what is to go must be sure. Held-out joined
lines have one in 94 % of cases, consent lines of pages that are looked at in 16 %."""
DOUBT: Final = 0.0
"""A line that may be joined and is not cut has no more log-odds than its piece of some words that speaks most against it, or than this: where the
line may hold article text, a user who sets a high threshold keeps it."""
SURE: Final = -7.0
SURELY: Final = -3.0
"""A line that says nothing of consent on its own, and has a piece of some words with log-odds of `SURE` on its own, has no more than `SURELY` in its
document, however much consent text is around it."""
LEAST_WORDS: Final = 6
"""A shorter line is not cut."""
MOST_WORDS: Final = 1 << 18
"""Nor is a longer one: it is no page of text, and its pieces would fill the memory."""
TURN: Final = 0.7
GLUED_TURN: Final = 0.1
"""Log-odds that a change of label within a sentence costs: at a capital letter after a space, and where two words are glued ("contentThe")."""
PRIOR: Final = 0.4
"""Log-odds that every unit has against it: a word between article and consent text that says nothing, such as "The", goes with the article."""
USUAL: Final = 10
"""Words of a usual sentence: a unit of so many words has the evidence that it would have as a line."""
LONGEST: Final = 60
"""Characters on either side of an edge in which the word next to it is sought."""
CHARACTERS_AT_ONCE: Final = 1 << 18
"""Lines of so many characters are cut in one go, so that what is made of them stays in the cache; a longer line is cut whole. Results do not
depend on it."""


DETAILS: Final = ("evidence_for", "evidence_against", "marked_start", "marked_end", "crossing_start", "crossing_end", "glued_start", "glued_end")
"""What is known of a piece beside its log-odds: the sum of the evidence of its units that speak for consent text, and of those that speak against;
whether a sentence ends before it, and with it; what the pair of words across its start, and its end, speaks for, if no sentence ends there; whether
two words are glued there."""
PIECE_FEATURES: Final = (
    *FEATURES,
    *("line", "line_above_0", "line_length", "share", "line_by_share", "best_of_line", "worst_of_line"),
    *("line_in_document", "line_in_document_above_0", "line_in_document_by_share"),
    *DETAILS,
    *("for_by_length", "against_by_length"),
    *("weak_up", "weak_down", "crossing_up", "crossing_down", "weak_up_above_0", "weak_down_above_0"),
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
    details : ndarray of float64, shape (n_details, n_pieces)
        As in `DETAILS`.
    """

    bounds: NDArray[np.intp]
    start: NDArray[np.intp]
    log_odds: NDArray[np.float64]
    n_tokens: NDArray[np.intp]
    details: NDArray[np.float64]


def suspect_in_document(log_odds: NDArray[np.float64], in_document: NDArray[np.float64], n_tokens: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Lines that only their neighbours make consent text, which may join it and other text.

    Parameters
    ----------
    log_odds, in_document, n_tokens : ndarray, shape (n_lines,)
        Log-odds of each line on its own and in its document, and its number of words.

    Returns
    -------
    ndarray of bool, shape (n_lines,)
    """
    return (in_document >= LIKELY) & (log_odds < GATE) & (n_tokens >= LEAST_WORDS) & (n_tokens <= MOST_WORDS)


def differing(pieces: Pieces) -> NDArray[np.intp]:
    """Lines whose pieces may differ in label: one has log-odds of its own of at least `DIFFER`, and one of `CLEAR_WORDS` no more than that."""
    first = pieces.bounds[:-1]
    highest = np.maximum.reduceat(pieces.log_odds, first) if len(first) else np.empty(0)
    lowest = np.minimum.reduceat(np.where(pieces.n_tokens >= CLEAR_WORDS, pieces.log_odds, np.inf), first) if len(first) else np.empty(0)
    return np.flatnonzero((highest >= DIFFER) & (lowest <= DIFFER) & (np.diff(pieces.bounds) > 1))


def most_of_whole(own: NDArray[np.float64], pieces: Pieces) -> NDArray[np.float64]:
    """Most log-odds in its document that each line may have as a whole, if only its neighbours make it consent text; infinity for others.

    Parameters
    ----------
    own : ndarray of float64, shape (n_lines,)
        Log-odds of each line on its own.
    pieces : Pieces
        Of the same lines.
    """
    lowest = np.minimum.reduceat(np.where(pieces.n_tokens >= CLEAR_WORDS, pieces.log_odds, np.inf), pieces.bounds[:-1]) if len(own) else own
    return np.where(own >= GATE, np.inf, np.where(lowest <= SURE, SURELY, np.where(lowest <= CLEARER, DOUBT, np.inf)))


def some_of(pieces: Pieces, lines: NDArray[np.intp]) -> Pieces:
    """Pieces of some of the lines, by their numbers, ascending."""
    count = np.diff(pieces.bounds)
    chosen = np.zeros(len(count), np.bool_)
    chosen[lines] = True
    here = np.repeat(chosen, count)
    bounds = np.append(0, np.cumsum(count[lines]))
    return Pieces(bounds, pieces.start[here], pieces.log_odds[here], pieces.n_tokens[here], pieces.details[:, here])


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
    parts = [_cut_at_once(model, lines[start:end]) for start, end in runs_of(lines, CHARACTERS_AT_ONCE)]
    if not parts:
        return Pieces(np.zeros(1, np.intp), np.empty(0, np.intp), np.empty(0), np.empty(0, np.intp), np.empty((len(DETAILS), 0)))
    count, offset, log_odds, n_tokens, details = zip(*parts, strict=True)
    bounds = np.concatenate((np.zeros(1, np.intp), np.cumsum(np.concatenate(count))))
    return Pieces(bounds, np.concatenate(offset), np.concatenate(log_odds), np.concatenate(n_tokens), np.concatenate(details, axis=1))


def _cut_at_once(
    model: Model, lines: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    """Number of pieces of each line, and of all pieces the start, log-odds, number of words and details, as in `Pieces`."""
    line, offset, strong = find_units(lines)
    text = "\n".join(lines)
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
    length = np.array([len(line) for line in lines])
    place = (np.cumsum(length + 1) - length - 1)[line] + offset  # in the joined text
    inside = np.append(False, line[1:] == line[:-1])
    # units and pieces are hashed as lines of a text that numpy cuts: a str for each of them cost a third of all that is done here
    evidence = model.evidence(_cut_at(codes, place[inside]), USUAL)
    turns, crossing, glued = _turns(model, codes, place, evidence, strong)
    piece = np.flatnonzero(strong | turns)
    scored = model.score_lines(_cut_at(codes, place[piece[inside[piece]]]))
    details = [np.add.reduceat(best(evidence[0], 0.0), piece) for best in (np.maximum, np.minimum)]
    for column, at_end in ((strong, 1.0), (crossing, 0.0), (glued, 0.0)):
        at_start = column[piece].astype(np.float64)
        details += [at_start, np.append(at_start[1:], at_end)]
    return np.bincount(line[piece], minlength=len(lines)), offset[piece], scored.log_odds, scored.n_tokens, np.vstack(details)


def _cut_at(codes: NDArray[np.uint32], places: NDArray[np.intp]) -> bytes:
    """UTF-8 of a text of code points, with a line end put in at each place."""
    return _utf8_of(np.insert(codes, places, ord("\n")))


def _utf8_of(codes: NDArray[np.uint32]) -> bytes:
    return utf8(codes.tobytes().decode("utf-32-le", "surrogatepass"))


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
    details : ndarray of float64, shape (n_details, n_rows)
        As in `DETAILS`; those of a whole line for lines that were not given to be cut.
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
    details[2:4] = 1.0  # a line begins and ends with a mark
    details[:, of_piece] = pieces.details
    return Expanded(own, length, row[bounds], line, start, is_piece, details)


def layout_of_pieces(rows: Expanded) -> Layout:
    """Where the pieces stand among the lines and pieces of their documents."""
    return layout_of(rows.n_tokens, rows.bounds, np.flatnonzero(rows.is_piece))


def piece_features(
    rows: Expanded,
    layout: Layout,
    refined: NDArray[np.float64],
    line_log_odds: NDArray[np.float64],
    line_in_document: NDArray[np.float64],
    line_n_tokens: NDArray[np.intp],
) -> Iterator[NDArray[np.floating]]:
    """Yield the features of each piece, one column at a time, in the order of `PIECE_FEATURES`.

    Parameters
    ----------
    rows : Expanded
    layout : Layout
        From `layout_of_pieces`.
    refined : ndarray of float64, shape (n_pieces,)
        Best log-odds of the pieces known so far, as in `detector.context.context_features`. For whole lines these are their own.
    line_log_odds, line_in_document, line_n_tokens : ndarray, shape (n_lines,)
        Of the whole lines: log-odds of the paragraph stage and of the context stage, number of words.

    Yields
    ------
    ndarray of float64, shape (n_pieces,)
    """
    yield from context_features(rows.log_odds, known_of_rows(rows, refined, line_log_odds), layout)
    yield from features_in_line(rows, refined, line_log_odds, line_in_document, line_n_tokens)


def known_of_rows(rows: Expanded, refined: NDArray[np.float64], line_log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Best log-odds known so far of all rows, shape (n_rows,); arguments as of `piece_features`."""
    known: NDArray[np.float64] = line_log_odds[rows.line]
    known[rows.is_piece] = refined
    return known


def features_in_line(
    rows: Expanded,
    refined: NDArray[np.float64],
    line_log_odds: NDArray[np.float64],
    line_in_document: NDArray[np.float64],
    line_n_tokens: NDArray[np.intp],
) -> Iterator[NDArray[np.floating]]:
    """Yield the features of each piece that come after those of a paragraph; arguments as of `piece_features`."""
    piece = np.flatnonzero(rows.is_piece)
    of_line = rows.line[piece]
    line = np.clip(line_log_odds, -LIMIT, LIMIT)[of_line]
    words = line_n_tokens[of_line]
    share = rows.n_tokens[piece] / np.maximum(words, 1)
    yield line
    yield np.maximum(line, 0.0)
    yield np.log1p(words)
    yield share
    yield line * share
    first = np.flatnonzero(np.append(True, of_line[1:] != of_line[:-1])[: len(piece)])
    count = np.diff(np.append(first, len(piece)))
    for best in (np.maximum, np.minimum):
        yield np.clip(np.repeat(best.reduceat(refined, first), count), -LIMIT, LIMIT)
    in_document = np.clip(line_in_document, -LIMIT, LIMIT)[of_line]
    yield in_document
    yield np.maximum(in_document, 0.0)
    yield in_document * share
    details = np.clip(rows.details[:, piece], -2 * LIMIT, 2 * LIMIT)
    yield from details
    length = np.sqrt(np.maximum(rows.n_tokens[piece], 1))
    yield details[0] / length
    yield details[1] / length
    # pieces of one sentence mostly have one label
    near = np.clip(refined, -LIMIT, LIMIT)
    up, down = np.append(0.0, near)[: len(near)] * (1.0 - details[2]), np.append(near, 0.0)[1:] * (1.0 - details[3])
    yield up
    yield down
    yield details[4] * np.sign(up)
    yield details[5] * np.sign(down)
    yield np.maximum(up, 0.0)
    yield np.maximum(down, 0.0)


def _turns(
    model: Model, codes: NDArray[np.uint32], place: NDArray[np.intp], evidence: NDArray[np.float64], strong: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
    """Before which units the best labelling of their sentence changes.

    Parameters
    ----------
    model : Model
    codes : ndarray of uint32
        Code points of the text, of one line or several.
    place : ndarray of intp, shape (n_units,)
        Where each unit begins in it.
    evidence : ndarray of float64, shape (3, n_units)
        Log-odds that each unit adds: by its words, as the beginning of a sentence, as the end of one.
    strong : ndarray of bool, shape (n_units,)
        Units that begin a sentence; a change of label there costs nothing, and is a cut anyway.

    Returns
    -------
    turns : ndarray of bool, shape (n_units,)
    crossing : ndarray of float64, shape (n_units,)
        Evidence of the pair of words across the start of each unit, of sentences that have evidence for both labels.
    glued : ndarray of bool, shape (n_units,)
        Of the same, whether no space is before them.
    """
    turns, crossing, glued = np.zeros(len(strong), np.bool_), np.zeros(len(strong)), np.zeros(len(strong), np.bool_)
    first = np.flatnonzero(strong)
    above, below = (np.add.reduceat(best(evidence[0], 0.0), first) for best in (np.maximum, np.minimum))
    both = (above > TURN / 4) & (below < -TURN / 4)
    both_unit = np.flatnonzero(np.repeat(both, np.diff(np.append(first, len(strong)))))
    inside = both_unit[~strong[both_unit]]
    if not len(inside):
        return turns, crossing, glued
    blank = CLASS_OF_CODE[codes] == SPACE
    glued[inside] = ~blank[place[inside] - 1]
    spaced = inside[~glued[inside]]
    crossing[spaced] = _crossing(model, codes, blank, place[spaced - 1], place[spaced], np.append(place[1:], len(codes))[spaced])
    columns = evidence[0, both_unit] - PRIOR, *evidence[1:, both_unit], crossing[both_unit], np.where(glued, GLUED_TURN, TURN)[both_unit]
    labels = _best_labels(*columns, begins=strong[both_unit])
    turns[both_unit[1:]] = (labels[1:] != labels[:-1]) & ~strong[both_unit[1:]]
    return turns, crossing, glued


def _best_labels(*columns: NDArray[np.float64], begins: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Labels of the units of sentences with the largest sum of evidence, less what each change costs (Viterbi's algorithm with two states).

    Parameters
    ----------
    *columns : ndarray of float64, shape (n_units,)
        Evidence of each unit, as the beginning of a sentence, as the end of one; of the pair of words across its start, which counts where the
        label does not change; what a change there costs.
    begins : ndarray of bool, shape (n_units,), optional
        Units that begin a sentence, the first among them; by default only that.
    """
    begins = np.arange(len(columns[0])) == 0 if begins is None else begins
    article = consent = end = 0.0
    came: list[tuple[bool, bool]] = []  # for each unit: whether its best course as article, as consent, comes from consent
    for value, begin, finish, pair, turn, is_new in zip(*(column.tolist() for column in columns), begins.tolist(), strict=True):
        if is_new:  # whatever it is, the sentence before it ends in its best course
            came.append((consent > article, consent > article))
            article, consent = -value / 2, value / 2
        else:
            # a change here ends one part and begins another
            turn_to_consent = article - turn + (begin - end) / 2
            turn_to_article = consent - turn + (end - begin) / 2
            stay_article, stay_consent = article - pair / 2, consent + pair / 2
            to_article, to_consent = turn_to_article > stay_article, stay_consent >= turn_to_consent
            article = (turn_to_article if to_article else stay_article) - value / 2
            consent = (stay_consent if to_consent else turn_to_consent) + value / 2
            came.append((to_article, to_consent))
        end = finish
    labels = []
    label = consent > article
    for courses in reversed(came):
        labels.append(label)
        label = courses[label]
    return np.array(labels[::-1], np.bool_)


def _crossing(
    model: Model, codes: NDArray[np.uint32], blank: NDArray[np.bool_], before: NDArray[np.intp], start: NDArray[np.intp], end: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Log-odds that the last word of one unit and the first of the next add as a pair, as `Model.evidence` scales them.

    Parameters
    ----------
    model : Model
    codes, blank : ndarray, shape (n_characters,)
        Code points of the text, and which of them are white space.
    before, start, end : ndarray of intp, shape (n_pairs,)
        Where the first unit begins, where it ends and the second begins, where the second ends; white space ends the first, none begins the second.
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([True], blank, [True]))))
    word_starts, word_ends = edges[0::2], edges[1::2]
    right = np.searchsorted(word_starts, start)
    least = np.maximum(before, start - LONGEST)
    left_start, left_end = np.maximum(word_starts[right - 1], least), np.maximum(word_ends[right - 1], least)
    right_end = np.minimum(np.minimum(word_ends[right], end), start + LONGEST)
    # each pair is a line: the one word, a space, the other word, a line end
    n, one = len(codes), np.ones(len(start), np.intp)
    begin = np.column_stack((left_start, n * one, start, (n + 1) * one)).ravel()
    size = np.column_stack((left_end - left_start, one, right_end - start, one)).ravel()
    at = np.repeat(begin - np.cumsum(size) + size, size) + np.arange(int(size.sum()))
    pairs = np.append(codes, np.array([ord(" "), ord("\n")], codes.dtype))[at[:-1]]
    return model.evidence_of_pairs(_utf8_of(pairs), USUAL)
