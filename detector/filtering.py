"""The detector: documents in, filtered documents out; `Detector.filter_batch` is the core that everything else calls."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.explain import Explanation, ngrams_of
from detector.features import utf8
from detector.model import LABELS, THRESHOLDS, Model, probability_of
from detector.paragraphs import Paragraph, cut_lines, has_text, paragraph_lines, paragraph_offsets
from detector.persistence import load_model
from detector.pieces import CLEAR_WORDS, CLEARER, DOUBT, cut_into_pieces, differing, expand, most_of_whole, some_of, suspect_in_document
from detector.policies import is_policy

Verdict = Literal["clean", "filtered", "consent_only"]

CLEAR: Final = -2.5
GAP: Final = 7.0
"""Log-odds up to which a piece of some words is clearly article text, and by which the piece that speaks most for consent text must exceed it. A line
is cut only if it has two such pieces: many consent lines have a sentence that says nothing by itself."""
ROUNDS: Final = 2
"""So often what is left of a document with cut lines is filtered again. Without it, 15 in 1,000 of our documents changed when filtered twice."""
NEARLY_ALL: Final = 0.9
SENTENCE_BYTES: Final = 40
"""A document of which at least this share was removed holds consent text only, if no line that is left has so many bytes of UTF-8."""
CHUNK: Final = 1 << 19
"""Bytes of text that are hashed in one go: large enough that numpy's calls cost little, small enough for the cache (with 2**18 scoring takes 5 %
longer, with 2**20 as long, with 2**22 a third longer). Results do not depend on it."""
STREAM_DOCUMENTS: Final = 1000
STREAM_CHARACTERS: Final = 8_000_000
"""`Detector.filter_stream` filters as many documents at once as stay under both, so that memory is bounded."""


class CutLine(NamedTuple):
    """A line that was cut, and its pieces; neighbouring pieces have different labels. One piece is a line whose pieces decided otherwise than it did.

    Attributes
    ----------
    paragraph : int
        Its number among the document's paragraphs with text.
    length : int
        Of the line without its line end, in code points.
    starts : list of int
        Offset of each piece in the line, in code points; the first is 0.
    log_odds : list of float
    removed : list of bool
    """

    paragraph: int
    length: int
    starts: list[int]
    log_odds: list[float]
    removed: list[bool]


class _Scores(NamedTuple):
    """What is known of the documents of a batch.

    Attributes
    ----------
    blank : ndarray of bool, shape (n_lines,)
    lines, bounds : ndarray of intp, shape (n_documents + 1,)
        Document i has the lines ``lines[i]:lines[i + 1]``, and of the paragraphs with text ``bounds[i]:bounds[i + 1]``.
    own, n_tokens, suspect : ndarray, shape (n_paragraphs,)
        Log-odds of each paragraph on its own, its number of words, and whether it may be joined.
    log_odds, removed : ndarray, shape (n_paragraphs,)
        Its log-odds in the document, and whether it is removed.
    """

    blank: NDArray[np.bool_]
    lines: NDArray[np.intp]
    bounds: NDArray[np.intp]
    own: NDArray[np.float64]
    n_tokens: NDArray[np.intp]
    suspect: NDArray[np.bool_]
    log_odds: NDArray[np.float64]
    removed: NDArray[np.bool_]


class _Judged(NamedTuple):
    """Paragraphs of documents, judged: `log_odds` and `removed` as in `_Scores`, and by document the lines that are cut."""

    log_odds: NDArray[np.float64]
    removed: NDArray[np.bool_]
    cuts: dict[int, list[CutLine]]


class FilteredDocument:
    """A document, what is left of it, and what was taken out; it keeps arrays, and makes `Paragraph` objects when they are asked for.

    Attributes
    ----------
    original : str
        The document as it came.
    text : str
        The article: every kept character untouched; the same object as `original` where nothing was removed.
    verdict : str
        "clean" (nothing removed), "filtered", or "consent_only": nothing, or next to nothing, else was there, or it is a privacy or cookie policy
        (`detector.policies`), whose text is left as it is: whether to drop it is the caller's choice.
    share_removed : float
        Share of the document's characters that were taken out, 0 to 1.
    n_removed : int
        How many paragraphs `removed` holds; costs nothing.
    paragraphs : list of Paragraph
        All paragraphs, in order; joined, their texts are the document.
    removed : list of Paragraph
        Those taken out.
    cuts : sequence of CutLine
        Lines that joined article and consent text, and were cut.
    """

    __slots__ = ("_n_removed", "_number", "_scores", "cuts", "original", "text")

    def __init__(
        self, original: str, scores: _Scores, number: int, n_removed: int, lines_to_cut: Sequence[tuple[int, int]] | None, cuts: Sequence[CutLine]
    ) -> None:
        self.original = original
        self._scores = scores  # of the batch, for slices of it take time, and are seldom asked for
        self._number = number  # in the batch
        self._n_removed = n_removed  # lines, and pieces of lines
        self.cuts = cuts
        if n_removed and (cuts or lines_to_cut is None):
            self.text = self._kept()
        else:
            self.text = cut_lines(original, lines_to_cut or (), len(self._blank)) if n_removed else original

    def __repr__(self) -> str:
        n = len(paragraph_lines(self._blank)) if self.original else 0
        n += sum(len(line.starts) - 1 for line in self.cuts)
        return f"FilteredDocument({self.verdict}, {self._n_removed} of {n} paragraphs removed)"

    @property
    def _blank(self) -> NDArray[np.bool_]:
        """Which lines are blank, shape (n_lines,)."""
        return self._scores.blank[self._scores.lines[self._number] : self._scores.lines[self._number + 1]]

    @property
    def _paragraphs(self) -> slice:
        """The document's paragraphs with text among those of the batch."""
        return slice(self._scores.bounds[self._number], self._scores.bounds[self._number + 1])

    @property
    def verdict(self) -> Verdict:  # noqa: D102 - with the class
        here, scores = self._paragraphs, self._scores
        if is_policy(self.original, scores.own[here], scores.n_tokens[here]):
            return "consent_only"
        if not self._n_removed:
            return "clean"
        if not self.cuts and self._n_removed == here.stop - here.start:
            return "consent_only"
        return "consent_only" if self.share_removed >= NEARLY_ALL and self._rest_is_furniture() else "filtered"

    @property
    def share_removed(self) -> float:  # noqa: D102 - with the class
        return 1.0 - len(self.text) / len(self.original) if self._n_removed else 0.0

    @property
    def n_removed(self) -> int:  # noqa: D102 - with the class
        return self._n_removed

    def _left(self) -> tuple[list[int], dict[int, str], tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.bool_]]]:
        """Paragraphs of which something is left; of those that were cut what is left, without the line end; `own`, `n_tokens`, `suspect` of all."""
        cut = {line.paragraph: line for line in self.cuts}
        scores, here, lines = self._scores, self._paragraphs, self._lines()
        kept = [i for i, gone in enumerate(scores.removed[here].tolist()) if not gone or i in cut]
        rest = {i: "".join([lines[i][a:b] for a, b, _, gone in _piece_rows(0, line.length, line) if not gone]) for i, line in cut.items()}
        return kept, rest, (scores.own[here][kept], scores.n_tokens[here][kept], scores.suspect[here][kept])

    def _lines(self) -> list[str]:
        """Lines of the original that have text."""
        lines = self.original.split("\n")
        return [lines[i] for i in np.flatnonzero(~self._blank).tolist()]

    def _again(self, kept: list[int], log_odds_left: NDArray[np.float64], removed_left: NDArray[np.bool_], more: list[CutLine]) -> FilteredDocument:
        """Remove more: of the paragraphs of which something was left (`_left`) those that are removed now, and pieces of those that are cut now."""
        cuts = {line.paragraph: line for line in self.cuts}
        here = self._paragraphs
        log_odds, removed = self._scores.log_odds[here].copy(), self._scores.removed[here].copy()
        for line in more:
            i = kept[line.paragraph]
            cuts[i] = _compose(cuts[i], line) if i in cuts else line._replace(paragraph=i)
        for j in np.flatnonzero(removed_left).tolist():
            if not any(line.paragraph == j for line in more):
                cuts.pop(kept[j], None)
                log_odds[kept[j]], removed[kept[j]] = log_odds_left[j], True
        n = sum(sum(line.removed) for line in cuts.values()) + sum(gone for i, gone in enumerate(removed.tolist()) if i not in cuts)
        blank = self._blank
        lines, bounds = np.array([0, len(blank)]), np.array([0, len(removed)])
        scores = self._scores
        scores = _Scores(blank, lines, bounds, scores.own[here], scores.n_tokens[here], scores.suspect[here], log_odds, removed)
        return FilteredDocument(self.original, scores, 0, n, None, [cuts[i] for i in sorted(cuts)])

    def _rest_is_furniture(self) -> bool:
        """Whether no line that is left has as much text as a sentence."""
        return all(len(line.encode("utf-8", "surrogatepass")) < SENTENCE_BYTES for line in self.text.split("\n"))

    def _kept(self) -> str:
        """What is left, where lines were cut: what lies between the removed paragraphs and pieces."""
        start, end = self._offsets()
        whole = self._scores.removed[self._paragraphs].copy()
        whole[[line.paragraph for line in self.cuts]] = False
        gone = list(zip(start[whole].tolist(), end[whole].tolist(), strict=True))
        for line in self.cuts:
            gone += [(a, b) for a, b, _, r in _piece_rows(int(start[line.paragraph]), int(end[line.paragraph]), line) if r]
        gone.sort()
        begins = [0, *(b for _, b in gone)]
        return "".join([self.original[a:b] for a, b in zip(begins, [*(a for a, _ in gone), len(self.original)], strict=True)])

    def _offsets(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Start and end of the paragraphs with text."""
        start, end = paragraph_offsets(self.original, self._blank)
        leading = len(start) - (self._paragraphs.stop - self._paragraphs.start)  # blank lines before the first text
        return start[leading:], end[leading:]

    @property
    def paragraphs(self) -> list[Paragraph]:  # noqa: D102 - with the class
        start, end = paragraph_offsets(self.original, self._blank)
        log_odds, removed = self._scores.log_odds[self._paragraphs], self._scores.removed[self._paragraphs]
        leading = len(start) - len(log_odds)  # blank lines before the first text
        rows = [(a, b, 0.0, False) for a, b in zip(start[:leading].tolist(), end[:leading].tolist(), strict=True)]
        cut = {line.paragraph: line for line in self.cuts}
        columns = (start[leading:].tolist(), end[leading:].tolist(), probability_of(log_odds).tolist(), removed.tolist())
        for i, row in enumerate(zip(*columns, strict=True)):
            rows += _piece_rows(row[0], row[1], cut[i]) if i in cut else [row]
        return [Paragraph(self.original[a:b], a, b, p, LABELS[r]) for a, b, p, r in rows]

    @property
    def removed(self) -> list[Paragraph]:  # noqa: D102 - with the class
        return [p for p in self.paragraphs if p.label == LABELS[1]] if self._n_removed else []


def _compose(first: CutLine, second: CutLine) -> CutLine:
    """A line that was cut, and what was left of it cut again."""
    starts: list[int] = []
    log_odds: list[float] = []
    removed: list[bool] = []
    place = 0  # in what was left
    for start, end, value, gone in zip(first.starts, [*first.starts[1:], first.length], first.log_odds, first.removed, strict=True):
        if gone:
            inside = [(start, value, True)]
        else:
            shift = start - place
            stops = [*second.starts[1:], second.length]
            parts = zip(second.starts, stops, second.log_odds, second.removed, strict=True)
            inside = [(max(a, place) + shift, z, r) for a, b, z, r in parts if b > place and a < place + end - start]
            place += end - start
        for begin, z, r in inside:
            if not removed or removed[-1] != r:
                starts.append(begin)
                log_odds.append(z)
                removed.append(r)
    return CutLine(first.paragraph, first.length, starts, log_odds, removed)


def _piece_rows(start: int, end: int, line: CutLine) -> list[tuple[int, int, float, bool]]:
    """Start, end, probability and whether it is removed, of each piece of a line at `start` to `end` of its document.

    The line end stays where a piece of the line stays: where the last piece is removed, it is a blank paragraph of its own.
    """
    starts = [start + offset for offset in line.starts]
    ends = [*starts[1:], start + line.length if line.removed[-1] else end]
    rows = list(zip(starts, ends, probability_of(np.array(line.log_odds)).tolist(), line.removed, strict=True))
    return rows + [(ends[-1], end, 0.0, False)] * (ends[-1] < end)


class Detector:
    r"""Finds consent text in documents and takes it out.

    Once made it is only read: threads may share it, and processes may be forked beside it or be sent it (9 MB as a pickle).

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
        self.classes_ = np.array(LABELS)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None, threshold: str | float = THRESHOLDS[0], *, sha256: str | None = None) -> Detector:
        """Load a model file.

        Parameters
        ----------
        path : str or path, optional
            A file made by ``consent-training fit``; by default the model that comes with the package.
        threshold : {"precision", "balanced", "recall"} or float
        sha256 : str, optional
            Digest that the file must have, 64 hexadecimal digits, as ``sha256sum`` prints it. The file is read once: what was digested is what is
            loaded.

        Raises
        ------
        ModelError
            If the file is no usable model, or has another digest. Nothing that a file names is ever run.
        """
        return cls(load_model(path, sha256), threshold)

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
        for i, text in enumerate(texts):
            if not isinstance(text, str):
                raise _not_str(text, f"texts[{i}]")
        documents = self._filter_once(texts)
        changed = [i for i, document in enumerate(documents) if document.cuts]
        for _ in range(ROUNDS):
            changed = self._filter_what_is_left(documents, changed)
        return documents

    def _filter_once(self, texts: list[str]) -> list[FilteredDocument]:
        """Filter documents in one pass."""
        if not texts:
            return []
        scored = self._score_lines(texts)
        with_text = ~scored.blank
        bounds = np.concatenate((np.zeros(1, np.intp), np.cumsum(with_text, dtype=np.intp)))[scored.lines]
        own, n_tokens, suspect = scored.log_odds[with_text], scored.n_tokens[with_text], scored.suspect[with_text]

        def lines_at(paragraph: NDArray[np.intp], document: NDArray[np.intp]) -> list[str]:
            number = (np.flatnonzero(with_text)[paragraph] - scored.lines[document]).tolist()
            lines_of = {i: texts[i].split("\n") for i in np.unique(document).tolist()}
            return [lines_of[i][n] for i, n in zip(document.tolist(), number, strict=True)]

        judged = self._judge(own, n_tokens, suspect, bounds, lines_at)
        removed, joined = judged.removed, judged.cuts
        n_before = np.concatenate((np.zeros(1, np.intp), np.cumsum(removed, dtype=np.intp)))[bounds]
        n_removed = (n_before[1:] - n_before[:-1]).tolist()
        runs = _lines_to_cut(removed, with_text, bounds, scored.lines)
        scores = _Scores(scored.blank, scored.lines, bounds, own, n_tokens, suspect, judged.log_odds, removed)
        for i, cut in joined.items():
            n_removed[i] += sum(sum(c.removed) - bool(removed[bounds[i] + c.paragraph]) for c in cut)
        return [
            FilteredDocument(text, scores, i, n, runs[i] if n else (), joined.get(i, ()))
            for i, (text, n) in enumerate(zip(texts, n_removed, strict=True))
        ]

    def _filter_what_is_left(self, documents: list[FilteredDocument], changed: list[int]) -> list[int]:
        """Filter what is left of documents with lines that were cut, in their place; returns those that lost more.

        What is left of a cut line has lost a part of what spoke for it, or against it, and is judged anew, and so are its neighbours; the log-odds
        of whole lines on their own are known.
        """
        if not changed:
            return []
        kept, rests, known = zip(*(documents[i]._left() for i in changed), strict=True)  # noqa: SLF001 - its own, as below
        bounds = np.concatenate((np.zeros(1, np.intp), np.cumsum([len(paragraphs) for paragraphs in kept])))
        own, n_tokens, suspect = (np.concatenate(column) for column in zip(*known, strict=True))
        places = [int(first) + paragraphs.index(i) for first, paragraphs, rest in zip(bounds[:-1], kept, rests, strict=True) for i in rest]
        if places:
            scored = self._score_lines([text for rest in rests for text in rest.values()])
            own[places], n_tokens[places], suspect[places] = scored.log_odds, scored.n_tokens, scored.suspect

        def lines_at(paragraph: NDArray[np.intp], document: NDArray[np.intp]) -> list[str]:
            lines_of = {i: documents[changed[i]]._lines() for i in np.unique(document).tolist()}  # noqa: SLF001
            numbers = [kept[i][j] for i, j in zip(document.tolist(), (paragraph - bounds[document]).tolist(), strict=True)]
            return [rests[i].get(n, lines_of[i][n]) for i, n in zip(document.tolist(), numbers, strict=True)]

        judged = self._judge(own, n_tokens, suspect, bounds, lines_at)
        more = []
        for k, i in enumerate(changed):
            here = slice(bounds[k], bounds[k + 1])
            if judged.removed[here].any() or k in judged.cuts:
                documents[i] = documents[i]._again(kept[k], judged.log_odds[here], judged.removed[here], judged.cuts.get(k, []))  # noqa: SLF001
                more.append(i)
        return more

    def _judge(
        self,
        own: NDArray[np.float64],
        n_tokens: NDArray[np.intp],
        suspect: NDArray[np.bool_],
        bounds: NDArray[np.intp],
        lines_at: Callable[[NDArray[np.intp], NDArray[np.intp]], list[str]],
    ) -> _Judged:
        """Judge the paragraphs of documents by what they say on their own and by their neighbours, and cut those that are joined.

        Parameters
        ----------
        own, n_tokens, suspect, bounds : ndarray
            As in `_Scores`.
        lines_at : callable
            From paragraphs and their documents, as numbers, to their texts without line ends; called for the few that are looked into.
        """
        in_document = self.model.log_odds_in_context(own, n_tokens, bounds)
        suspect = suspect | suspect_in_document(own, in_document, n_tokens)
        in_document, cuts = self._cut_joined_lines(own, n_tokens, suspect, bounds, in_document, lines_at)
        return _Judged(in_document, probability_of(in_document) >= self.threshold, cuts)

    def _cut_joined_lines(
        self,
        own: NDArray[np.float64],
        n_tokens: NDArray[np.intp],
        suspect: NDArray[np.bool_],
        bounds: NDArray[np.intp],
        in_document: NDArray[np.float64],
        lines_at: Callable[[NDArray[np.intp], NDArray[np.intp]], list[str]],
    ) -> tuple[NDArray[np.float64], dict[int, list[CutLine]]]:
        """Find the lines that join article and consent text, and cut them.

        Only lines that are suspect as a whole or in part are looked at (`Model.log_odds_and_suspects`, `suspect_in_document`). One is cut if it has a
        piece to remove and one that is clearly article text; the label of any other is what its own score and its neighbours say.

        Returns
        -------
        in_document : ndarray of float64, shape (n_paragraphs,)
            Log-odds of the whole lines, of those that may be joined and were not cut no more than `DOUBT` allows.
        cut : dict of int to list of CutLine
            By document.
        """
        looked_at = np.flatnonzero(suspect)
        cut: dict[int, list[CutLine]] = {}
        if not len(looked_at):
            return in_document, cut
        document = np.searchsorted(bounds, looked_at, side="right") - 1
        lines = lines_at(looked_at, document)
        pieces = cut_into_pieces(self.model, lines)
        goes = probability_of(in_document[looked_at]) >= self.threshold
        in_document = in_document.copy()
        in_document[looked_at] = np.minimum(in_document[looked_at], most_of_whole(own[looked_at], pieces))
        differ = differing(pieces)
        if not len(differ):
            return in_document, cut
        looked_at, document, goes, pieces = looked_at[differ], document[differ], goes[differ], some_of(pieces, differ)
        lengths = [len(lines[i]) for i in differ.tolist()]
        # the documents of these lines, with all their lines, as if there were no others
        counts = np.diff(bounds)
        chosen = np.unique(document)
        mine = np.zeros(len(counts), np.bool_)
        mine[chosen] = True
        at = np.flatnonzero(np.repeat(mine, counts))
        log_odds, words = own[at], n_tokens[at]
        rows = expand(log_odds, words, np.append(0, np.cumsum(counts[chosen])), np.searchsorted(at, looked_at), pieces)
        result = self.model.log_odds_of_pieces(rows, log_odds, in_document[at], words)
        remove = probability_of(result) >= self.threshold
        first = pieces.bounds[:-1]
        lowest = np.minimum.reduceat(np.where(pieces.n_tokens >= CLEAR_WORDS, result, np.inf), first)
        highest = np.maximum.reduceat(result, first)
        clear = ((lowest <= CLEAR) & (highest - lowest >= GAP)) | (goes & (lowest <= CLEARER))
        joined = np.logical_or.reduceat(remove, first) & clear & (probability_of(lowest) < self.threshold)
        in_document[looked_at] = np.minimum(in_document[looked_at], np.maximum(lowest, DOUBT))
        for i in np.flatnonzero(joined).tolist():
            a, b = int(pieces.bounds[i]), int(pieces.bounds[i + 1])
            merged = _merge_pieces(pieces.start[a:b].tolist(), result[a:b].tolist(), pieces.n_tokens[a:b].tolist(), remove[a:b].tolist())
            d = int(document[i])
            cut.setdefault(d, []).append(CutLine(int(looked_at[i] - bounds[d]), lengths[i], *merged))
        return in_document, cut

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

    def explain(self, text: str) -> list[Explanation]:
        """Say where the probability of each paragraph of a document comes from.

        Parameters
        ----------
        text : str

        Returns
        -------
        list of Explanation
            One for each of the document's paragraphs that has text, in order.

        Raises
        ------
        TypeError
            If the text is not a str.
        """
        document = self.filter(text)
        scored = self._score_lines([text])
        all_lines = text.split("\n")
        lines = [all_lines[n] for n in np.flatnonzero(~scored.blank).tolist()]
        cut = {line.paragraph: line for line in document.cuts}
        parts: list[tuple[str, float]] = []  # each paragraph and its log-odds
        for i, (line, log_odds) in enumerate(zip(lines, document._scores.log_odds.tolist(), strict=True)):  # noqa: SLF001 - its own
            if i in cut:
                ends = [*cut[i].starts[1:], len(line)]
                parts += [(line[a:b], value) for a, b, value in zip(cut[i].starts, ends, cut[i].log_odds, strict=True)]
            else:
                parts.append((line, log_odds))
        if not parts:
            return []
        scored = self._score_lines([part for part, _ in parts])
        alone = self.model.log_odds_in_context(scored.log_odds, scored.n_tokens, np.arange(len(parts) + 1))
        paragraphs = [p for p in document.paragraphs if has_text(p.text)]
        explanations = []
        for p, (part, log_odds), own, by_itself in zip(paragraphs, parts, scored.log_odds.tolist(), alone.tolist(), strict=True):
            ngrams = ngrams_of(self.model, [part], [1.0])
            bias = self.model.bias if ngrams else own
            explanations.append(Explanation(p, ngrams, bias, by_itself - own, log_odds - by_itself, log_odds))
        return explanations

    def predict_proba(self, paragraphs: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities of the classes for texts that come without their document.

        Each text is taken as one paragraph, whatever line ends it has, and has no neighbours: buttons such as "OK" can't be told here. The
        probabilities are lower than calibrated ones would be, those of long texts and of one to three words most, so that the named thresholds lose
        the same shares of article texts as in documents (`detector.model.Alone`).

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
        scored = self._score_lines([text.replace("\n", " ") for text in paragraphs])
        probability = probability_of(self.model.alone.log_odds(scored.log_odds, scored.n_tokens))
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

    def _score_lines(self, texts: list[str]) -> _Scored:
        """Score every line of all texts, one after another, each on its own."""
        parts = []
        lines, n_lines = [np.zeros(1, np.intp)], 0
        for chunk, ends in _chunks(texts):
            scored = self.model.score_lines(chunk)
            parts.append(scored[:-1])
            lines.append(np.searchsorted(scored.newlines, ends) + (n_lines + 1))
            n_lines += len(scored.blank)
        log_odds, suspect, n_tokens, blank = parts[0] if len(parts) == 1 else (np.concatenate(part) for part in zip(*parts, strict=True))
        return _Scored(log_odds, suspect, n_tokens, blank, np.concatenate(lines))


class _Scored(NamedTuple):
    """Lines of texts, each on its own: log-odds, whether they may be joined, number of words, blankness; and the first line of each text."""

    log_odds: NDArray[np.float64]
    suspect: NDArray[np.bool_]
    n_tokens: NDArray[np.intp]
    blank: NDArray[np.bool_]
    lines: NDArray[np.intp]


def _merge_pieces(starts: list[int], log_odds: list[float], n_tokens: list[int], removed: list[bool]) -> tuple[list[int], list[float], list[bool]]:
    """Merge neighbouring pieces of one label; log-odds are their mean by words. A piece without words goes with the one before it."""
    merged_starts: list[int] = []
    merged_removed: list[bool] = []
    sums: list[tuple[float, int]] = []
    for start, value, n, remove in zip(starts, log_odds, n_tokens, removed, strict=True):
        if merged_starts and (not n or remove == merged_removed[-1] or not sums[-1][1]):
            total, words = sums[-1]
            if not words:  # only marks so far: they go with what follows
                merged_removed[-1] = remove
            sums[-1] = (total + value * n, words + n)
        else:
            merged_starts.append(start)
            merged_removed.append(remove)
            sums.append((value * n, n))
    return merged_starts, [total / max(words, 1) for total, words in sums], merged_removed


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
    first = np.append(True, (document[1:] != document[:-1]) | (begin[1:] != end[:-1]))
    columns = document[first], begin[first], end[np.append(first[1:], True)]
    for i, a, b in zip(*(column.tolist() for column in columns), strict=True):
        cuts[i].append((a, b))
    return cuts


def _take(source: Iterator[str]) -> Iterator[str]:
    size = 0
    for text in islice(source, STREAM_DOCUMENTS):
        yield text
        size += len(text) if isinstance(text, str) else 0
        if size >= STREAM_CHARACTERS:
            return


def _chunks(texts: list[str]) -> Iterator[tuple[bytes, list[int]]]:
    r"""Cut the texts, joined by "\n", at line ends into pieces of about `CHUNK` bytes of UTF-8; a longer line stays whole.

    With each come the places in it at which texts end.
    """
    waiting: list[bytes] = []
    ends: list[int] = []
    size = 0
    for text in texts:
        raw = utf8(text)
        start = 0
        while size + len(raw) - start >= CHUNK:
            cut = raw.find(b"\n", start + CHUNK - size)
            if cut < 0:
                break
            yield b"\n".join([*waiting, raw[start:cut]]), ends
            waiting, ends, size, start = [], [], 0, cut + 1
        waiting.append(raw[start:] if start else raw)
        size += len(raw) - start + 1
        ends.append(size - 1)
        if size >= CHUNK:
            yield b"\n".join(waiting), ends
            waiting, ends, size = [], [], 0
    if waiting:
        yield b"\n".join(waiting), ends
