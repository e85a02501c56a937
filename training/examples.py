"""Paragraphs that a model gets wrong, or that two models judge differently, as they stand in their documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.fit import Table
from training.intervals import Floats, Integers
from training.measured import Measured

MOST_CHARACTERS: Final = 400
"""So much of a paragraph is shown; of a neighbour a quarter."""


@dataclass(frozen=True)
class Example:
    """A paragraph with its neighbours.

    Attributes
    ----------
    text, before, after : str
        Shortened; the neighbours are blank at the ends of a document.
    copies : int
        How many such paragraphs have this text.
    probabilities : list of float
        One for each model.
    kind, lang, site : str
    """

    text: str
    before: str
    after: str
    copies: int
    probabilities: list[float]
    kind: str
    lang: str
    site: str


def lost(model: Measured, table: Table) -> Integers:
    """Rows of the article paragraphs that it removes, the surest first."""
    rows = np.flatnonzero(table.article & model.removed)
    return rows[np.argsort(-model.probability[rows], kind="stable")]


def missed(model: Measured, table: Table) -> Integers:
    """Rows of the consent paragraphs that it keeps, the surest first."""
    rows = np.flatnonzero(table.boilerplate & ~model.removed)
    return rows[np.argsort(model.probability[rows], kind="stable")]


def examples(rows: Integers, models: Sequence[Measured], table: Table, most: int) -> list[Example]:
    """The first paragraphs of some rows, copies of one text as one.

    Parameters
    ----------
    rows : ndarray of intp
    models : sequence of Measured
        Whose probabilities are shown.
    table : Table
    most : int
        How many are made at most.
    """
    copies: dict[str, list[int]] = {}
    for row in rows.tolist():
        copies.setdefault(table.texts[row], []).append(row)
    bounds = set(table.bounds.tolist())
    made = []
    for text, of_text in list(copies.items())[:most]:
        row = of_text[0]
        before = "" if row in bounds else table.texts[row - 1]
        after = "" if row + 1 in bounds else table.texts[row + 1]
        made.append(
            Example(
                text=_short(text, MOST_CHARACTERS),
                before=_short(before, MOST_CHARACTERS // 4),
                after=_short(after, MOST_CHARACTERS // 4),
                copies=len(of_text),
                probabilities=[float(model.probability[row]) for model in models],
                kind=table.kind[row],
                lang=table.lang[row],
                site=table.site[row],
            )
        )
    return made


def _short(text: str, most: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def sort_by_change(rows: Integers, first: Floats, second: Floats) -> Integers:
    """Rows ordered by how far the probability moved, the farthest first."""
    return rows[np.argsort(-np.abs(second[rows] - first[rows]), kind="stable")]
