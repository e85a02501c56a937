"""Measure a detector on labelled documents: how much consent text it finds and how much article text it loses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from detector import Detector
from training.dataset import DatasetError, LabelledDocument
from training.extract import n_words
from training.fit import Fit, Table
from training.intervals import Flags, Floats, Interval, Ranks, Ratio, percentiles, replicates
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
    table = Table.of([Source("evaluated", list(documents), {}, measured=True)])
    return figures(line_probabilities(detector, documents), table, detector.threshold)


def line_probabilities(detector: Detector, documents: Sequence[LabelledDocument]) -> NDArray[np.float64]:
    """Probability of each labelled paragraph, one a line: where the detector cut a line, that of the piece that holds most of it."""
    probabilities: list[float] = []
    for start in range(0, len(documents), DOCUMENTS_AT_ONCE):
        some = documents[start : start + DOCUMENTS_AT_ONCE]
        texts = ["\n".join(p.text for p in document.paragraphs) for document in some]
        for labelled, document in zip(some, detector.filter_batch(texts), strict=True):
            pieces = iter(document.paragraphs)
            end = 0
            for p in labelled.paragraphs:
                end += len(p.text) + 1
                most, best = -1, 0.0
                for piece in pieces:
                    if len(piece.text) > most and piece.text.strip():
                        most, best = len(piece.text), piece.probability
                    if piece.end >= end - 1:
                        break
                probabilities.append(best)
    return np.array(probabilities)


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
        ``by_kind``, ``by_kind_at_1e-3``, ``by_language``, ``by_site`` with recall, n, and false removals. ``intervals`` holds the
        low and high end of the 95 % interval of a figure (`training.intervals`), or None; a kind or a language has its ``interval`` itself, and
        ``sites``, how many have boilerplate of it.
    """
    return figures_and_draws(probability, table, threshold)[0]


def figures_and_draws(probability: NDArray[np.float64], table: Table, threshold: float) -> tuple[dict[str, Any], dict[str, Floats]]:
    """What `figures` gives, and each figure in every draw of the sites, by its name, or ``by_kind/banner``: two models' draws are pairs."""
    if not table.boilerplate.any() or not table.article.any():
        raise DatasetError("the documents hold no boilerplate or no article paragraphs: there is nothing to measure")
    ranked = np.sort(probability[table.article])[::-1]
    found = {name: probability > ranked[int(share * len(ranked))] for name, share in SHARES}
    removed = probability >= threshold
    keys = {"kind": _Key.of(table.kind), "language": _Key.of(table.lang), "site": _Key.of(table.site)}
    out = _points(probability, table, removed, found, keys)
    group = keys["site"].code

    def share(hits: Flags, trials: Flags) -> Ratio:
        return Ratio.of(group, len(keys["site"].values), hits, trials)

    recall, hard = share(removed, table.boilerplate), table.article & table.hard
    ratios = {
        "recall": recall,
        "recall_mean_of_sites": Ratio(recall.numerator / np.maximum(recall.denominator, 1), (recall.denominator > 0).astype(np.float64)),
        "false_removal": share(removed, table.article),
        "precision": share(table.boilerplate, (table.boilerplate | table.article) & removed),
        "other_removed": share(removed, _other(table)),
        "hard_kept": share(~removed, hard),
    }
    for name, hits in (("by_kind", removed), ("by_kind_at_1e-3", found["1e-3"]), ("by_language", removed)):
        key = keys[name.removesuffix("_at_1e-3").removeprefix("by_")]
        ratios |= {f"{name}/{value}": share(hits, table.boilerplate & (key.code == i)) for i, value in enumerate(key.values) if value in out[name]}
    ranks = Ranks(probability, table.boilerplate, table.article, table.known, group, len(keys["site"].values))
    drawn = replicates(ratios, ranks, {f"recall_at_{name}": value for name, value in SHARES})
    ratios |= {f"recall_at_{name}": share(hits, table.boilerplate) for name, hits in found.items()}
    precision = drawn["average_precision"]
    # where every draw gives the same, the draws say nothing, and average precision is no share that Wilson's interval is for
    out["intervals"] = {"average_precision": _listed(percentiles(precision, recall.groups) if np.ptp(precision[~np.isnan(precision)]) else None)}
    for name, ratio in ratios.items():
        of, _, value = name.partition("/")
        if value or of.startswith("by_"):
            out[of][value] |= {"interval": _listed(ratio.interval(drawn[name])), "sites": ratio.groups}
        else:
            out["intervals"][name] = _listed(ratio.interval(drawn[name]))
    return out, drawn


def _listed(interval: Interval | None) -> list[float] | None:
    """An interval as JSON and the model's card hold it."""
    return interval and list(interval)


@dataclass(frozen=True)
class _Key:
    """A column of strings as numbers: its distinct values, sorted, and of each row the place of its value among them."""

    values: list[str]
    code: NDArray[np.intp]

    @classmethod
    def of(cls, column: Sequence[str]) -> _Key:
        values = sorted(set(column))
        place = {value: i for i, value in enumerate(values)}
        return cls(values, np.fromiter((place[value] for value in column), np.intp, len(column)))


def _other(table: Table) -> Flags:
    return table.known & ~table.boilerplate & ~table.article


def _points(probability: NDArray[np.float64], table: Table, removed: Flags, found: dict[str, Flags], keys: dict[str, _Key]) -> dict[str, Any]:
    """The figures without their intervals; `found` says what lies above the cut of each of `SHARES`."""
    boilerplate, article, other = table.boilerplate, table.article, _other(table)
    length = np.array([len(text) for text in table.texts])
    balanced = found["1e-3"]
    by_site = _grouped(keys["site"], boilerplate, article, removed)
    hard = article & table.hard
    return {
        "documents": len(table.bounds) - 1,
        "boilerplate": int(boilerplate.sum()),
        "article": int(article.sum()),
        "other": int(other.sum()),
        "average_precision": float(average_precision_score(boilerplate[table.known], probability[table.known])),
        **{f"recall_at_{name}": float(above[boilerplate].mean()) for name, above in found.items()},
        "recall": float(removed[boilerplate].mean()),
        "recall_mean_of_sites": _mean_recall(by_site),
        "false_removal": float(removed[article].mean()),
        "false_removals": int(removed[article].sum()),
        "article_characters_lost": float((removed * length)[article].sum() / length[article].sum()),
        "precision": float(removed[boilerplate].sum() / max(1, removed[boilerplate | article].sum())),
        "other_removed": float(removed[other].mean()) if other.any() else 0.0,
        "hard": int(hard.sum()),
        "hard_kept": float(1 - removed[hard].mean()) if hard.any() else 1.0,
        "calibration_error": calibration_error(probability[table.known], boilerplate[table.known]),
        "recall_mean_of_sites_at_1e-3": _mean_recall(_grouped(keys["site"], boilerplate, article, balanced)),
        "hard_kept_at_1e-3": float(1 - balanced[hard].mean()) if hard.any() else 1.0,
        "by_kind": _grouped(keys["kind"], boilerplate, article & False, removed),
        "by_kind_at_1e-3": _grouped(keys["kind"], boilerplate, article & False, balanced),
        "by_language": _grouped(keys["language"], boilerplate, article, removed),
        "by_site": by_site,
    }


def _mean_recall(groups: dict[str, dict[str, Any]]) -> float:
    return float(np.mean([group["recall"] for group in groups.values() if group["boilerplate"]]))


def _grouped(key: _Key, boilerplate: Flags, article: Flags, removed: Flags) -> dict[str, dict[str, Any]]:
    """Recall and false removals of each value of a key."""

    def count(rows: Flags) -> list[int]:
        counts: list[int] = np.bincount(key.code[rows], minlength=len(key.values)).tolist()
        return counts

    found, n_boilerplate, lost, n_article = count(boilerplate & removed), count(boilerplate), count(article & removed), count(article)
    return {
        value: {
            "recall": found[i] / n_boilerplate[i] if n_boilerplate[i] else None,
            "boilerplate": n_boilerplate[i],
            "false_removals": lost[i],
            "article": n_article[i],
        }
        for i, value in enumerate(key.values)
        if n_boilerplate[i] or n_article[i]
    }


def calibration_error(probability: NDArray[np.float64], boilerplate: NDArray[np.bool_]) -> float:
    """Expected calibration error over equal bins: the mean distance of a bin's mean probability from its share of boilerplate, by size."""
    bins = np.minimum((probability * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    gap = np.bincount(bins, weights=probability - boilerplate, minlength=CALIBRATION_BINS)
    return float(np.abs(gap).sum() / len(probability))


def out_of_fold_figures(result: Fit) -> dict[str, Any]:
    """Figures of a fit on the documents that chose its thresholds, each filtered by the model that was fitted without its site."""
    threshold = result.model.thresholds["precision"]
    probability = [line_probabilities(Detector(model), documents) for model, documents in result.held_out]
    table = Table.of([Source("held out", [d for _, documents in result.held_out for d in documents], {}, measured=True)])
    return figures(np.concatenate(probability), table, threshold)


def texts_alone(result: Fit) -> list[str]:
    """Figures of single consent texts (sources "packages" and "strings"), each alone and out of fold, as lines of text.

    A package or project is never in two folds, so each is scored by a model that saw nothing of it. Recall is the mean of the languages with
    `LEAST_TEXTS` consent texts of `WORDS` words or more. The cuts lose 1 in 1,000 article paragraphs of the real pages, or of the strings' prose
    that is not about privacy; of the prose that is, the share lost is given.
    """
    table, alone = result.table, result.alone
    source, lang = np.array(table.source), np.array(table.lang)
    prose = (source == "strings") & table.article
    cuts = {"article paragraphs of pages": table.measured & table.article, "ordinary prose of 'strings'": prose & ~table.hard}
    lines = []
    for cut_name, rows in cuts.items():
        if not rows.any():
            continue
        cut = np.sort(alone[rows])[::-1][int(1e-3 * rows.sum())]
        lines.append(f"texts alone, where 1 in 1,000 of {rows.sum():,} {cut_name} is lost:")
        for name in ("packages", "strings"):
            consent = np.flatnonzero((source == name) & table.boilerplate)
            chosen = consent[np.array([n_words(table.texts[i]) >= WORDS for i in consent], np.bool_)]
            recall = {
                value: float((alone[mine] > cut).mean())
                for value in sorted(set(lang[chosen]))
                if len(mine := chosen[lang[chosen] == value]) >= LEAST_TEXTS
            }
            if recall:
                good = ", ".join(f"{sum(r >= least for r in recall.values())} at {least}" for least in (0.75, 0.85, 0.9))
                lines.append(
                    f"  {name}: recall {np.mean(list(recall.values())):.3f}, mean of {len(recall)} languages ({good}); {len(chosen):,} texts"
                )
                lines.append("    " + " ".join(f"{value} {r:.2f}" for value, r in sorted(recall.items(), key=lambda item: -item[1])))
        if (prose & table.hard).any():
            lines.append(f"  prose about privacy and cookies lost: {(alone[prose & table.hard] > cut).mean():.3f} of {(prose & table.hard).sum():,}")
    return lines


WORDS: Final = 4
LEAST_TEXTS: Final = 10


def summary(result: dict[str, Any], write: Callable[[str], object] = print) -> None:
    """Print figures, a line each with its interval; groups as a table, sites left out."""
    for name, value in result.items():
        if isinstance(value, dict):
            continue
        interval = result["intervals"].get(name)
        line = f"{name:26s} {value:.5f}" if isinstance(value, float) else f"{name:26s} {value:,}"
        write(f"{line}   {interval[0]:.5f} to {interval[1]:.5f}" if interval else line)
    for key in ("by_kind", "by_kind_at_1e-3", "by_language"):
        write(f"{key[3:]:12s} {'recall':>8s} {'n':>8s} {'lost':>8s} {'of':>8s} {'sites':>8s}   95 %")
        for value, group in result[key].items():
            recall = "-" if group["recall"] is None else f"{group['recall']:.3f}"
            interval = f"   {group['interval'][0]:.3f} to {group['interval'][1]:.3f}" if group["interval"] else ""
            if value:
                counts = f"{group['boilerplate']:8,} {group['false_removals']:8,} {group['article']:8,} {group['sites']:8,}"
                write(f"{value:12s} {recall:>8s} {counts}{interval}")
