"""The report of an evaluation: one HTML file with tables, plots and examples, without scripts, and nothing in it is fetched."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.metadata import version
from pathlib import Path
from string import Template
from typing import Any, Final

from detector import __version__
from training.examples import Example, examples, lost, missed, sort_by_change
from training.fit import Table
from training.intervals import RESAMPLES, Integers, wilson
from training.measured import FLIPS, Measured, flips
from training.plots import Plot, check_extra, plots
from training.sections import Section, sections, with_interval

__all__ = ["check_extra", "to_html"]

TEMPLATE: Final = Path(__file__).parent / "report.html"
WORST_SITES: Final = 15
"""Sites in the table of the worst: as many as one looks at."""
PACKAGES: Final = ("numpy", "scikit-learn", "matplotlib")
NOTE: Final = (
    f"Figures in brackets are 95 % intervals: {RESAMPLES:,} times as many sites as there are were drawn with replacement (seed 0), because "
    "paragraphs of one site are alike. Where all sites agree the interval is Wilson's over sites, where there is one site only over its paragraphs. "
    "With five or ten sites such an interval holds the truth 18 times in 20 instead of 19, with three 15 times. Differences are of pairs: "
    "both models saw the same draws."
)


@dataclass(frozen=True)
class Part:
    """A part of the page under a heading of its own."""

    name: str
    title: str
    html: str


def to_html(models: Sequence[Measured], table: Table, digests: Mapping[str, str], threshold: str | float, most: int, command: str) -> str:
    """The report as a page.

    Parameters
    ----------
    models : sequence of Measured
        What `training.measured.measure` gives.
    table : Table
    digests : mapping of str to str
        SHA-256 of the measured files, by name.
    threshold : str or float
        As it was given.
    most : int
        Examples of each error.
    command : str
        Makes the report again.
    """
    first = models[0].figures
    parts = [
        Part("figures", "Figures", "".join(_table(section) for section in sections(models, table)) + f"<p>{escape(NOTE)}</p>"),
        Part("plots", "Plots", f'<div class="plots">{"".join(_figure(plot) for plot in plots(models, table))}</div>'),
        Part("sites", "Worst sites", "".join(_table(_worst_sites(model)) for model in models)),
        Part("examples", "What goes wrong", "".join(_wrong(model, table, most) for model in models)),
        Part("flips", "What flipped", "".join(_flipped(models[0], other, table, most) for other in models[1:])),
        Part("models", "Models and files", _files(models, digests)),
        Part("again", "How it was made", _made(models, threshold, command)),
    ]
    parts = [part for part in parts if part.html]
    counts = (
        f"{first['documents']:,} documents of {len(first['by_site']):,} sites: {first['boilerplate']:,} consent paragraphs, "
        f"{first['article']:,} article paragraphs ({first['hard']:,} of them hard), {first['other']:,} others (menus and the like)."
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        title=f"Evaluation of {_text(' and '.join(model.name for model in models))}",
        counts=counts,
        warnings="".join(_warning(model) for model in models if model.fitted_on),
        contents="".join(f'<li><a href="#{part.name}">{part.title}</a></li>' for part in parts),
        main="\n".join(f'<section aria-labelledby="{p.name}"><h2 id="{p.name}">{p.title}</h2>\n{p.html}\n</section>' for p in parts),
    )


def _text(value: str) -> str:
    """A string as text of the page: escaped, and what HTML or UTF-8 can't hold as U+FFFD."""
    return escape(re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]", "\ufffd", value))


def _rows(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], kind: str = "figures") -> str:
    """A table of cells that are HTML already; the first cell of a row heads it, but in a table of examples, where it is the example."""
    heads = "".join(f'<th scope="col">{cell}</th>' if cell else "<td></td>" for cell in head)
    body = []
    for row in rows:
        start = f"<td>{row[0]}</td>" if kind == "examples" else f'<th scope="row">{row[0]}</th>'
        body.append(f"<tr>{start}{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>")
    made = "\n".join(body)
    hidden = ' class="unseen"' if kind == "examples" else ""  # its summary says the same
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table class="{kind}">'
        f"<caption{hidden}>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>\n{made}\n</tbody></table></div>\n"
    )


def _table(section: Section) -> str:
    return _rows(_text(section.title), [_text(cell) for cell in ("", *section.columns)], ([_text(cell) for cell in row] for row in section.rows))


def _figure(plot: Plot) -> str:
    named = f'<title id="{plot.name}-title">{_text(plot.title)}</title><desc id="{plot.name}-text">{_text(plot.text)}</desc>'
    svg = plot.svg.replace(">", f">{named}", 1)
    return f"<figure><h3>{_text(plot.title)}</h3>\n{svg}\n<figcaption>{_text(plot.text)}</figcaption></figure>\n"


def _warning(model: Measured) -> str:
    files = ", ".join(model.fitted_on)
    return f'<p class="warn"><strong>{_text(model.name)} was fitted on {_text(files)}</strong>: its figures are flattered.</p>'


def _worst_sites(model: Measured) -> Section:
    """Sites where most article text was lost, then those where most consent text was missed."""
    found = {
        name: (site["boilerplate"] - round((site["recall"] or 0) * site["boilerplate"]), site) for name, site in model.figures["by_site"].items()
    }
    worst = sorted(found.items(), key=lambda item: (-item[1][1]["false_removals"], -item[1][0], item[0]))[:WORST_SITES]
    rows = []
    for name, (n_missed, site) in worst:
        if n_missed or site["false_removals"]:
            n = site["boilerplate"]
            recall = with_interval(site["recall"], wilson(n - n_missed, n) if n else None)
            rows.append([name, f"{site['false_removals']:,} of {site['article']:,}", f"{n_missed:,} of {n:,}", recall])
    return Section(
        f"sites, {model.name}", ["article paragraphs lost", "consent paragraphs missed", "recall, Wilson's interval over paragraphs"], rows
    )


def _wrong(model: Measured, table: Table, most: int) -> str:
    html = f"<h3>{_text(model.name)}</h3>"
    for rows, title in ((lost(model, table), "article paragraphs lost"), (missed(model, table), "consent paragraphs missed")):
        html += _examples(rows, [model], table, most, f"{model.name}: {title}")
    return html


def _flipped(first: Measured, other: Measured, table: Table, most: int) -> str:
    html = f"<h3>From {_text(first.name)} to {_text(other.name)}</h3>"
    for name, rows in flips(first, other, table).items():
        ordered = sort_by_change(rows, first.probability, other.probability)
        html += _examples(ordered, [first, other], table, most, FLIPS[name])
    return html


def _examples(rows: Integers, models: Sequence[Measured], table: Table, most: int, title: str) -> str:
    shown = examples(rows, models, table, most)
    n = sum(example.copies for example in shown)
    caption = f"{_text(title)}: {len(rows):,}" + (f", {n:,} of them shown" if n < len(rows) else "")
    if not shown:
        return f"<p>{caption}</p>"
    head = [
        "paragraph between its neighbours",
        *(_text(f"{model.name}: probability" if len(models) > 1 else "probability") for model in models),
        "kind",
        "language",
        "site",
    ]
    body = _rows(caption, head, (_example(example) for example in shown), "examples")
    return f"<details open><summary>{caption}</summary>\n{body}</details>\n"


def _example(example: Example) -> list[str]:
    """Cells of an example; a screen reader hears which line is which, and directions of writing stay within a line."""
    spoken = f' lang="{example.lang}"' if re.fullmatch("[a-z]{2,3}(-[a-z0-9]{2,8})*", example.lang, re.IGNORECASE) else ""

    def line(kind: str, said: str, text: str) -> str:
        return f'<span class="{kind}"><span class="unseen">{said}: </span><bdi{spoken}>{_text(text)}</bdi></span>' if text.strip() else ""

    copies = f" <small>{example.copies:,} times</small>" if example.copies > 1 else ""
    before, after = line("neighbour", "before", example.before), line("neighbour", "after", example.after)
    text = f"{before}{line('paragraph', 'paragraph', example.text)}{copies}{after}"
    return [text, *(f"{p:.4f}" for p in example.probabilities), *(_text(value) for value in (example.kind or "-", example.lang, example.site))]


def _files(models: Sequence[Measured], digests: Mapping[str, str]) -> str:
    html = _rows("measured files", ["file", "SHA-256"], ([_text(name), f"<code>{value}</code>"] for name, value in digests.items()))
    html += _rows("models", ["name", "file", "SHA-256"], ([_text(m.name), _text(m.path.name), f"<code>{m.sha256}</code>"] for m in models))
    return html + "".join(_card(model.name, model.detector.model.card, model.detector.model.thresholds) for model in models)


def _card(name: str, card: Mapping[str, Any], thresholds: Mapping[str, float]) -> str:
    """What a model's card says of how it was made; its own figures are in the card beside the model."""
    facts = {**{f"threshold {key}": f"{value:.6f}" for key, value in thresholds.items()}, **card.get("settings", {}), **card.get("versions", {})}
    sources = card.get("sources", [])
    rows = [[_text(s["name"]), *(f"{s[key]:,}" for key in ("documents", "paragraphs", "boilerplate"))] for s in sources]
    files = [[_text(file), f"<code>{_text(value)}</code>"] for source in sources for file, value in source["sha256"].items()]
    made = f"<details><summary>Card of {_text(name)}</summary>\n"
    made += _rows("settings", ["setting", "value"], ([_text(str(key)), _text(str(value))] for key, value in facts.items()))
    if rows:
        made += _rows("fitted on", ["source", "documents", "paragraphs", "consent paragraphs"], rows)
        made += _rows("files that it was fitted on", ["file", "SHA-256"], files)
    return made + "</details>\n"


def _made(models: Sequence[Measured], threshold: str | float, command: str) -> str:
    facts = {"consent-text-detector": __version__, "python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
    facts |= {"threshold": str(threshold), "resamples": f"{RESAMPLES:,}", "seed": "0", "models": f"{len(models):,}"}
    return f"<pre>{_text(command)}</pre>\n" + _rows("settings", ["setting", "value"], ([key, _text(value)] for key, value in facts.items()))
