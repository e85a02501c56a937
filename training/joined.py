"""Measure a detector on joined lines, by character: how much of the consent text in them it finds, and how much of the article it loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detector import Detector
from detector.model import THRESHOLDS, Model, probability_of
from training.dataset import LabelledDocument
from training.evaluate import DOCUMENTS_AT_ONCE, SHARES
from training.fit import Fit
from training.joining import JoinedDocument, hosts_by_language, join_all, join_some

CODES: Final = {"boilerplate": 0, "article": 1, "other": 2}
IGNORED: Final = 3
"""Line ends, the space between joined parts, unsure text, and lines that were not joined."""
SETS: Final = ("joined", "in one line")


GRID: Final = tuple(half / 2 for half in range(-16, 17) if half)
"""Log-odds of the thresholds that are tried, but for 0, at which all doubtful lines lie (`detector.pieces.DOUBT`). What is cut where depends on the
threshold, so that no ranking of the pieces that one of them made says what another would lose."""


@dataclass
class Removed:
    """Characters of boilerplate and article in joined lines, by language, and those that a detector removes at each threshold."""

    characters: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    removed: dict[str | float, dict[str, NDArray[np.int64]]] = field(default_factory=dict)

    def add(self, model: Model, documents: Sequence[JoinedDocument]) -> None:
        """Filter documents at each threshold, and count."""
        for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
            some = documents[start : start + DOCUMENTS_AT_ONCE]
            sums = [_cumulative(document) for document in some]
            texts = [document.text for document in some]
            for document, total in zip(some, sums, strict=True):
                _count(self.characters, document, total[-1, :2])
            for threshold in (*THRESHOLDS, *probability_of(np.array(GRID)).tolist()):
                of_threshold = self.removed.setdefault(threshold, {})
                for document, total, filtered in zip(some, sums, Detector(model, threshold).filter_batch(texts), strict=True):
                    for p in filtered.removed:
                        _count(of_threshold, document, total[p.end, :2] - total[p.start, :2])

    def figures(self) -> dict[str, Any]:
        """Characters; largest recall at a threshold that loses no more than a share; the named thresholds; languages, at that of 1 in 1,000."""
        consent, article = _sum(self.characters)
        out: dict[str, Any] = {"boilerplate": consent, "article": article}
        sums = {threshold: _sum(of_threshold) for threshold, of_threshold in self.removed.items()}
        for name, share in SHARES:
            out[f"recall_at_{name}"] = max((found / max(consent, 1) for found, lost in sums.values() if lost <= share * article), default=0.0)
        for name in THRESHOLDS:
            out[name] = {"recall": sums[name][0] / max(consent, 1), "lost": sums[name][1] / max(article, 1)}
        sure = [threshold for threshold, (_, lost) in sums.items() if lost <= 1e-3 * article]
        best = self.removed[max(sure, key=lambda threshold: sums[threshold][0])] if sure else {}
        nothing = np.zeros(2, np.int64)
        out["by_language"] = {
            lang: {
                **dict(zip(("boilerplate", "article"), n.tolist(), strict=True)),
                **dict(zip(("recall", "lost"), (best.get(lang, nothing) / np.maximum(n, 1)).tolist(), strict=True)),
            }
            for lang, n in sorted(self.characters.items())
        }
        return out


def _count(counts: dict[str, NDArray[np.int64]], document: JoinedDocument, n: NDArray[np.intp]) -> None:
    counts[document.lang] = counts.get(document.lang, 0) + n


def _sum(counts: Mapping[str, NDArray[np.int64]]) -> tuple[int, int]:
    """Characters of boilerplate and of article, of all languages."""
    consent, article = sum(counts.values(), np.zeros(2, np.int64)).tolist()
    return consent, article


def _cumulative(document: JoinedDocument) -> NDArray[np.intp]:
    """Characters of each code up to each offset of a document, shape (n_characters + 1, 4); only lines of several parts count."""
    codes: list[NDArray[np.uint8]] = []
    for line in document.lines:
        begin = 0
        for part, end in zip(line.parts, line.ends, strict=True):
            glue = line.glue(begin, end)
            codes.append(np.full(glue, IGNORED, np.uint8))
            codes.append(np.full(end - begin - glue, CODES.get(part.label, IGNORED) if len(line.parts) > 1 else IGNORED, np.uint8))
            begin = end
        codes.append(np.full(1, IGNORED, np.uint8))
    code = np.concatenate(codes)[:-1]
    total = np.zeros((len(code) + 1, 4), np.intp)
    total[1:] = np.cumsum(code[:, None] == np.arange(4), axis=0)
    return total


def joined_figures(detector: Detector, documents: Sequence[LabelledDocument], seed: int = 0) -> dict[str, dict[str, Any]]:
    """Figures of a detector on labelled documents with joined lines.

    Parameters
    ----------
    detector : Detector
    documents : sequence of LabelledDocument
    seed : int
        Of the joining.

    Returns
    -------
    dict of str to dict
        As `Removed.figures` gives them: "joined", one run of consent text of each document joined with sentences of an article; "in one line", whole
        documents in one line.
    """
    hosts = hosts_by_language(documents)
    sets = {
        "joined": [j for d in documents if (j := join_some(d, seed, hosts.get(d.lang, ())))],
        "in one line": [join_all(d, seed) for d in documents],
    }
    return _measured([(detector.model, sets)])


def out_of_fold_joined_figures(result: Fit, *, composed: bool = False) -> dict[str, dict[str, Any]]:
    """Figures of a fit on joined lines of its own pages (or composed documents), each by the model that was fitted without its site."""
    sets = result.composed_joined if composed else result.joined
    pairs = []
    for (model, _), of_fold in zip(result.held_out, sets, strict=True):
        # copies of a page weigh in the fit; the first is measured
        first = {name: list({d.id: d for d in reversed(some)}.values()) for name, some in of_fold.items() if name in SETS}
        pairs.append((model, first))
    return _measured(pairs)


def _measured(pairs: Sequence[tuple[Model, Mapping[str, Sequence[JoinedDocument]]]]) -> dict[str, dict[str, Any]]:
    out = {}
    for name in SETS:
        removed = Removed()
        for model, sets in pairs:
            removed.add(model, sets.get(name, []))
        if removed.characters:
            out[name] = removed.figures()
    return out


def joined_table(figures: Mapping[str, Mapping[str, Any]], write: Callable[[str], object] = print, *, languages: bool = True) -> None:
    """Print figures of joined lines."""
    for name, of_set in figures.items():
        write(f"lines {name}: {of_set['boilerplate']:,} characters of consent text, {of_set['article']:,} of articles")
        write("  recall where article characters are lost: " + ", ".join(f"{share} {of_set[f'recall_at_{share}']:.3f}" for share, _ in SHARES))
        write("  " + ", ".join(f"{t}: recall {of_set[t]['recall']:.3f}, lost {of_set[t]['lost']:.5f}" for t in THRESHOLDS))
        if languages:
            write(
                "  by language, where 1 in 1,000 is lost: " + " ".join(f"{value} {row['recall']:.2f}" for value, row in of_set["by_language"].items())
            )
