"""The command ``consent-training evaluate``: measure a model, or set several side by side."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any, Final

from detector.cli import threshold_of
from detector.corpus import written
from detector.model import THRESHOLDS
from training import report
from training.card import evaluation_page
from training.dataset import DatasetError, digest, read_documents
from training.evaluate import summary
from training.fit import Table
from training.measured import SHIPPED_NAME, Measured, differences, flips, measure
from training.sections import sections

EXAMPLES: Final = 20
"""Examples of each kind of error that a report shows: about what one reads."""
LABELLED: Final = (".jsonl", ".jsonl.gz")


def add_command(commands: Any) -> None:
    """Add the subparser."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model on labelled documents, or compare several",
        description=run.__doc__,
        epilog="Try: consent-training evaluate held-out.jsonl --model shipped mine.joblib --report report.html",
    )
    # "*", so that the files may stand behind --model too: argparse then takes them for models, and run() sorts them out
    parser.add_argument("files", nargs="*", metavar="FILE", help="labelled documents (.jsonl, .jsonl.gz)")
    parser.add_argument(
        "--model",
        nargs="+",
        default=[SHIPPED_NAME],
        metavar="MODEL",
        help=f"model files; {SHIPPED_NAME!r} is the one that comes with the package (default). The others are held against the first",
    )
    parser.add_argument(
        "--threshold",
        type=threshold_of,
        default=THRESHOLDS[0],
        metavar="T",
        help="precision (default), balanced or recall, each model's own; or a probability from 0 to 1 for all",
    )
    parser.add_argument("--report", metavar="HTML", help="write a report with plots and examples, one file without scripts; needs the extra 'plots'")
    parser.add_argument("--examples", type=_count, default=EXAMPLES, metavar="N", help="at most so many of each error in it (default: %(default)s)")
    parser.add_argument("--card", metavar="MD", help="write the evaluation as Markdown, the tables that fit puts into a model's card")
    parser.add_argument("--json", action="store_true", help='all figures, by site too, as JSON; of several models {"models": {NAME: figures}, ...}')
    parser.set_defaults(run=run)


def _count(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r}, expected a whole number from 0")
    return int(value)


def run(args: argparse.Namespace) -> int:
    """Measure models on labelled documents.

    Average precision, recall at three shares of lost article paragraphs, and at the threshold what is found and lost, by kind, language, site,
    with 95 % intervals from a bootstrap over sites. Several models are measured on the same documents: a column for each, the differences from
    the first with intervals of a paired bootstrap, and how many paragraphs flipped each way.
    """
    files = [Path(file) for file in [*args.files, *(model for model in args.model if model.endswith(LABELLED))]]
    models = [model for model in args.model if not model.endswith(LABELLED)] or [SHIPPED_NAME]
    if not files:
        raise DatasetError(f"no labelled documents; give files whose names end in {' or '.join(LABELLED)}, or put them before --model")
    for output in filter(None, (args.report, args.card)):
        if not Path(output).resolve().parent.is_dir():
            raise DatasetError(f"{output}: its folder does not exist; make it first")
    if args.report:
        report.check_extra()
    digests = {str(file): digest(file) for file in files if file.is_file()}  # of what is none the reader says so
    table, measured = measure(models, read_documents(files), digests, args.threshold)
    for model in measured:
        for file in model.fitted_on:
            print(f"consent-training: {model.name} was fitted on {file}: its figures are flattered", file=sys.stderr)
    if args.json:
        print(json.dumps(as_json(measured, table)))
    elif len(measured) == 1:
        summary(measured[0].figures)
    else:
        print("\n\n".join("\n".join(section.lines()) for section in sections(measured, table)))
    if args.report:
        command = ["consent-training", "evaluate", *map(str, files), "--model", *models, "--threshold", str(args.threshold)]
        command += ["--examples", str(args.examples), "--report", args.report]
        with written(args.report) as out:
            out.write(report.to_html(measured, table, digests, args.threshold, args.examples, shlex.join(command)))
        print(f"wrote {args.report}", file=sys.stderr)
    if args.card:
        with written(args.card) as out:
            out.write(evaluation_page(measured, digests, args.threshold))
        print(f"wrote {args.card}", file=sys.stderr)
    return 0


def as_json(models: list[Measured], table: Table) -> dict[str, Any]:
    """Figures of one model as they are; of several, each by its name, with what differs from the first."""
    if len(models) == 1:
        return models[0].figures
    first, others = models[0], models[1:]
    return {
        "models": {model.name: model.figures for model in models},
        "against": first.name,
        "differences": {other.name: differences(first, other) for other in others},
        "flips": {other.name: {name: len(rows) for name, rows in flips(first, other, table).items()} for other in others},
    }
