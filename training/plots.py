"""Plots of measured models, as SVG that takes its colours from the page it stands in; needs the extra "plots"."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import numpy as np

from training.dataset import DatasetError
from training.evaluate import CALIBRATION_BINS
from training.fit import Table
from training.intervals import Floats
from training.measured import Measured, on_sites

COLOURS: Final = ("#0101f1", "#0101f2", "#0101f3", "#0101f4", "#0101f5", "#0101f6")
"""Stand for the colours of models, which the page's style sheet sets for light and dark: --model-1 and so on."""
GRID: Final = "#0101e0"
"""Stands for --grid."""
STYLE: Final = {
    "svg.fonttype": "none",  # text stays text, for screen readers and searches
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.grid": True,
    "grid.color": GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold dollar signs
    "axes.unicode_minus": False,
}
MOST_LANGUAGES: Final = 25
"""Languages in the plot, those with most consent text; the table has them all."""
PROBABILITIES: Final = (0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
"""Ticks of the axis of thresholds, which is one of log-odds."""
LOSSES: Final = (1, 10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Plot:
    """A plot with what it shows, in words.

    Attributes
    ----------
    name, title, text : str
        The text says what can be read from it, for those who don't see it.
    svg : str
        An element for the body of a page.
    """

    name: str
    title: str
    text: str
    svg: str


def check_extra() -> None:
    """Raise DatasetError with the line for pip if matplotlib is missing."""
    try:
        import_module("matplotlib")
    except ImportError as error:
        raise DatasetError(
            f"--report draws with matplotlib, which can't be imported ({error}): pip install 'consent-text-detector[plots]'"
        ) from error


def plots(models: Sequence[Measured], table: Table) -> list[Plot]:
    """All plots of measured models."""
    check_extra()
    made = [precision_recall(models, table), calibration(models, table), threshold(models, table)]
    made += [groups(models, "by_kind", "kind"), groups(models, "by_language", "language"), sites(models)]
    return made


@contextmanager
def _drawing(name: str, width: float, *heights: float) -> Iterator[tuple[list[Any], Callable[[], str]]]:
    """Axes below each other, and what gives the drawing as SVG: the same bytes for the same figures, and nothing for pyplot to hold."""
    cycler = import_module("cycler").cycler
    cycle = cycler(linestyle=["-", "--", ":", "-."]) * cycler(color=COLOURS)
    # from matplotlib's defaults on, whatever the user's settings are
    with import_module("matplotlib.style").context(["default", {**STYLE, "axes.prop_cycle": cycle, "svg.hashsalt": name}]):
        figure = import_module("matplotlib.figure").Figure(figsize=(width, sum(heights)), layout="constrained")
        axes = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]

        def svg() -> str:
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
            return _inline(buffer.getvalue(), name)

        yield list(axes), svg


def _inline(svg: str, name: str) -> str:
    """The SVG element for a page: without head and metadata, colours by the page, and only the ids that it refers to, under its own name."""
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', svg))
    svg = re.sub(r' id="([^"]+)"', lambda match: f' id="{name}-{match[1]}"' if match[1] in used else "", svg)
    svg = re.sub(r'(url\(#|href="#)', rf"\1{name}-", svg)
    svg = re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>', r'<svg viewBox="\1" role="img" aria-labelledby="NAME-title NAME-text">', svg, count=1)
    for i, colour in enumerate(COLOURS):
        svg = svg.replace(colour, f"var(--model-{i + 1})")
    return svg.replace("NAME-", f"{name}-").replace(GRID, "var(--grid)").replace("#000000", "currentColor").strip()


def label(name: str) -> str:
    """A name as it can be drawn: what the font may lack is escaped, and it has no underscore in front, which would hide it from the legend."""
    shown = name.encode("ascii", "backslashreplace").decode()
    return f"({shown})" if shown.startswith("_") else shown


def precision_recall(models: Sequence[Measured], table: Table) -> Plot:
    """Precision against recall over all thresholds, by scikit-learn's display."""
    display = import_module("sklearn.metrics").PrecisionRecallDisplay
    with _drawing("precision-recall", 6.4, 4.6) as ((axes,), svg):
        for model in models:
            truth, probability = table.boilerplate[table.known], model.probability[table.known]
            shown = display.from_predictions(truth, probability, name=label(model.name), ax=axes, drop_intermediate=True)
            # two decimals, as the display has them, would show .997 as 1.00
            shown.line_.set_label(f"{label(model.name)} ({model.figures['average_precision']:.3f})")
        axes.set(xlabel="recall of consent paragraphs", ylabel="precision", aspect="auto")
        axes.legend(loc="lower left", title="average precision")
        text = "; ".join(f"{m.name}: average precision {m.figures['average_precision']:.3f}" for m in models)
        return Plot("precision-recall", "Precision and recall", f"{text}. All other paragraphs count against precision, menus too.", svg())


def calibration(models: Sequence[Measured], table: Table) -> Plot:
    """Share of consent text against probability, by scikit-learn's display, over how many paragraphs lie in each bin."""
    display = import_module("sklearn.calibration").CalibrationDisplay
    truth = table.boilerplate[table.known]
    with _drawing("calibration", 6.4, 3.4, 1.4) as ((axes, below), svg):
        for i, model in enumerate(models):
            probability = model.probability[table.known]
            display.from_predictions(truth, probability, n_bins=CALIBRATION_BINS, name=label(model.name), ax=axes, ref_line=i == 0)
            counts, edges = np.histogram(probability, bins=CALIBRATION_BINS, range=(0.0, 1.0))
            below.stairs(np.maximum(counts, 0.5), edges, color=COLOURS[i % len(COLOURS)], baseline=0.5)
        axes.set(xlabel="", ylabel="share that is consent text")
        below.set(xlabel="probability", ylabel="paragraphs", yscale="log", ylim=(0.5, None))
        _plain_ticks(below, [10**k for k in range(0, 9, 2) if 10**k <= len(truth)])
        text = "; ".join(f"{m.name}: expected calibration error {m.figures['calibration_error']:.5f}" for m in models)
        return Plot("calibration", "Calibration", f"{text}. Bins of a tenth; below, how many paragraphs each bin holds.", svg())


def _plain_ticks(axes: Any, values: Sequence[int]) -> None:
    axes.set_yticks(values, [f"{value:,}" for value in values])
    axes.minorticks_off()


def threshold(models: Sequence[Measured], table: Table) -> Plot:
    """Recall and the share of article paragraphs lost against the threshold."""
    grid = np.linspace(_log_odds(PROBABILITIES[0]), _log_odds(PROBABILITIES[-1]), 400)
    cuts = 1 / (1 + np.exp(-grid))
    with _drawing("threshold", 6.4, 2.2, 2.8) as ((above, below), svg):
        for i, model in enumerate(models):
            colour = COLOURS[i % len(COLOURS)]
            above.plot(grid, _share_from(model.probability[table.boilerplate], cuts), label=label(model.name))
            lost = _share_from(model.probability[table.article], cuts)
            below.step(grid, np.where(lost > 0, lost, np.nan), where="post")
            at = float(np.clip(_log_odds(model.detector.threshold), grid[0], grid[-1]))
            for axes in (above, below):
                axes.axvline(at, color=colour, linewidth=1.3, linestyle=":")
        ticks = [_log_odds(p) for p in PROBABILITIES]
        above.set_xticks(ticks, [""] * len(ticks))
        below.set_xticks(ticks, [f"{p:g}" for p in PROBABILITIES])
        above.set(xlim=(ticks[0], ticks[-1]), ylabel="recall", ylim=(-0.02, 1.02))
        above.legend(loc="lower left")
        n_article = max(1, int(table.article.sum()))
        losses = [n for n in LOSSES if n <= n_article] or [1]
        below.set(xlim=(ticks[0], ticks[-1]), xlabel="threshold", ylabel="article paragraphs lost", yscale="log", ylim=(0.5 / n_article, 1.5))
        below.set_yticks([1 / n for n in losses], ["all", *(f"1 in {n:,}" for n in losses[1:])])
        below.minorticks_off()
        parts = [
            f"{m.name}: at {m.detector.threshold:.4f} recall {m.figures['recall']:.3f}, {m.figures['false_removals']:,} of {n_article:,} lost"
            for m in models
        ]
        text = f"{'; '.join(parts)}. Dotted lines are the thresholds; a line that ends has no article paragraph left to lose."
        return Plot("threshold", "Threshold and loss", text, svg())


def _log_odds(probability: float) -> float:
    p = min(max(probability, 1e-9), 1 - 1e-9)
    return float(np.log(p / (1 - p)))


def _share_from(values: Floats, cuts: Floats) -> Floats:
    """Share of the values at or above each cut."""
    shares: Floats = 1 - np.searchsorted(np.sort(values), cuts, side="left") / len(values)
    return shares


def groups(models: Sequence[Measured], key: str, word: str) -> Plot:
    """Recall at the threshold by kind or language, with intervals."""
    found = models[0].figures[key]
    names = sorted((name for name in found if found[name]["boilerplate"]), key=lambda name: (-found[name]["boilerplate"], name))[:MOST_LANGUAGES]
    with _drawing(f"by-{word}", 6.4, max(1.8, 0.6 + len(names) * (0.16 + 0.12 * len(models)))) as ((axes,), svg):
        for i, model in enumerate(models):
            rows = [model.figures[key][name] for name in names]
            recall = np.array([row["recall"] for row in rows])
            ends = np.array([row["interval"] for row in rows])
            at = np.arange(len(names)) + (i - (len(models) - 1) / 2) * 0.6 / len(models)
            error = np.maximum(0.0, np.array([recall - ends[:, 0], ends[:, 1] - recall]))
            axes.errorbar(recall, at, xerr=error, fmt="o", markersize=4, capsize=2, color=COLOURS[i % len(COLOURS)], label=label(model.name))
        shown = [f"{label(name or 'none')} ({on_sites(found[name]['boilerplate'], found[name]['sites'])})" for name in names]
        axes.set_yticks(np.arange(len(names)), shown)
        axes.set(xlabel="recall at the threshold, with 95 % interval", xlim=(-0.02, 1.02), ylim=(len(names) - 0.5, -0.5))
        if len(models) > 1:
            axes.figure.legend(loc="outside upper left", ncols=3)
        worst = [min(names, key=lambda name: m.figures[key][name]["recall"]) for m in models]
        parts = [f"{m.name}: least for {name or 'none'}, {m.figures[key][name]['recall']:.3f}" for m, name in zip(models, worst, strict=True)]
        more = f" The {MOST_LANGUAGES} with most consent text are drawn." if len(names) == MOST_LANGUAGES else ""
        return Plot(f"by-{word}", f"Recall by {word}", f"{'; '.join(parts)}.{more} The table has all figures.", svg())


def sites(models: Sequence[Measured]) -> Plot:
    """How recall is spread over the sites."""
    with _drawing("by-site", 6.4, 3.2) as ((axes,), svg):
        parts = []
        for model in models:
            recall = np.sort([site["recall"] for site in model.figures["by_site"].values() if site["boilerplate"]])
            axes.ecdf(recall, label=label(model.name))
            parts.append(f"{model.name}: all found on {(recall == 1).sum():,} of {len(recall):,} sites, less than half on {(recall < 0.5).sum():,}")
        axes.set(xlabel="recall of a site, at the threshold", ylabel="share of sites at most so high", xlim=(-0.02, 1.02))
        axes.legend(loc="upper left")
        return Plot("by-site", "Recall by site", f"{'; '.join(parts)}.", svg())
