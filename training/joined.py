"""Measure a detector on joined lines, by character: how much of the consent text in them it finds, and how much of the article it loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detector import Detector, FilteredDocument
from detector.model import THRESHOLDS
from training.dataset import LabelledDocument
from training.evaluate import DOCUMENTS_AT_ONCE, SHARES
from training.fit import Fit
from training.joining import JoinedDocument, hosts_by_language, join_all, join_some

CODES: Final = {"boilerplate": 0, "article": 1, "other": 2}
IGNORED: Final = 3
"""Line ends, the space between joined parts, unsure text, and lines that were not joined."""
SETS: Final = ("joined", "in one line")


@dataclass
class Pieces:
    """Pieces of joined lines, as a detector cut them: probability, characters of boilerplate and article, language; and what thresholds remove."""

    probability: list[float] = field(default_factory=list)
    characters: list[tuple[int, int]] = field(default_factory=list)
    lang: list[str] = field(default_factory=list)
    removed: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: {name: [] for name in THRESHOLDS})

    def add(self, detector: Detector, documents: Sequence[JoinedDocument]) -> None:
        """Filter documents at each named threshold, and count."""
        for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
            some = documents[start : start + DOCUMENTS_AT_ONCE]
            sums = [_cumulative(document) for document in some]
            texts = [document.text for document in some]
            for name in THRESHOLDS:
                at = Detector(detector.model, name)
                for document, total, filtered in zip(some, sums, at.filter_batch(texts), strict=True):
                    self._count(document, total, filtered, name)

    def _count(self, document: JoinedDocument, total: NDArray[np.intp], filtered: FilteredDocument, name: str) -> None:
        removed = np.zeros(2, np.intp)
        for p in filtered.paragraphs:
            n = total[p.end, :2] - total[p.start, :2]
            if not n.any():
                continue
            if name == "balanced":
                self.probability.append(p.probability)
                self.characters.append((int(n[0]), int(n[1])))
                self.lang.append(document.lang)
            if p.label == "boilerplate":
                removed += n
        self.removed[name].append((int(removed[0]), int(removed[1])))

    def figures(self) -> dict[str, Any]:
        """Characters; recall where a share of the article characters is lost; recall and loss at each threshold; recall by language at "balanced"."""
        characters = np.array(self.characters, np.int64).reshape(-1, 2)
        consent, article = characters.sum(0).tolist()
        order = np.argsort(-np.array(self.probability), kind="stable")
        found, lost = np.cumsum(characters[order], axis=0).T if len(order) else (np.zeros(0), np.zeros(0))
        out: dict[str, Any] = {"boilerplate": consent, "article": article}
        for name, share in SHARES:
            k = int(np.searchsorted(lost, share * article, side="right"))
            out[f"recall_at_{name}"] = float(found[k - 1] / max(consent, 1)) if k else 0.0
        for name, removed in self.removed.items():
            of_boilerplate, of_article = np.array(removed, np.int64).reshape(-1, 2).sum(0).tolist()
            out[name] = {"recall": of_boilerplate / max(consent, 1), "lost": of_article / max(article, 1)}
        lang = np.array(self.lang)
        threshold = out["recall_at_1e-3"] and float(
            np.array(self.probability)[order[max(0, int(np.searchsorted(lost, 1e-3 * article, side="right")) - 1)]]
        )
        above = np.array(self.probability) >= threshold
        out["by_language"] = {
            str(value): {
                "boilerplate": int(characters[lang == value, 0].sum()),
                "recall": float(characters[(lang == value) & above, 0].sum() / max(1, characters[lang == value, 0].sum())),
                "article": int(characters[lang == value, 1].sum()),
                "lost": float(characters[(lang == value) & above, 1].sum() / max(1, characters[lang == value, 1].sum())),
            }
            for value in np.unique(lang)
        }
        return out


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
        As `Pieces.figures` gives them: "joined", one run of consent text of each document joined with sentences of an article; "in one line", whole
        documents in one line.
    """
    hosts = hosts_by_language(documents)
    sets = {
        "joined": [j for d in documents if (j := join_some(d, seed, hosts.get(d.lang, ())))],
        "in one line": [join_all(d, seed) for d in documents],
    }
    return _measured([(detector, sets)])


def out_of_fold_joined_figures(result: Fit, *, composed: bool = False) -> dict[str, dict[str, Any]]:
    """Figures of a fit on joined lines of its own pages (or composed documents), each by the model that was fitted without its site."""
    sets = result.composed_joined if composed else result.joined
    pairs = []
    for (model, _), of_fold in zip(result.held_out, sets, strict=True):
        # copies of a page weigh in the fit; the first is measured
        first = {name: list({d.id: d for d in reversed(some)}.values()) for name, some in of_fold.items() if name in SETS}
        pairs.append((Detector(model), first))
    return _measured(pairs)


def _measured(pairs: Sequence[tuple[Detector, Mapping[str, Sequence[JoinedDocument]]]]) -> dict[str, dict[str, Any]]:
    out = {}
    for name in SETS:
        pieces = Pieces()
        for detector, sets in pairs:
            pieces.add(detector, sets.get(name, []))
        if pieces.characters:
            out[name] = pieces.figures()
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
