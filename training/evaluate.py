"""Measure a detector on labelled documents: how much consent text it finds and how much article text it loses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from detector import Detector
from training.dataset import DatasetError, LabelledDocument
from training.fit import Fit, Table
from training.sources import Source

SHARES: Final = (("1e-2", 1e-2), ("1e-3", 1e-3), ("1e-4", 1e-4))
"""Recall is stated at the cut that loses no more than these shares of the article paragraphs."""
CALIBRATION_BINS: Final = 10
DOCUMENTS_AT_ONCE: Final = 200


def evaluate(detector: Detector, documents: Sequence[LabelledDocument]) -> dict[str, Any]:
    """Filter labelled documents and compare.

    Parameters
    ----------
    detector : Detector
    documents : sequence of LabelledDocument
        Whole documents, one paragraph a line.

    Returns
    -------
    dict
        As `figures` gives it.

    Raises
    ------
    DatasetError
        If they hold no boilerplate or no article paragraph.
    """
    probabilities: list[float] = []
    for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
        texts = ["\n".join(p.text for p in document.paragraphs) for document in documents[start : start + DOCUMENTS_AT_ONCE]]
        for document in detector.filter_batch(texts):
            probabilities.extend(p.probability for p in document.paragraphs)
    table = Table.of([Source("evaluated", list(documents), {}, measured=True)])
    return figures(np.array(probabilities), table, detector.threshold)


def figures(probability: NDArray[np.float64], table: Table, threshold: float) -> dict[str, Any]:
    """Figures of probabilities that are given.

    Parameters
    ----------
    probability : ndarray of float64, shape (n_paragraphs,)
        In the order of the table's rows.
    table : Table
    threshold : float

    Returns
    -------
    dict
        Counts; ``average_precision``; ``recall_at_1e-3`` and the like, the share of boilerplate above the article paragraph of that rank;
        at the threshold ``recall``, ``recall_mean_of_sites``, ``false_removal`` (share of article paragraphs), ``false_removals``,
        ``article_characters_lost``, ``precision``, ``other_removed``, ``hard_kept``; ``calibration_error`` (expected, ten equal bins); and
        ``by_kind``, ``by_language``, ``by_site`` with recall, n, and false removals.
    """
    boilerplate, article = table.boilerplate, table.article
    other = table.known & ~boilerplate & ~article
    if not boilerplate.any() or not article.any():
        raise DatasetError("the documents hold no boilerplate or no article paragraphs: there is nothing to measure")
    removed = probability >= threshold
    length = np.array([len(text) for text in table.texts])
    ranked = np.sort(probability[article])[::-1]
    out: dict[str, Any] = {
        "documents": len(table.bounds) - 1,
        "boilerplate": int(boilerplate.sum()),
        "article": int(article.sum()),
        "other": int(other.sum()),
        "average_precision": float(average_precision_score(boilerplate[table.known], probability[table.known])),
    }
    for name, share in SHARES:
        out[f"recall_at_{name}"] = float((probability[boilerplate] > ranked[int(share * len(ranked))]).mean())
    site = np.array(table.site)
    by_site = _grouped(site, boilerplate, article, removed)
    hard = article & table.hard
    out |= {
        "recall": float(removed[boilerplate].mean()),
        "recall_mean_of_sites": float(np.mean([group["recall"] for group in by_site.values() if group["boilerplate"]])),
        "false_removal": float(removed[article].mean()),
        "false_removals": int(removed[article].sum()),
        "article_characters_lost": float((removed * length)[article].sum() / length[article].sum()),
        "precision": float(removed[boilerplate].sum() / max(1, removed[boilerplate | article].sum())),
        "other_removed": float(removed[other].mean()) if other.any() else 0.0,
        "hard": int(hard.sum()),
        "hard_kept": float(1 - removed[hard].mean()) if hard.any() else 1.0,
        "calibration_error": calibration_error(probability[table.known], boilerplate[table.known]),
        "by_kind": _grouped(np.array(table.kind), boilerplate, article & False, removed),
        "by_language": _grouped(np.array(table.lang), boilerplate, article, removed),
        "by_site": by_site,
    }
    return out


def _grouped(
    key: NDArray[np.str_], boilerplate: NDArray[np.bool_], article: NDArray[np.bool_], removed: NDArray[np.bool_]
) -> dict[str, dict[str, Any]]:
    """Recall and false removals of each value of a key."""
    values, inverse = np.unique(key, return_inverse=True)

    def count(rows: NDArray[np.bool_]) -> list[int]:
        counts: list[int] = np.bincount(inverse[rows], minlength=len(values)).tolist()
        return counts

    found, n_boilerplate, lost, n_article = count(boilerplate & removed), count(boilerplate), count(article & removed), count(article)
    return {
        str(value): {
            "recall": found[i] / n_boilerplate[i] if n_boilerplate[i] else None,
            "boilerplate": n_boilerplate[i],
            "false_removals": lost[i],
            "article": n_article[i],
        }
        for i, value in enumerate(values)
        if n_boilerplate[i] or n_article[i]
    }


def calibration_error(probability: NDArray[np.float64], boilerplate: NDArray[np.bool_]) -> float:
    """Expected calibration error over equal bins: the mean distance of a bin's mean probability from its share of boilerplate, by size."""
    bins = np.minimum((probability * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    gap = np.bincount(bins, weights=probability - boilerplate, minlength=CALIBRATION_BINS)
    return float(np.abs(gap).sum() / len(probability))


def out_of_fold_figures(result: Fit) -> dict[str, Any]:
    """Figures of a fit's own out-of-fold probabilities, on the documents that chose its thresholds."""
    table = result.table
    keep = table.measured if table.measured.any() else np.ones(len(table.texts), np.bool_)
    return figures(result.probability[keep], table.rows(keep), result.model.thresholds["precision"])


def summary(result: dict[str, Any], write: Callable[[str], object] = print) -> None:
    """Print figures, a line each; groups as a table, sites left out."""
    for name, value in result.items():
        if isinstance(value, dict):
            continue
        write(f"{name:26s} {value:.5f}" if isinstance(value, float) else f"{name:26s} {value:,}")
    for key in ("by_kind", "by_language"):
        write(f"{key[3:]:12s} {'recall':>8s} {'n':>8s} {'lost':>8s} {'of':>8s}")
        for value, group in result[key].items():
            recall = "-" if group["recall"] is None else f"{group['recall']:.3f}"
            if value:
                write(f"{value:12s} {recall:>8s} {group['boilerplate']:8,} {group['false_removals']:8,} {group['article']:8,}")
