"""The detector: documents in, filtered documents out; `Detector.filter_batch` is the core that everything else calls."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from detector.features import hash_lines, utf8
from detector.model import LABELS, THRESHOLDS, Model, probability_of
from detector.paragraphs import cut_lines, paragraph_lines, paragraph_offsets
from detector.persistence import load_model

Verdict = Literal["clean", "filtered", "consent_only"]

CHUNK: Final = 1 << 18
"""Bytes of text that are hashed in one go: large enough that numpy's calls cost little, small enough for the cache (2**17 and 2**19 are about
4 % slower). Results do not depend on it."""
STREAM_DOCUMENTS: Final = 1000
STREAM_CHARACTERS: Final = 8_000_000
"""`Detector.filter_stream` filters as many documents at once as stay under both, so that memory is bounded."""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of a document: one line with the blank lines that follow it.

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


class FilteredDocument:
    """A document, what is left of it, and what was taken out; it keeps arrays, and makes `Paragraph` objects when they are asked for.

    Attributes
    ----------
    original : str
        The document as it came.
    text : str
        The article: every kept character untouched; the same object as `original` where nothing was removed.
    verdict : str
        "clean" (nothing removed), "filtered", or "consent_only" (nothing else was there).
    paragraphs : list of Paragraph
        All paragraphs, in order; joined, their texts are the document.
    removed : list of Paragraph
        Those taken out.
    """

    __slots__ = ("_blank", "_n_removed", "_probability", "_removed", "original", "text")

    def __init__(
        self, original: str, text: str, blank: NDArray[np.bool_], probability: NDArray[np.float64], removed: NDArray[np.bool_], n_removed: int
    ) -> None:
        self.original = original
        self.text = text
        self._blank = blank  # [n_lines]
        self._probability = probability  # [n_paragraphs with text]
        self._removed = removed  # [n_paragraphs with text]
        self._n_removed = n_removed

    def _spread(self, values: NDArray[Any], leading: object) -> NDArray[Any]:
        """Values of the paragraphs with text, with one more in front where blank lines come first."""
        return np.append(np.array([leading], values.dtype), values) if self._blank[:1].any() else values

    def __repr__(self) -> str:
        n = len(paragraph_lines(self._blank)) if self.original else 0
        return f"FilteredDocument({self.verdict}, {self._n_removed} of {n} paragraphs removed)"

    @property
    def verdict(self) -> Verdict:  # noqa: D102 - with the class
        if not self._n_removed:
            return "clean"
        return "consent_only" if self._n_removed == len(self._removed) else "filtered"

    @property
    def paragraphs(self) -> list[Paragraph]:  # noqa: D102 - with the class
        start, end = paragraph_offsets(self.original, self._blank)
        if not len(start):
            return []
        probability, removed = self._spread(self._probability, 0.0), self._spread(self._removed, False)
        return [
            Paragraph(self.original[a:b], a, b, p, LABELS[r])
            for a, b, p, r in zip(start.tolist(), end.tolist(), probability.tolist(), removed.tolist(), strict=True)
        ]

    @property
    def removed(self) -> list[Paragraph]:  # noqa: D102 - with the class
        return [p for p in self.paragraphs if p.label == "boilerplate"] if self._n_removed else []


class Detector:
    r"""Finds consent text in documents and takes it out.

    Parameters
    ----------
    model : Model
        Usually had from `Detector.load`.
    threshold : {"precision", "balanced", "recall"} or float
        Probability from which a paragraph is boilerplate. The names stand for values that the model carries, chosen on validation data by the
        share of article paragraphs that they lose: 1 in 10,000 ("precision", the default), 1 in 1,000, 1 in 100.

    Attributes
    ----------
    model : Model
    threshold : float
    classes_ : ndarray of str, shape (2,)
        "article" and "boilerplate", in the order of the columns of `predict_proba`.

    Examples
    --------
    >>> detector = Detector.load()
    >>> document = detector.filter("The harbour reopens on Monday.\n\nWe use cookies to improve your visit.\nAccept all cookies\n")
    >>> document.text
    'The harbour reopens on Monday.\n\n'
    >>> document.verdict
    'filtered'
    >>> [paragraph.text for paragraph in document.removed]
    ['We use cookies to improve your visit.\n', 'Accept all cookies\n']
    """

    def __init__(self, model: Model, threshold: str | float = THRESHOLDS[0]) -> None:
        if isinstance(threshold, str):
            if threshold not in model.thresholds:
                raise ValueError(f"threshold must be one of {', '.join(THRESHOLDS)}, or a number from 0 to 1, got {threshold!r}")
            threshold = model.thresholds[threshold]
        if isinstance(threshold, bool) or not isinstance(threshold, (int, float)) or not 0.0 <= threshold <= 1.0:
            raise ValueError(f"threshold must be one of {', '.join(THRESHOLDS)}, or a number from 0 to 1, got {threshold!r}")
        self.model = model
        self.threshold = float(threshold)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, threshold: str | float = THRESHOLDS[0]) -> Detector:
        """Load a model file.

        Parameters
        ----------
        path : str or path, optional
            A file made by ``consent-training fit``; by default the model that comes with the package.
        threshold : {"precision", "balanced", "recall"} or float

        Raises
        ------
        ModelError
            If the file is no usable model. Nothing that a file names is ever run.
        """
        return cls(load_model(path), threshold)

    @cached_property
    def classes_(self) -> NDArray[np.str_]:  # noqa: D102 - with the class
        return np.array(LABELS)

    def filter(self, text: str) -> FilteredDocument:
        """Filter one document.

        Parameters
        ----------
        text : str

        Returns
        -------
        FilteredDocument

        Raises
        ------
        TypeError
            If the text is not a str.
        """
        if not isinstance(text, str):
            raise _not_str(text, "text")
        return self.filter_batch([text])[0]

    def filter_batch(self, texts: Sequence[str]) -> list[FilteredDocument]:
        """Filter documents; the result for each is what `filter` gives for it alone.

        Parameters
        ----------
        texts : sequence of str

        Returns
        -------
        list of FilteredDocument
            One for each text, in order.

        Raises
        ------
        TypeError
            If `texts` is a single str, or one of them is not a str.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError(f"texts must be a sequence of str, got one {type(texts).__name__}; use filter(text) for a single document")
        texts = list(texts)
        if not texts:
            return []
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise _not_str(text, f"texts[{i}]")
        log_odds, n_tokens, blank, lines = self._score_lines(texts)
        with_text = ~blank
        bounds = np.concatenate((np.zeros(1, np.intp), np.cumsum(with_text, dtype=np.intp)))[lines]
        context = self.model.log_odds_in_context(log_odds[with_text], n_tokens[with_text], bounds)
        probability = probability_of(context)
        removed = probability >= self.threshold
        n_removed = np.diff(np.concatenate((np.zeros(1, np.intp), np.cumsum(removed, dtype=np.intp)))[bounds]).tolist()
        cuts = _lines_to_cut(removed, with_text, bounds, lines)
        line, bound = lines.tolist(), bounds.tolist()
        return [
            FilteredDocument(
                text,
                cut_lines(text, cuts[i]) if n_removed[i] else text,
                blank[line[i] : line[i + 1]],
                probability[bound[i] : bound[i + 1]],
                removed[bound[i] : bound[i + 1]],
                n_removed[i],
            )
            for i, text in enumerate(texts)
        ]

    def filter_stream(self, texts: Iterable[str]) -> Iterator[FilteredDocument]:
        """Filter documents from any iterable as they come, a bounded number at a time.

        Parameters
        ----------
        texts : iterable of str
            It is read lazily, by up to 1,000 documents or 8 million characters ahead.

        Yields
        ------
        FilteredDocument
            One for each text, in order.
        """
        if isinstance(texts, (str, bytes)):
            raise TypeError(f"texts must be an iterable of str, got one {type(texts).__name__}; use filter(text) for a single document")
        source = iter(texts)
        while batch := list(_take(source)):
            yield from self.filter_batch(batch)

    def predict_proba(self, paragraphs: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of the classes for texts that come without their document.

        Each text is taken as one paragraph, whatever line ends it has, and has no neighbours: buttons such as "OK" can't be told here.

        Parameters
        ----------
        paragraphs : sequence of str

        Returns
        -------
        ndarray of float64, shape (n_paragraphs, 2)
            Columns in the order of `classes_`.
        """
        if isinstance(paragraphs, (str, bytes)):
            raise TypeError(f"paragraphs must be a sequence of str, got one {type(paragraphs).__name__}; put it into a list")
        paragraphs = list(paragraphs)
        for i, text in enumerate(paragraphs):
            if not isinstance(text, str):
                raise _not_str(text, f"paragraphs[{i}]")
        if not paragraphs:
            return np.empty((0, 2))
        log_odds, *_ = self._score_lines([text.replace("\n", " ") for text in paragraphs])
        probability = probability_of(self.model.log_odds_alone(log_odds))
        return np.column_stack((1.0 - probability, probability))

    def predict(self, paragraphs: Sequence[str]) -> NDArray[np.str_]:
        """Labels of texts that come without their document, at this detector's threshold.

        Parameters
        ----------
        paragraphs : sequence of str

        Returns
        -------
        ndarray of str, shape (n_paragraphs,)
        """
        boilerplate = self.predict_proba(paragraphs)[:, 1] >= self.threshold
        return self.classes_[boilerplate.astype(np.intp)]

    def _score_lines(self, texts: list[str]) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.bool_], NDArray[np.intp]]:
        """Log-odds, number of words, and blankness of every line of all texts, one after another, and the first line of each text."""
        parts = []
        n_lines = [0]
        for chunk in _chunks(texts, n_lines):
            hashed = hash_lines(chunk, self.model.bits)
            parts.append((self.model.log_odds(hashed), np.diff(hashed.tokens), hashed.blank))
        log_odds, n_tokens, blank = parts[0] if len(parts) == 1 else (np.concatenate(part) for part in zip(*parts, strict=True))
        return log_odds, n_tokens, blank, np.array(n_lines, np.intp).cumsum()


def _not_str(value: object, name: str) -> TypeError:
    hint = f'; decode it first, for example {name}.decode("utf-8")' if isinstance(value, (bytes, bytearray)) else ""
    hint = '; put "" where a document has no text' if value is None else hint
    return TypeError(f"{name} must be str, got {type(value).__name__}{hint}")


def _lines_to_cut(
    removed: NDArray[np.bool_], with_text: NDArray[np.bool_], bounds: NDArray[np.intp], lines: NDArray[np.intp]
) -> defaultdict[int, list[tuple[int, int]]]:
    """Runs of lines to cut, by document: a removed paragraph goes with the blank lines that follow it.

    Parameters
    ----------
    removed : ndarray of bool, shape (n_paragraphs,)
    with_text : ndarray of bool, shape (n_lines,)
        Lines that start a paragraph.
    bounds, lines : ndarray of intp, shape (n_documents + 1,)
        Paragraphs and lines of document i are those from element i to element i + 1.
    """
    cuts: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    at = np.flatnonzero(removed)
    if not len(at):
        return cuts
    document = np.searchsorted(bounds, at, side="right") - 1
    line = np.append(np.flatnonzero(with_text), len(with_text))
    begin = line[at] - lines[document]
    end = np.minimum(line[at + 1], lines[document + 1]) - lines[document]
    for i, a, b in zip(document.tolist(), begin.tolist(), end.tolist(), strict=True):
        spans = cuts[i]
        if spans and spans[-1][1] == a:
            spans[-1] = (spans[-1][0], b)
        else:
            spans.append((a, b))
    return cuts


def _take(source: Iterator[str]) -> Iterator[str]:
    size = 0
    for text in islice(source, STREAM_DOCUMENTS):
        yield text
        size += len(text) if isinstance(text, str) else 0
        if size >= STREAM_CHARACTERS:
            return


def _chunks(texts: list[str], n_lines: list[int]) -> Iterator[bytes]:
    r"""Cut the texts, joined by "\n", at line ends into pieces of about `CHUNK` bytes of UTF-8; a longer line stays whole.

    The number of lines of each text is appended to `n_lines`.
    """
    waiting: list[bytes] = []
    size = 0
    for text in texts:
        raw = utf8(text)
        n_lines.append(raw.count(b"\n") + 1)
        start = 0
        while size + len(raw) - start >= CHUNK:
            cut = raw.find(b"\n", start + CHUNK - size)
            if cut < 0:
                break
            yield b"\n".join([*waiting, raw[start:cut]])
            waiting, size, start = [], 0, cut + 1
        waiting.append(raw[start:] if start else raw)
        size += len(raw) - start + 1
        if size >= CHUNK:
            yield b"\n".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"\n".join(waiting)
