"""The model card: what a model was made of, with what, and how well it does; kept in the model file and written beside it as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from detector.model import Model
from training.evaluate import out_of_fold_figures
from training.fit import Fit, Settings
from training.measured import Measured
from training.sources import Source

PACKAGES = ("numpy", "scipy", "scikit-learn", "joblib")


def make_card(result: Fit, sources: Sequence[Source], settings: Settings, held_out: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Collect the card's facts; the same inputs give the same card, so it has no date.

    Parameters
    ----------
    result : Fit
    sources : sequence of Source
    settings : Settings
    held_out : mapping, optional
        Figures on documents that took no part in the fit.
    """
    chosen = {name: value for name, value in asdict(settings).items() if name != "jobs"}
    card: dict[str, Any] = {
        "name": "consent-text-detector",
        "labels": {"0": "article", "1": "boilerplate"},
        "settings": chosen,
        "versions": _versions(),
        "sources": [_counts(source) for source in sources],
        "thresholds": dict(result.model.thresholds),
        "out_of_fold": _without_sites(out_of_fold_figures(result)),
    }
    if held_out is not None:
        card["held_out"] = _without_sites(held_out)
    return card


def adapted_card(
    model: Model,
    sources: Sequence[Source],
    settings: Mapping[str, Any],
    start: tuple[str, str],
    held_out: tuple[Mapping[str, Any], Mapping[str, Any]] | None,
) -> dict[str, Any]:
    """The card of a model that was adapted to new labels (`training.retrain`).

    Parameters
    ----------
    model : Model
        With the card of the model that it was made from.
    sources : sequence of Source
    settings : mapping
    start : (str, str)
        File name and SHA-256 of the model that it was made from; what that model's card says of its sources is kept.
    held_out : (mapping, mapping), optional
        Figures before and after.
    """
    before = {name: model.card[name] for name in ("sources", "settings", "started_from") if name in model.card}
    card: dict[str, Any] = {
        "name": "consent-text-detector",
        "labels": {"0": "article", "1": "boilerplate"},
        "settings": dict(settings),
        "versions": _versions(),
        "sources": [_counts(source) for source in sources],
        "thresholds": dict(model.thresholds),
        "started_from": {"file": start[0], "sha256": start[1], **before},
    }
    if held_out is not None:
        card["held_out_before"], card["held_out"] = (_without_sites(figures) for figures in held_out)
    return card


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}


def _counts(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "documents": len(source.documents),
        "paragraphs": sum(len(document.paragraphs) for document in source.documents),
        "boilerplate": sum(p.label == "boilerplate" for document in source.documents for p in document.paragraphs),
        "sha256": source.digests,
    }


def _without_sites(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in figures.items() if name != "by_site"}


def to_markdown(card: Mapping[str, Any]) -> str:
    """The card as a Markdown page."""
    lines = [
        f"# Model card: {card['name']}",
        "",
        "Labels paragraphs of plain-text documents as article or boilerplate (consent text). Two linear stages: TF-IDF over hashed n-grams of a",
        "paragraph, then its neighbours. It is meant for filtering scraped documents; it is no judge of whether a consent dialogue is lawful.",
        "",
        *_started_from(card.get("started_from")),
        "## Data",
        "",
        "| source | documents | paragraphs | boilerplate |",
        "|---|---|---|---|",
        *(f"| {s['name']} | {s['documents']:,} | {s['paragraphs']:,} | {s['boilerplate']:,} |" for s in card["sources"]),
        "",
        "| file | sha256 |",
        "|---|---|",
        *(f"| {name} | {digest} |" for s in card["sources"] for name, digest in s["sha256"].items()),
        "",
        "## Settings",
        "",
        "| setting | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in {**card["settings"], **card["versions"]}.items()),
        "",
        "## Thresholds",
        "",
        "| name | probability |",
        "|---|---|",
        *(f"| {name} | {value:.6f} |" for name, value in card["thresholds"].items()),
    ]
    titles = {
        "out_of_fold": "Figures, out of fold by site, at the threshold `precision`",
        "held_out_before": "Figures on held-out sites before it was adapted, at the threshold `precision`",
        "held_out": "Figures on held-out sites, at the threshold `precision`",
    }
    for key, title in titles.items():
        if key in card:
            lines += ["", f"## {title}", *evaluation_tables(card[key])]
    return "\n".join(lines) + "\n"


def _started_from(start: Mapping[str, Any] | None) -> list[str]:
    if start is None:
        return []
    named = ", ".join(f"{s['name']} ({s['paragraphs']:,} paragraphs)" for s in start.get("sources", ()))
    return [
        f"It was adapted from {start['file']} (sha256 {start['sha256']}){f', which was fitted on {named}' if named else ''}: its weights are shifted",
        "towards the data below, and its other stages and thresholds are those of that model.",
        "",
    ]


def evaluation_tables(figures: Mapping[str, Any]) -> list[str]:
    """Figures as the lines of Markdown tables; cards of older models have no intervals, and their tables no column for them."""
    intervals = figures.get("intervals")
    lines = [
        "",
        "| figure | value | 95 % |" if intervals is not None else "| figure | value |",
        "|---|---|---|" if intervals is not None else "|---|---|",
    ]
    for name, value in figures.items():
        if not isinstance(value, dict):
            interval = [_interval(intervals.get(name), 5)] if intervals is not None else []
            lines.append(_row(name, f"{value:.5f}" if isinstance(value, float) else f"{value:,}", *interval))
    for key in ("by_kind", "by_kind_at_1e-3", "by_language"):
        columns = ["95 %", "sites"] if intervals is not None else []
        head = [key[3:], "recall", *columns, "n", "article paragraphs lost", "of"]
        lines += ["", _row(*head), "|" + "---|" * len(head)]
        for name, group in figures[key].items():
            recall = "-" if group["recall"] is None else f"{group['recall']:.3f}"
            more = [_interval(group["interval"], 3), f"{group['sites']:,}"] if columns else []
            lines.append(_row(name or "none", recall, *more, f"{group['boilerplate']:,}", f"{group['false_removals']:,}", f"{group['article']:,}"))
    if intervals is not None:
        lines += ["", "Intervals: bootstrap over sites, see training/intervals.py; where all sites agree or there is one only, Wilson's."]
    return lines


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _interval(interval: Sequence[float] | None, decimals: int) -> str:
    return "" if interval is None else f"{interval[0]:.{decimals}f} to {interval[1]:.{decimals}f}"


def evaluation_page(models: Sequence[Measured], digests: Mapping[str, str], threshold: str | float) -> str:
    """The evaluation of models as a Markdown page: for each the tables that its card would have of the same documents.

    Parameters
    ----------
    models : sequence of Measured
    digests : mapping of str to str
        SHA-256 of the measured files, by name.
    threshold : str or float
    """
    lines = ["# Evaluation", "", "| file | sha256 |", "|---|---|"]
    lines += [_row(name, digest) for name, digest in [*digests.items(), *((model.path.name, model.sha256) for model in models)]]
    for model in models:
        lines += ["", f"## {model.name}: figures at the threshold `{threshold}`"]
        lines += ["", *(f"Fitted on {file} too: the figures are flattered." for file in model.fitted_on)] if model.fitted_on else []
        lines += evaluation_tables(model.figures)
    return "\n".join(lines) + "\n"
