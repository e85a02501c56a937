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
from detector.explain import Explanation
from detector.filtering import Detector, FilteredDocument
from detector.model import LABELS, THRESHOLDS
from detector.paragraphs import Paragraph
from detector.persistence import ModelError

OUTPUTS = ("text", "spans", "scores", "dolma")
"""What `filter` writes."""
DOLMA_ATTRIBUTE = "consent__consent_text_v1__boilerplate"
"""Experiment, tagger and type of the spans, as dolma names attributes."""
DOUBTFUL = (0.01, 0.99)
RED, GREEN, GREY, PLAIN = "\033[31m", "\033[32m", "\033[90m", "\033[0m"
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
        "-o", "--to", dest="to", default=STANDARD, metavar="OUT", help="file, or a directory for several inputs; default - is standard output"
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
    filtering.add_argument(
        "--output",
        choices=OUTPUTS,
        default=OUTPUTS[0],
        help="what to write: the text without its consent text (default); or the document untouched, with the field consent_spans, "
        "[{start, end, probability}] in code points (spans), or line_quality, 1 less the probability of each line (scores); "
        "or only id and spans, as dolma's mixer reads attributes (dolma)",
    )
    filtering.add_argument("--removed", metavar="FILE", help="write what was taken out here, as JSONL with place, offsets and probability")
    filtering.add_argument(
        "--consent-only",
        choices=("keep", "drop"),
        default="keep",
        help="documents of nothing but consent text, or next to nothing, and privacy policies: keep them, with what is left (default), or drop them",
    )
    filtering.set_defaults(run=run_filter)

    explaining = commands.add_parser("explain", parents=[common], help="show why paragraphs are kept or removed", description=run_explain.__doc__)
    explaining.add_argument("--top", type=_count_of, default=8, metavar="N", help="n-grams to show of each paragraph (default: %(default)s)")
    explaining.add_argument(
        "--only",
        choices=("all", "removed", "doubtful"),
        default="all",
        help="which paragraphs: all (default), those removed, or those that a stranger might decide otherwise (probability .01 to .99)",
    )
    explaining.add_argument("--json", action="store_true", help="one JSON line for each document, of text files too")
    explaining.set_defaults(run=run_explain)

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


def _count_of(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r}, expected a number of n-grams, 0 or more")
    return int(value)


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
    if len(args.inputs) == 1 and not Path(args.to).is_dir():
        return [(args.inputs[0], args.to)]
    if args.to == STANDARD or not Path(args.to).is_dir():
        if args.to == STANDARD and all(format_of(path, args.format) == "jsonl" for path in args.inputs):
            return [(path, STANDARD) for path in args.inputs]
        raise CorpusError(f"{len(args.inputs)} inputs need a directory as output, got {args.to!r}; make one and give it with -o")
    pairs = [(path, str(Path(args.to) / ("stdin" if path == STANDARD else Path(path).name))) for path in args.inputs]
    names = [out for _, out in pairs]
    double = next((name for name in names if names.count(name) > 1), None)
    if double:
        raise CorpusError(f"two inputs would be written to {double}; give them one by one")
    return pairs


def run_filter(args: argparse.Namespace) -> int:
    """Write the documents without their consent text.

    All other fields of JSONL lines and the order of documents are kept; counts go to standard error. An output appears under its name only
    when it is complete. With --output spans or scores the text stays as it is, and each document is a JSON line with what was found.
    """
    if args.output == "dolma" and args.consent_only == "drop":
        raise CorpusError(
            "--output dolma writes one row for each document, in the same order, so that dolma can align them; leave --consent-only drop out"
        )
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
                    out.write(_written_line(args.output, record, document, args.text_field))
    print(
        f"{counts['documents']:,} documents read, {counts['written']:,} written, {counts['dropped']:,} dropped; "
        f"{counts['paragraphs']:,} paragraphs ({counts['characters']:,} characters) removed from {counts['filtered']:,} documents",
        file=sys.stderr,
    )
    return 0


def _count(counts: dict[str, int], document: FilteredDocument) -> None:
    counts["documents"] += 1
    if document.text is not document.original:
        counts["filtered"] += 1
        counts["paragraphs"] += len(document.removed)
        counts["characters"] += len(document.original) - len(document.text)


def _filtered_line(record: Record, document: FilteredDocument, text_field: str) -> str:
    if record.fields is None:
        return document.text
    if document.text is document.original:
        return record.line + "\n"
    return json_line({**record.fields, text_field: document.text}) + "\n"


def _written_line(output: str, record: Record, document: FilteredDocument, text_field: str) -> str:
    if output == "text":
        return _filtered_line(record, document, text_field)
    fields = {text_field: record.text} if record.fields is None else record.fields
    if output == "dolma":
        if "id" not in fields:
            raise CorpusError(f"{record.place}: no field 'id', which dolma aligns attributes by; add one, or use --output spans")
        spans = [[p.start, p.end, round(p.probability, 6)] for p in document.removed]
        return json_line({"id": fields["id"], "attributes": {DOLMA_ATTRIBUTE: spans}}) + "\n"
    if output == "scores":
        return json_line({**fields, "line_quality": line_qualities(document)}) + "\n"
    spans_found = [{"start": p.start, "end": p.end, "probability": round(p.probability, 6)} for p in document.removed]
    return json_line({**fields, "consent_spans": spans_found}) + "\n"


def line_qualities(document: FilteredDocument) -> list[float]:
    r"""1 less the probability of each line, those of nothing but white space 1; for a line that was cut, the mean by characters.

    Parallel to ``document.original.split("\n")``.
    """
    bad = [0.0]
    size = [0]
    for p in document.paragraphs:
        first, *others = p.text.split("\n")
        bad[-1] += p.probability * len(first)
        size[-1] += len(first)
        bad += [0.0] * len(others)  # blank lines that follow, and what comes after the last line end
        size += [0] * len(others)
    return [round(1.0 - b / max(n, 1), 6) for b, n in zip(bad, size, strict=True)]


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
    return json_line(
        {
            **identity,
            "verdict": document.verdict,
            "share_removed": round(document.share_removed, 6),
            "paragraphs": _paragraph_fields(document, only_removed=False),
        }
    )


def run_explain(args: argparse.Namespace) -> int:
    """Show where the probability of each paragraph comes from.

    Its log-odds are a sum: of its n-grams (those with the largest part are shown; above 0 speaks for consent text), of the bias of the model, of what
    the paragraph is alone (its length, calibration), and of its neighbours.
    """
    detector = Detector.load(args.model, threshold=args.threshold)
    for path, output in _outputs(args):
        file_format = format_of(path, args.format)
        colour = output == STANDARD and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        with written(output) as out:
            for record in read_records(path, file_format, args.text_field):
                found = [e for e in detector.explain(record.text) if _is_shown(e, args.only)]
                if args.json or file_format == "jsonl":
                    identity = {"place": record.place, **({"id": record.fields["id"]} if record.fields and "id" in record.fields else {})}
                    out.write(json_line({**identity, "paragraphs": [e.as_dict(args.top) for e in found]}) + "\n")
                else:
                    out.writelines(line + "\n" for e in found for line in _explained(e, args.top, colour=colour))
    return 0


def _is_shown(explanation: Explanation, only: str) -> bool:
    p = explanation.paragraph
    return only == "all" or (p.label == LABELS[1] if only == "removed" else DOUBTFUL[0] <= p.probability <= DOUBTFUL[1])


def _explained(explanation: Explanation, top: int, *, colour: bool) -> Iterator[str]:
    """Readable lines of an explanation."""

    def painted(value: float, text: str) -> str:
        return f"{(RED if value > 0 else GREEN)}{text}{PLAIN}" if colour else text

    p = explanation.paragraph
    grey, plain = (GREY, PLAIN) if colour else ("", "")
    yield painted(1 if p.label == LABELS[1] else -1, f"{_mark(p)} {p.probability:6.4f}") + f"  {p.text.rstrip()}"
    parts = {"n-grams": sum(n.contribution for n in explanation.ngrams), "bias": explanation.bias, "alone": explanation.alone}
    parts["neighbours"] = explanation.neighbours
    yield f"    {grey}log-odds {explanation.log_odds:+.2f} = " + " ".join(f"{value:+.2f} {name}" for name, value in parts.items()) + plain
    for n in explanation.ngrams[:top]:
        times = f" x{n.count}" if n.count > 1 else ""
        yield f"    {painted(n.contribution, f'{n.contribution:+.2f}')}  {n.text} {grey}({n.kind}{times}){plain}"


def _mark(paragraph: Paragraph) -> str:
    return "remove" if paragraph.label == LABELS[1] else "keep  "


def _table(document: FilteredDocument) -> Iterator[str]:
    for p in document.paragraphs:
        if p.text.strip():
            yield f"{_mark(p)} {p.probability:6.4f}  {p.text.rstrip()}"
    yield f"verdict: {document.verdict}, {document.share_removed:.0%} of the characters removed"


if __name__ == "__main__":
    sys.exit(main())
