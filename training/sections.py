"""Tables that set models side by side, for the terminal and for the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from training.fit import Table
from training.measured import COMPARED, FLIPS, Measured, differences, flips, on_sites

FINE: Final = ("false_removal", "calibration_error")
"""Figures so near to 0 that three decimals would say nothing."""
GROUPS: Final = {"by_kind": "recall by kind", "by_kind_at_1e-3": "recall by kind, at 1 in 1,000 lost", "by_language": "recall by language"}


@dataclass(frozen=True)
class Section:
    """A table of text.

    Attributes
    ----------
    title : str
        Heads the first column.
    columns : list of str
        Heads of the others.
    rows : list of list of str
        A cell for the first column and for each of the others.
    """

    title: str
    columns: list[str]
    rows: list[list[str]]

    def lines(self) -> Iterator[str]:
        """Its lines in a terminal."""
        cells = [[self.title, *self.columns], *self.rows]
        width = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        for row in cells:
            yield "  ".join(cell.ljust(size) for cell, size in zip(row, width, strict=True)).rstrip()


def with_interval(value: float | None, interval: Sequence[float] | None, decimals: int = 3, sign: str = "") -> str:
    """A figure with its interval, such as "0.938 [0.921, 0.953]"; "-" if it has no value."""
    if value is None:
        return "-"
    shape = f"{sign}.{decimals}f"
    return f"{value:{shape}}" + (f" [{interval[0]:{shape}}, {interval[1]:{shape}}]" if interval else "")


def decimals(figure: str) -> int:
    """Decimals that a figure is shown with."""
    return 5 if figure in FINE else 3


def sections(models: Sequence[Measured], table: Table) -> list[Section]:
    """All tables: figures and recall by kind and language, a column for each model, and how the others differ from the first."""
    names = [model.name for model in models]
    made = [Section("figure", names, _figures(models))]
    made += [Section(title, names, _groups(models, key)) for key, title in GROUPS.items()]
    if len(models) > 1:
        made.append(_differences(models))
        made.append(_flips(models, table))
    return made


def _figures(models: Sequence[Measured]) -> list[list[str]]:
    rows = [["threshold", *(f"{model.detector.threshold:.6f}" for model in models)]]
    for key, name in COMPARED.items():
        rows.append([name, *(with_interval(m.figures[key], m.figures["intervals"].get(key), decimals(key)) for m in models)])
    lost = [f"{m.figures['false_removals']:,} of {m.figures['article']:,}" for m in models]
    rows.insert(list(COMPARED).index("false_removal") + 1, ["article paragraphs lost", *lost])
    return rows


def _groups(models: Sequence[Measured], key: str) -> list[list[str]]:
    """Rows of the groups that have consent text, or of which article text is lost, those with most consent text first."""
    first = models[0].figures[key]
    rows = []
    for value in sorted(first, key=lambda value: (-first[value]["boilerplate"], value)):
        groups = [model.figures[key][value] for model in models]
        if groups[0]["boilerplate"] or any(group["false_removals"] for group in groups):
            rows.append([f"{value or 'none'} ({on_sites(groups[0]['boilerplate'], groups[0]['sites'])})", *(_group_cell(group) for group in groups)])
    return rows


def _group_cell(group: dict[str, Any]) -> str:
    lost = f"; {group['false_removals']:,} of {group['article']:,} lost" if group["article"] else ""
    return with_interval(group["recall"], group["interval"]) + lost


def _differences(models: Sequence[Measured]) -> Section:
    first, others = models[0], models[1:]
    found = [differences(first, other) for other in others]
    rows = [
        [name, *(with_interval(of[key]["difference"], of[key]["interval"], decimals(key), "+") for of in found)] for key, name in COMPARED.items()
    ]
    return Section("difference", [f"{other.name} less {first.name}" for other in others], rows)


def _flips(models: Sequence[Measured], table: Table) -> Section:
    first, others = models[0], models[1:]
    found = [flips(first, other, table) for other in others]
    rows = [[name, *(on_sites(len(of[key]), len({table.site[i] for i in of[key]})) for of in found)] for key, name in FLIPS.items()]
    return Section("flipped", [f"from {first.name} to {other.name}" for other in others], rows)
