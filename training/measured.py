"""Models that were measured on the same labelled documents, how they differ, and which paragraphs flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from detector import Detector
from detector.persistence import SHIPPED
from training.dataset import DatasetError, LabelledDocument, digest
from training.evaluate import figures_and_draws, line_probabilities
from training.fit import Table
from training.intervals import Flags, Floats, Integers, percentiles
from training.sources import Source

SHIPPED_NAME: Final = "shipped"
"""Stands for the model that comes with the package; a file of that name is ./shipped."""
COMPARED: Final = {
    "average_precision": "average precision",
    "recall_at_1e-2": "recall at 1 in 100 lost",
    "recall_at_1e-3": "recall at 1 in 1,000 lost",
    "recall_at_1e-4": "recall at 1 in 10,000 lost",
    "recall": "recall at the threshold",
    "recall_mean_of_sites": "recall, mean of sites",
    "false_removal": "share of article paragraphs lost",
    "hard_kept": "hard article paragraphs kept",
    "precision": "precision at the threshold",
    "calibration_error": "calibration error",
}
"""Figures that are set side by side, in words."""
FLIPS: Final = {
    "found": "consent paragraphs newly removed",
    "missed": "consent paragraphs no longer removed",
    "saved": "article paragraphs no longer lost",
    "lost": "article paragraphs newly lost",
}
"""Ways in which a paragraph's verdict may change from one model to another, in words."""


@dataclass(frozen=True)
class Measured:
    """A model with its figures on labelled documents.

    Attributes
    ----------
    name : str
        "shipped", or the file's name without its ending; of two files of one name, the whole paths.
    path : Path
    sha256 : str
        Of the model file.
    detector : Detector
    probability : ndarray of float64, shape (n_paragraphs,)
    figures : dict
        As `training.evaluate.figures` gives it.
    draws : dict of str to ndarray of float64
        As `training.evaluate.figures_and_draws` gives it.
    fitted_on : list of str
        Names of measured files that its card names too: the figures on these flatter it.
    """

    name: str
    path: Path
    sha256: str
    detector: Detector
    probability: Floats
    figures: dict[str, Any]
    draws: dict[str, Floats]
    fitted_on: list[str]

    @property
    def removed(self) -> Flags:
        """Which paragraphs it removes."""
        return self.probability >= self.detector.threshold


def measure(
    models: Sequence[str], documents: Sequence[LabelledDocument], digests: dict[str, str], threshold: str | float
) -> tuple[Table, list[Measured]]:
    """Measure models on the same documents.

    Parameters
    ----------
    models : sequence of str
        Model files, or "shipped".
    documents : sequence of LabelledDocument
    digests : dict of str to str
        SHA-256 of the files that they were read from, by name.
    threshold : str or float
        A name stands for each model's own threshold of that name.

    Raises
    ------
    DatasetError
        If a model is given twice, or there is nothing to measure.
    """
    paths = [SHIPPED if model == SHIPPED_NAME else Path(model) for model in models]
    twice = sorted({str(path) for path in paths if paths.count(path) > 1})
    if twice:
        raise DatasetError(
            f"the model {twice[0]} is given twice; give each once (without --model it is the shipped one, which is named {SHIPPED_NAME!r})"
        )
    detectors = [Detector.load(path, threshold=threshold) for path in paths]
    table = Table.of([Source("evaluated", list(documents), {}, measured=True)])
    measured = []
    for name, path, detector in zip(names_of(models), paths, detectors, strict=True):
        probability = line_probabilities(detector, documents)
        figures, draws = figures_and_draws(probability, table, detector.threshold)
        known = {value for source in _sources_of(detector.model.card) for value in source["sha256"].values()}
        fitted_on = [file for file, value in digests.items() if value in known]
        measured.append(Measured(name, path, digest(path), detector, probability, figures, draws, fitted_on))
    return table, measured


def _sources_of(card: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Sources that a card names, and that the model it was adapted from was fitted on."""
    start = card.get("started_from")
    return [*card.get("sources", ()), *(_sources_of(start) if start else ())]


def names_of(models: Sequence[str]) -> list[str]:
    """What models are called.

    Examples
    --------
    >>> names_of(["shipped", "old/a.joblib", "new/a.joblib", "b.joblib"])
    ['shipped', 'old/a.joblib', 'new/a.joblib', 'b']
    """
    stems = [model if model == SHIPPED_NAME else Path(model).stem for model in models]
    return [stem if stems.count(stem) == 1 else model for stem, model in zip(stems, models, strict=True)]


def on_sites(paragraphs: int, sites: int) -> str:
    """How many paragraphs, and on how many sites; one site is said in words, since its interval is one of its paragraphs only.

    Examples
    --------
    >>> on_sites(1640, 171), on_sites(9, 1)
    ('1,640 on 171 sites', '9 on one site')
    """
    return f"{paragraphs:,}" + (f" on {'one site' if sites == 1 else f'{sites:,} sites'}" if paragraphs else "")


def differences(first: Measured, second: Measured) -> dict[str, dict[str, Any]]:
    """Each figure of the second model less that of the first, with the interval of a paired bootstrap over sites: both see the same draws."""
    sites = sum(site["boilerplate"] > 0 for site in first.figures["by_site"].values())
    out = {}
    for name in COMPARED:
        pairs = second.draws[name] - first.draws[name] if name in first.draws else None
        interval = None if pairs is None else percentiles(pairs, sites)
        out[name] = {"difference": second.figures[name] - first.figures[name], "interval": interval and list(interval)}
    return out


def flips(first: Measured, second: Measured, table: Table) -> dict[str, Integers]:
    """Rows of the paragraphs that the second model judges otherwise than the first, by the keys of `FLIPS`."""
    now, before = second.removed, first.removed
    found, kept = now & ~before, before & ~now
    rows = {"found": table.boilerplate & found, "missed": table.boilerplate & kept, "saved": table.article & kept, "lost": table.article & found}
    return {name: np.flatnonzero(chosen) for name, chosen in rows.items()}
