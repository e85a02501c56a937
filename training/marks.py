"""From what annotators marked to labelled paragraphs: votes are counted for each character, then lines are labelled, or cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.characters import CLASS_OF_CODE, WORD
from detector.sentences import find_edges
from training.dataset import KINDS, LABELS

Codes = NDArray[np.int8]

COVERS: Final = 0.8
"""A label that has this share of a line's characters, white space aside, has the line: hands that mark miss a full stop or a first word."""
NEAR: Final = 3
"""A line that is marked in part is cut at the end of a sentence that is so many characters from where the mark ends, or else between words."""
NOTHING: Final = -1
UNSURE: Final = LABELS.index("unsure")


class Mark(NamedTuple):
    """A label that an annotator gave to a text, or to a part of it.

    Attributes
    ----------
    label : str
        One of `training.dataset.LABELS`.
    kind : str or None
    start : int
    end : int or None
        Code points, end exclusive; None for the whole text.
    """

    label: str
    kind: str | None = None
    start: int = 0
    end: int | None = None


def paragraphs_of(text: str, votes: Sequence[Sequence[Mark]], unmarked: str = "article") -> tuple[list[dict[str, Any]], bool]:
    r"""Labelled paragraphs of a text, one for each line that isn't blank, or several where a line was marked in part.

    Parts of a text go before a label for all of it. A character that more than half of the annotators label alike has that label, and else it is
    "unsure", as where one annotator marked it twice. A line is cut where labels change: at the end of a sentence that is `NEAR`, else between
    words; a piece without letters goes with the one before it.

    Parameters
    ----------
    text : str
    votes : sequence of sequence of Mark
        What each annotator marked; nothing means that all is unmarked.
    unmarked : str
        Label of what an annotator left unmarked.

    Returns
    -------
    paragraphs : list of dict
        With text, label, and kind where it is known.
    agree : bool
        Whether the annotators agree on all of it.

    Examples
    --------
    >>> paragraphs_of("The tram is late.\n\nOK\nWe use cookies.", [[Mark("boilerplate", "banner", 22, 37)]])[0][1:]
    [{'text': 'OK', 'label': 'article'}, {'text': 'We use cookies.', 'label': 'boilerplate', 'kind': 'banner'}]
    >>> paragraphs_of("OK", [[Mark("article")], [Mark("boilerplate")]])
    ([{'text': 'OK', 'label': 'unsure'}], False)
    """
    drawn = [_draw(len(text), marks, LABELS.index(unmarked)) for marks in votes]
    labels, kinds = np.stack([label for label, _ in drawn]), np.stack([kind for _, kind in drawn])
    counts = np.stack([(labels == code).sum(axis=0) for code in range(len(LABELS))])
    label = np.where(counts.max(axis=0) * 2 > len(votes), counts.argmax(axis=0), UNSURE)
    with_text = np.array([not character.isspace() for character in text], np.bool_)
    paragraphs = []
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        for a, b in _cut(line, label[start:end], with_text[start:end]):
            code = _most(label[start + a : start + b][with_text[start + a : start + b]])
            piece = line if (a, b) == (0, len(line)) else line[a:b].strip()
            paragraphs.append(_paragraph(piece, code, kinds[:, start + a : start + b]))
        start = end + 1
    return paragraphs, bool((labels == labels[0]).all(axis=0)[with_text].all())


def _draw(n: int, marks: Sequence[Mark], unmarked: int) -> tuple[Codes, Codes]:
    """Label and kind of each character, by one annotator."""
    label, kind = np.full(n, NOTHING, np.int8), np.full(n, NOTHING, np.int8)
    for whole in (True, False):
        drawn = np.full(n, NOTHING, np.int8)
        for mark in marks:
            if (mark.end is None) != whole:
                continue
            code, here = LABELS.index(mark.label), slice(mark.start, mark.end)
            clash = (drawn[here] != NOTHING) & (drawn[here] != code)
            drawn[here] = np.where(clash, UNSURE, code)
            if mark.kind:
                kind[here] = KINDS.index(mark.kind)
        label = np.where(drawn == NOTHING, label, drawn)
    return np.where(label == NOTHING, np.int8(unmarked), label), kind


def _cut(line: str, label: NDArray[np.intp], with_text: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Start and end of each piece of a line; none of a blank one."""
    inked = label[with_text]
    if not len(inked):
        return
    if np.count_nonzero(inked == _most(inked)) >= COVERS * len(inked):
        yield 0, len(line)
        return
    at = np.flatnonzero(with_text)
    changes = at[1:][inked[1:] != inked[:-1]].tolist()
    offsets, strong = find_edges(line)
    ends = offsets[strong].tolist()
    places = {_cut_near(line, change, ends) for change in changes}
    edges = [0, *sorted(places - {0, len(line)}), len(line)]
    pieces: list[tuple[int, int, int]] = []
    for a, b in pairwise(edges):
        here = label[a:b][with_text[a:b]]
        code = _most(here) if len(here) else NOTHING
        has_words = any(character.isalnum() for character in line[a:b])
        if pieces and (not has_words or pieces[-1][2] in {code, NOTHING}):
            start, _, before = pieces.pop()
            pieces.append((start, b, before if before != NOTHING else code))
        else:
            pieces.append((a, b, code if has_words else NOTHING))
    yield from ((a, b) for a, b, _ in pieces)


def _cut_near(line: str, place: int, ends: Sequence[int]) -> int:
    """The end of a sentence, if one is near, or else the nearest place that isn't inside a word; a character of a script without spaces is a word."""
    nearest = min(ends, key=lambda end: abs(end - place), default=None)
    if nearest is not None and abs(nearest - place) <= NEAR:
        return nearest

    def inside(i: int) -> bool:
        return 0 < i < len(line) and all(character.isalnum() and _class_of(character) == WORD for character in line[i - 1 : i + 1])

    before = after = place
    while inside(before) and inside(after):
        before, after = before - 1, after + 1
    return after if inside(before) else before


def _class_of(character: str) -> int:
    code = ord(character)
    return int(CLASS_OF_CODE[code]) if code < len(CLASS_OF_CODE) else WORD


def _most(codes: NDArray[np.intp]) -> int:
    return int(np.bincount(codes, minlength=len(LABELS)).argmax())


def _paragraph(text: str, code: int, kinds: Codes) -> dict[str, Any]:
    paragraph = {"text": text, "label": LABELS[code]}
    named = Counter(kinds[kinds != NOTHING].tolist())
    if LABELS[code] == "boilerplate" and named:
        paragraph["kind"] = KINDS[named.most_common(1)[0][0]]
    return paragraph
