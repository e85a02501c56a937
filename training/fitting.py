"""The command ``consent-training fit``: adapt a fitted model to new labels, or fit one from scratch."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from inspect import cleandoc
from pathlib import Path
from typing import Any, Final

from detector import Detector, ModelError
from detector.corpus import written
from detector.model import Model
from detector.persistence import SHIPPED, save_model
from training import retrain, sources
from training.adapt import REMEMBERED
from training.card import adapted_card, make_card, to_markdown
from training.compose import is_article
from training.dataset import DatasetError, LabelledDocument, check_splits, digest, read_documents
from training.evaluate import evaluate, out_of_fold_figures, summary, texts_alone
from training.fit import Progress, Settings, fit, with_card
from training.gate import outcomes, paragraph_outcomes
from training.joined import joined_table, out_of_fold_joined_figures
from training.places import CASES, DATA
from training.sources import Source

TUNED: Final[dict[str, tuple[type[int | float], str]]] = {
    "bits": (int, "binary logarithm of the number of buckets"),
    "C": (float, "inverse regularisation strength of the paragraph stage"),
    "hot_share": (float, "share of the buckets that count once in a paragraph, 0 to 1"),
    "context_c": (float, "inverse regularisation strength of the context stage"),
    "context_weight": (float, "weight of consent texts of composed documents in the context stage"),
    "article_weight": (float, "weight of their article texts there"),
    "sentence_weight": (float, "weight of the sentences of a text in the paragraph stage, beside the text itself"),
    "balance": (float, "least weight of a language's article texts, in multiples of its consent texts"),
    "passes": (int, "passes of the context stage"),
}
REFUSED: Final = ".refused"
"""Goes before the suffix of a model that was not let over a better one."""


def add_command(commands: Any) -> None:
    """Add ``fit`` to the command's subparsers."""
    parser = commands.add_parser(
        "fit",
        help="make a model of your labels, or one from scratch",
        description=cleandoc(str(run.__doc__)),
        epilog="Try: consent-training fit --labelled mine.jsonl -o mine.joblib",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--labelled", nargs="+", type=Path, default=[], metavar="FILE", help="your own labelled documents or paragraphs (.jsonl)")
    parser.add_argument("--held-out", nargs="+", type=Path, default=[], metavar="FILE", help="labelled documents of other sites to measure on")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL", help="model file; its card is written beside it as .md")
    parser.add_argument("--force", action="store_true", help="write over a model that does better on the labels and the gate, or over another file")
    parser.add_argument("--seed", type=int, default=0, help="of folds, composition and what is held out (default: 0)")
    parser.add_argument("--quiet", action="store_true", help="no progress")

    adapting = parser.add_argument_group("with --labelled: adapt a model")
    adapting.add_argument("--start", type=Path, metavar="MODEL", help="the model to adapt (default: the one that comes with the package)")
    adapting.add_argument("--base", action="store_true", help="keep what the model says of our documents too, and of --pages, --strings, --packages")
    adapting.add_argument("--weight", type=float, default=retrain.WEIGHT, metavar="X", help="of a new consent text (default: %(default)s)")
    adapting.add_argument(
        "--remembered", type=float, default=REMEMBERED, metavar="X", help="how fast the model holds on to its weights (default: %(default)s)"
    )

    scratch = parser.add_argument_group("from scratch")
    scratch.add_argument("--from-scratch", action="store_true", help="fit all stages anew on all sources, --labelled among them")
    scratch.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="with the authored source (default: the project's)")
    scratch.add_argument("--no-authored", action="store_true", help="leave the authored source out")
    scratch.add_argument("--pages", nargs="+", type=Path, default=[], metavar="FILE", help="labelled public pages (.jsonl, .jsonl.gz)")
    scratch.add_argument(
        "--strings", nargs="+", type=Path, default=[], metavar="FILE", help="labelled strings and prose of public projects (.jsonl, .jsonl.gz)"
    )
    scratch.add_argument(
        "--packages", nargs="+", type=Path, default=[], metavar="FILE", help="texts of packages, as 'sources fetch' writes them (.jsonl, .jsonl.gz)"
    )
    scratch.add_argument("--folds", type=int, default=Settings.folds, help="folds by site for the out-of-fold scores (default: %(default)s)")
    for name, (kind, text) in TUNED.items():
        default = getattr(Settings, name)
        scratch.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default, metavar="X", help=f"{text} (default: {default})")
    scratch.add_argument("--jobs", type=int, default=1, metavar="N", help="folds that are fitted at once (default: 1); the model is the same")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make a model, and write it with its card beside it.

    With --labelled, a fitted model is adapted in seconds: its words shift towards your labels, and stay where your labels say nothing. One in five of
    your sites (or --held-out) is measured before and after; so are the cases and documents of the quality gate; and what got worse is shown.
    --base takes our documents along, whose probabilities shall stay what they are.

    Without --labelled, or with --from-scratch, all stages are fitted on all sources: out-of-fold scores by site, context stage, calibration, three
    thresholds. That takes minutes.

    The same inputs and seed give the same bytes on one machine; on another processor the last digits of sums differ, and figures by .001 to .01.
    """
    if not args.output.resolve().parent.is_dir():
        raise DatasetError(f"{args.output}: its folder does not exist; make it first")
    if args.labelled and not args.from_scratch:
        return _adapt(args)
    return _from_scratch(args)


def _adapt(args: argparse.Namespace) -> int:
    changed = [name for name in ("folds", "jobs", *TUNED) if getattr(args, name) != getattr(Settings, name)]
    changed += ["no_authored"] * args.no_authored
    if changed:
        option = f"--{changed[0].replace('_', '-')}"
        raise DatasetError(f"{option} is for a fit from scratch; give --from-scratch too, or leave {option} away")
    say = Progress(args.quiet)
    start = args.start or SHIPPED
    model = Detector.load(start).model
    labelled = sources.labelled(args.labelled)
    held_out = read_documents(args.held_out)
    check_splits({"the labelled data": labelled.documents, "the held-out data": held_out})
    say(f"{len(labelled.documents):,} labelled documents, {sum(len(d.paragraphs) for d in labelled.documents):,} paragraphs")
    base = _base(args)
    texts = sorted({p.text for source in base for d in source.documents for p in d.paragraphs})
    if base:
        say(f"{len(texts):,} distinct texts of {', '.join(source.name for source in base)} keep their probability")
    settings = retrain.Settings(args.weight, args.remembered, args.seed)
    adapted, report = retrain.retrain(model, labelled.documents, settings, held_out=held_out, base=texts, gate=_gate())
    say("adapted and measured")
    print("\n".join(report.lines()))
    card = adapted_card(adapted, [labelled, *base], asdict(settings), (start.name, digest(start)), report.held_out)
    adapted = replace(adapted, card=card)
    return _write(adapted, card, args, held_out or labelled.documents)


def _gate() -> tuple[Path, Path] | None:
    """Folders of what the gate measures on, if they are at hand."""
    return (DATA, CASES) if (DATA / "validation").is_dir() and CASES.is_dir() else None


def _base(args: argparse.Namespace) -> list[Source]:
    found = _given(args)
    return [sources.authored(args.data, args.seed), *found] if args.base else found


def _given(args: argparse.Namespace) -> list[Source]:
    """Sources of public texts that were named."""
    found = [sources.strings(paths, name) for name, paths in (("strings", args.strings), ("packages", args.packages)) if paths]
    return found + ([sources.pages(args.pages)] if args.pages else [])


def _from_scratch(args: argparse.Namespace) -> int:
    if args.start or args.base:
        raise DatasetError(f"{'--start' if args.start else '--base'} is for adapting a model to --labelled, and a fit from scratch starts from none")
    given = _given(args)
    used = [source for source in given if not source.measured]
    if not args.no_authored:
        hosts = [document for source in used for document in source.documents if is_article(document)]
        used.append(sources.authored(args.data, args.seed, hosts))
    used += [source for source in given if source.measured]
    if args.labelled:
        used.append(sources.labelled(args.labelled))
    if not used:
        raise DatasetError("no training data; give --labelled or --pages, or leave --no-authored away")
    held_out: list[LabelledDocument] = read_documents(args.held_out)
    check_splits({"the training data": [d for source in used for d in source.documents], "the held-out data": held_out})
    settings = Settings(seed=args.seed, folds=args.folds, jobs=args.jobs, **{name: getattr(args, name) for name in TUNED})
    result = fit(used, settings, quiet=args.quiet)
    print("out of fold, by site:")
    summary(out_of_fold_figures(result))
    for line in texts_alone(result):
        print(line)
    print("out of fold, joined lines of real pages, and of documents that we composed:")
    joined_table(out_of_fold_joined_figures(result), languages=False)
    joined_table(out_of_fold_joined_figures(result, composed=True))
    measured = None
    if held_out:
        measured = evaluate(Detector(result.model), held_out)
        print("\nheld out:")
        summary(measured)
    card = make_card(result, used, settings, measured)
    return _write(with_card(result, card), card, args, held_out)


def _write(model: Model, card: dict[str, Any], args: argparse.Namespace, documents: Sequence[LabelledDocument]) -> int:
    """Write a model and its card; not over a better one, nor over what is no model, unless that is forced."""
    output: Path = args.output
    refused = None if args.force or not output.exists() else _why_not(model, output, documents)
    if refused:
        output = output.with_name(output.stem + REFUSED + output.suffix)
    save_model(model, output)
    with written(str(output.with_suffix(".md"))) as out:
        out.write(to_markdown(card))
    print(f"\nwrote {output} ({output.stat().st_size / 1e6:.2f} MB) and {output.with_suffix('.md')}")
    if refused:
        raise DatasetError(f"{args.output} was left as it is: {refused}; the new model is in {output}; --force writes over")
    return 0


def _why_not(model: Model, output: Path, documents: Sequence[LabelledDocument]) -> str:
    """Why a model may not be written over a file that exists; empty if it may."""
    try:
        detectors = Detector.load(output), Detector(model)
    except ModelError as error:
        return f"it is no model ({error})"
    gate = _gate()
    old, new = ([*paragraph_outcomes(d, documents), *(outcomes(d, *gate) if gate else [])] for d in detectors)
    if retrain.cost(new) <= retrain.cost(old):
        return ""
    lost, left = ([sum(not o.right and (o.label == label) for o in some) for some in (old, new)] for label in ("article", "boilerplate"))
    return (
        f"the model in it does better, with {lost[0]:,} article and {left[0]:,} consent paragraphs wrong "
        f"where the new one has {lost[1]:,} and {left[1]:,}"
    )
