"""The command ``consent-detector``: filter documents, or show the probability of each paragraph."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Any

from detector import __version__
from detector.corpus import FORMATS, STANDARD, CorpusError, Record, format_of, json_line, read_records, written
from detector.filtering import Detector, FilteredDocument
from detector.model import THRESHOLDS
from detector.persistence import ModelError

FAILED = 2
"""Exit code of a run that stopped on an error; nothing stands under an output's name then."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    args = parse_args(argv)
    try:
        return int(args.run(args))
    except (CorpusError, ModelError, OSError) as error:
        if isinstance(error, BrokenPipeError):  # the reader of our output has gone: nothing to say to anyone
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        print(f"consent-detector: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("consent-detector: stopped; nothing was written under an output's name", file=sys.stderr)
        return 130


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="consent-detector",
        description="Take consent text (cookie banners, preference centres, opt-out notices) out of plain-text documents and leave the article.",
        epilog="Try: consent-detector score page.txt   then: consent-detector filter pages.jsonl -o clean.jsonl --removed removed.jsonl",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "inputs", nargs="+", metavar="IN", help="text file (one document) or .jsonl (one document a line), also .gz; - is standard input"
    )
    common.add_argument(
        "-o", "--output", default=STANDARD, metavar="OUT", help="file, or a directory for several inputs; default - is standard output"
    )
    common.add_argument("--format", choices=FORMATS, help="of the inputs; default by their names, text for -")
    common.add_argument("--text-field", default="text", metavar="NAME", help="field of a JSONL line that holds the document (default: text)")
    common.add_argument("--model", metavar="FILE", help="model made by consent-training fit (default: the one that comes with the package)")
    common.add_argument(
        "--threshold",
        default=THRESHOLDS[0],
        type=_threshold,
        metavar="T",
        help="precision (default), balanced or recall: loses about 1 in 10,000, 1,000 or 100 article paragraphs; or a probability from 0 to 1",
    )

    filtering = commands.add_parser("filter", parents=[common], help="write the documents without their consent text", description=run_filter.__doc__)
    filtering.add_argument("--removed", metavar="FILE", help="write what was taken out here, as JSONL with place, offsets and probability")
    filtering.add_argument(
        "--consent-only",
        choices=("keep", "drop"),
        default="keep",
        help="documents of nothing but consent text: keep them, with what is left (default), or drop them",
    )
    filtering.set_defaults(run=run_filter)

    scoring = commands.add_parser(
        "score", parents=[common], help="show the probability of each paragraph, text untouched", description=run_score.__doc__
    )
    scoring.set_defaults(run=run_score)
    return parser.parse_args(argv)


def _threshold(value: str) -> str | float:
    if value in THRESHOLDS:
        return value
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{value!r}, expected {', '.join(THRESHOLDS)} or a number from 0 to 1")
    return number


def _filtered(detector: Detector, records: Iterator[Record]) -> Iterator[tuple[Record, FilteredDocument]]:
    """Pair each record with its filtered document; the stream reads ahead, so records wait in a queue."""
    waiting: deque[Record] = deque()

    def texts() -> Iterator[str]:
        for record in records:
            waiting.append(record)
            yield record.text

    for document in detector.filter_stream(texts()):
        yield waiting.popleft(), document


def _outputs(args: argparse.Namespace) -> list[tuple[str, str]]:
    """Input and output path pairs."""
    if len(args.inputs) == 1 and not Path(args.output).is_dir():
        return [(args.inputs[0], args.output)]
    if args.output == STANDARD or not Path(args.output).is_dir():
        if args.output == STANDARD and all(format_of(path, args.format) == "jsonl" for path in args.inputs):
            return [(path, STANDARD) for path in args.inputs]
        raise CorpusError(f"{len(args.inputs)} inputs need a directory as output, got {args.output!r}; make one and give it with -o")
    pairs = [(path, str(Path(args.output) / ("stdin" if path == STANDARD else Path(path).name))) for path in args.inputs]
    names = [out for _, out in pairs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise CorpusError(f"two inputs would be written to {double}; give them one by one")
    return pairs


def run_filter(args: argparse.Namespace) -> int:
    """Write the documents without their consent text.

    All other fields of JSONL lines and the order of documents are kept; counts go to standard error. An output appears under its name only
    when it is complete.
    """
    detector = Detector.load(args.model, threshold=args.threshold)
    counts = dict.fromkeys(("documents", "written", "dropped", "filtered", "paragraphs", "characters"), 0)
    with ExitStack() as stack:
        removed = stack.enter_context(written(args.removed)) if args.removed else None
        for path, output in _outputs(args):
            file_format = format_of(path, args.format)
            records = read_records(path, file_format, args.text_field)
            with written(output) as out:
                for record, document in _filtered(detector, records):
                    _count(counts, document)
                    if removed:
                        _write_removed(removed, record, document)
                    if document.verdict == "consent_only" and args.consent_only == "drop":
                        counts["dropped"] += 1
                        continue
                    counts["written"] += 1
                    out.write(_filtered_line(record, document, args.text_field))
    print(
        f"{counts['documents']:,} documents read, {counts['written']:,} written, {counts['dropped']:,} dropped; "
        f"{counts['paragraphs']:,} paragraphs ({counts['characters']:,} characters) removed from {counts['filtered']:,} documents",
        file=sys.stderr,
    )
    return 0


def _count(counts: dict[str, int], document: FilteredDocument) -> None:
    counts["documents"] += 1
    if document.verdict != "clean":
        counts["filtered"] += 1
        counts["paragraphs"] += len(document.removed)
        counts["characters"] += len(document.original) - len(document.text)


def _filtered_line(record: Record, document: FilteredDocument, text_field: str) -> str:
    if record.fields is None:
        return document.text
    if document.verdict == "clean":
        return record.line + "\n"
    return json_line({**record.fields, text_field: document.text}) + "\n"


def _paragraph_fields(document: FilteredDocument, *, only_removed: bool) -> list[dict[str, Any]]:
    return [
        {"start": p.start, "end": p.end, "probability": round(p.probability, 6), "label": p.label, "text": p.text}
        for p in (document.removed if only_removed else document.paragraphs)
    ]


def _write_removed(out: IO[str], record: Record, document: FilteredDocument) -> None:
    identity = {"place": record.place, **({"id": record.fields["id"]} if record.fields and "id" in record.fields else {})}
    for fields in _paragraph_fields(document, only_removed=True):
        del fields["label"]
        out.write(json_line({**identity, **fields}) + "\n")


def run_score(args: argparse.Namespace) -> int:
    """Show each paragraph with its probability and label, text untouched: a table for text files, one JSON line a document for JSONL."""
    detector = Detector.load(args.model, threshold=args.threshold)
    for path, output in _outputs(args):
        file_format = format_of(path, args.format)
        records = read_records(path, file_format, args.text_field)
        with written(output) as out:
            for record, document in _filtered(detector, records):
                lines = _table(document) if file_format == "text" else [_score_line(record, document)]
                out.writelines(chain.from_iterable((line, "\n") for line in lines))
    return 0


def _score_line(record: Record, document: FilteredDocument) -> str:
    identity = {"place": record.place, **({"id": record.fields["id"]} if record.fields and "id" in record.fields else {})}
    return json_line({**identity, "verdict": document.verdict, "paragraphs": _paragraph_fields(document, only_removed=False)})


def _table(document: FilteredDocument) -> Iterator[str]:
    for p in document.paragraphs:
        if p.text.strip():
            mark = "remove" if p.label == "boilerplate" else "keep  "
            yield f"{mark} {p.probability:6.4f}  {p.text.rstrip()}"
    yield f"verdict: {document.verdict}"


if __name__ == "__main__":
    sys.exit(main())
