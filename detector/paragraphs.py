r"""Cut a document into paragraphs with code-point offsets, and put the kept ones together again, without loss.

A paragraph is one line with the blank lines that follow it, so that the spans of a document's paragraphs lie side by side and cover it.
Only "\n" ends a line. Blank lines before the first text are a paragraph of their own, which is never removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detector.characters import DELETED


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of a document: one line with the blank lines that follow it, or a piece of a line that joins article and consent text.

    Attributes
    ----------
    text : str
        The paragraph, line ends included.
    start, end : int
        Its place in the document, in code points, end exclusive.
    probability : float
        That it is boilerplate, in its document.
    label : str
        "article" or "boilerplate".
    """

    text: str
    start: int
    end: int
    probability: float
    label: str


def has_text(text: str) -> bool:
    r"""Whether a text is more than white space and soft hyphens, to the features and so to the model.

    Examples
    --------
    >>> has_text("OK\n"), has_text("\u3000\u00ad\n")
    (True, False)
    """
    return bool(text.replace(DELETED, "").strip())


def newline_offsets(text: str) -> NDArray[np.intp]:
    r"""Code-point offsets of every "\\n" of a text.

    Examples
    --------
    >>> newline_offsets("é\n\nb").tolist()
    [1, 2]
    """
    if text.isascii():
        return np.flatnonzero(np.frombuffer(text.encode("ascii"), np.uint8) == 0x0A)
    return np.flatnonzero(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4")) == 0x0A)


def paragraph_lines(blank: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Line with which each paragraph starts: the first line, and every line that is not blank.

    Parameters
    ----------
    blank : ndarray of bool, shape (n_lines,)
        Which lines of a document hold only white space.

    Returns
    -------
    ndarray of intp, shape (n_paragraphs,)
    """
    starts = ~blank
    starts[:1] = True
    return np.flatnonzero(starts)


def paragraph_offsets(text: str, blank: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    r"""Start and end of each paragraph of a document, in code points, end exclusive.

    Parameters
    ----------
    text : str
        The document.
    blank : ndarray of bool, shape (n_lines,)
        Which of its lines hold only white space; ``text.count("\n") + 1`` of them.

    Returns
    -------
    start, end : ndarray of intp, shape (n_paragraphs,)
        ``text[start[i]:end[i]]`` is paragraph i; ``end[i] == start[i + 1]``, so they cover the document. The empty document has none.

    Examples
    --------
    >>> start, end = paragraph_offsets("Hello\n\nOK\n", np.array([False, True, False, True]))
    >>> list(zip(start.tolist(), end.tolist()))
    [(0, 7), (7, 10)]
    """
    if not text:
        none = np.empty(0, np.intp)
        return none, none
    line_starts = np.append(0, newline_offsets(text) + 1)
    start = line_starts[paragraph_lines(blank)]
    return start, np.append(start[1:], len(text))


def cut_lines(text: str, spans: Sequence[tuple[int, int]], n_lines: int) -> str:
    r"""Text without some of its lines.

    Parameters
    ----------
    text : str
        The document.
    spans : sequence of (int, int)
        First line of each run of lines to cut, and first line after it; in order, without overlap.
    n_lines : int
        Number of its lines. Consent text mostly stands near an end: runs in the first half are counted off from the start and the others from the
        end, so that the text between need not be split, which takes a third of the time.

    Returns
    -------
    str
        The untouched slices between; the same string where there is nothing to cut.

    Examples
    --------
    >>> cut_lines("Hello\n\nOK\nBye", [(2, 3)], 4)
    'Hello\n\nBye'
    """
    spans = [(start, end) for start, end in spans if start < end]
    if not spans:
        return text
    n_early = sum(end <= n_lines // 2 for _, end in spans)
    head, rest, begin = [], text, 0
    if n_early:
        begin = spans[n_early - 1][1]
        *head, rest = text.split("\n", begin)
        for start, end in reversed(spans[:n_early]):
            del head[start:end]
    tail, late = [rest], spans[n_early:]
    if late:
        first = late[0][0]
        tail = rest.rsplit("\n", n_lines - first)
        before = first - (first > begin)  # the line number of tail[0], of which the lines before the first run are one part
        if late[-1][1] == n_lines:  # the line end before the last lines stays
            tail.append("")
        for start, end in reversed(late):
            del tail[start - before : end - before]
    return "\n".join(head + tail)
