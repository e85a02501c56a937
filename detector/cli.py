"""The command ``consent-detector``: filter documents, show the probability of each paragraph, or make a page to correct labels on."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final

from detector import __version__
from detector.corpus import FORMATS, MAX_DOCUMENT_BYTES, Record, json_line, known_format, read_records
from detector.explain import Explanation
from detector.files import STANDARD, CorpusError, digest_of, written
from detector.filtering import Detector, FilteredDocument
from detector.jobs import files_of, jobs_of
from detector.model import LABELS, THRESHOLDS
from detector.paragraphs import Paragraph, has_text
from detector.persistence import SHA256, SHIPPED, ModelError
from detector.results import OUTPUTS, Options
from detector.review import CARRIED, MOST_DOCUMENTS, most_doubtful, page_of
from detector.run import STOPS, Run, filter_corpus

DOUBTFUL = (0.01, 0.99)
RED, GREEN, GREY, PLAIN = "\033[31m", "\033[32m", "\033[90m", "\033[0m"
FAILED = 2
"""Exit code of a run that stopped on an error; what stands under an output's name is complete even then."""
BY_SIGNAL = 128
"""Exit code of a run that a signal has stopped, less the number of the signal, as shells have it."""
SIGPIPE = 13
ARROW_POOL: Final = ("ARROW_DEFAULT_MEMORY_POOL", "system")
"""What pyarrow allocates with, if the user doesn't say: its own pool keeps 35 MB more of a Parquet file of 27 MB row groups, in the same time."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    _fill_standard_places()
    args = parse_args(argv)
    os.environ.setdefault(*ARROW_POOL)
    try:
        with _stopped_cleanly():
            return int(args.run(args))
    except BrokenPipeError:  # the reader of our output has gone: nothing to say to anyone
        code = BY_SIGNAL + SIGPIPE
    except (CorpusError, ModelError, OSError) as error:
        code = _failed(str(error))
    except MemoryError:
        code = _failed("not enough memory; give fewer --workers, or smaller documents")
    except KeyboardInterrupt as stop:
        with suppress(OSError):
            print("consent-detector: stopped; outputs that stand under their names are complete", file=sys.stderr)
        code = BY_SIGNAL + (stop.args[0] if stop.args else signal.SIGINT)
    try:
        if sys.stdout:
            sys.stdout.flush()
    except OSError:  # Python would try again when it ends, and complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _failed(message: str) -> int:
    with suppress(OSError):  # the exit code says it too
        print(f"consent-detector: error: {message}", file=sys.stderr)
    return FAILED


def _fill_standard_places() -> None:
    """Put nothing in the places of standard input, output and error that were closed: else the next file opened gets what is meant for them."""
    for place in range(3):
        try:
            os.fstat(place)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - to the end


@contextmanager
def _stopped_cleanly() -> Iterator[None]:
    """Let a request to stop, such as a batch system's, do what Ctrl-C does: end the workers and remove what is not complete. One is enough."""

    def stop(number: int, _: object) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt(number)

    before = {}
    if threading.current_thread() is threading.main_thread():  # which alone gets signals
        before = {number: signal.getsignal(number) for number in STOPS}
        before = {number: now for number, now in before.items() if now in (signal.SIG_DFL, signal.default_int_handler)}  # not where nohup ignores it
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="consent-detector",
        description="Take consent text (cookie banners, preference centres, opt-out notices) out of plain-text documents and leave the article.",
        epilog="Try: consent-detector score page.txt   then: consent-detector filter pages.jsonl -o clean.jsonl --removed removed.jsonl",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    reading = argparse.ArgumentParser(add_help=False)
    reading.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="text file (one document), .jsonl (one document a line), .parquet or WET, also .gz or .zst; a glob, a directory or a remote address "
        "of such files; - is standard input",
    )
    reading.add_argument("--format", choices=FORMATS, help="of the inputs; default by their names, text for -")
    reading.add_argument("--text-field", default="text", metavar="NAME", help="field of a JSONL line that holds the document (default: text)")
    reading.add_argument(
        "--max-document-bytes",
        type=_bytes,
        default=MAX_DOCUMENT_BYTES,
        metavar="N",
        help="largest text file, JSON line or WARC record, unpacked; a larger one stops the run before it fills the memory, of which filtering takes "
        "10 to 60 times as much (default: %(default)s)",
    )
    reading.add_argument("--model", metavar="FILE", help="model made by consent-training fit (default: the one that comes with the package)")
    reading.add_argument(
        "--model-sha256",
        type=_digest,
        metavar="HEX",
        help="digest that the model must have, as sha256sum prints it; another file is refused, and what was digested is what is used",
    )
    reading.add_argument(
        "--threshold",
        default=THRESHOLDS[0],
        type=threshold_of,
        metavar="T",
        help="precision (default), balanced or recall: loses about 1 in 10,000, 1,000 or 100 article paragraphs; or a probability from 0 to 1",
    )

    common = argparse.ArgumentParser(add_help=False, parents=[reading])
    common.add_argument(
        "-o", "--to", dest="to", default=STANDARD, metavar="OUT", help="file, or a directory for several inputs; default - is standard output"
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
    filtering.add_argument("--stats", metavar="FILE", help="write counts here, of all files and of each, as JSON")
    filtering.add_argument(
        "--workers",
        type=_workers,
        default=1,
        metavar="N",
        help="processes that read, filter and write, whole files or parts of one (default: 1); the output is the same",
    )
    filtering.add_argument("--resume", action="store_true", help="skip outputs that an earlier run made of the same input with the same settings")
    filtering.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        default="stop",
        help="at a document that can't be read: stop (default), or write it to OUT.errors.jsonl and go on",
    )
    filtering.add_argument("--errors", metavar="FILE", help="one file for all such documents")
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

    reviewing = commands.add_parser(
        "review",
        parents=[reading],
        help="make a page on which you correct the labels, for retraining",
        description=run_review.__doc__,
        epilog="Try: consent-detector review pages.jsonl -o review.html   then, in the page, correct and download; then: consent-training fit "
        "--labelled review-labelled.jsonl -o mine.joblib",
    )
    reviewing.add_argument("-o", "--to", required=True, metavar="PAGE", help="one page of all inputs, such as review.html; - is standard output")
    reviewing.add_argument(
        "--limit",
        type=_documents,
        default=MOST_DOCUMENTS,
        metavar="N",
        help="documents on the page, the most doubtful of all that are read (default: %(default)s)",
    )
    reviewing.set_defaults(run=run_review)
    return parser.parse_args(argv)


def threshold_of(value: str) -> str | float:
    """A threshold as commands take it: its name, or a probability from 0 to 1."""
    if value in THRESHOLDS:
        return value
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0.0 <= number <= 1.0:
        raise argparse.ArgumentTypeError(f"{value!r}, expected {', '.join(THRESHOLDS)} or a number from 0 to 1")
    return number


def _digest(value: str) -> str:
    if not SHA256.fullmatch(value):
        raise argparse.ArgumentTypeError(f"{value!r}, expected 64 hexadecimal digits, as sha256sum FILE prints them")
    return value.lower()


def _workers(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r}, expected a number of processes, 1 or more")
    return int(value)


def _bytes(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r}, expected a number of bytes, 1 or more")
    return int(value)


def _count_of(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"{value!r}, expected a number of n-grams, 0 or more")
    return int(value)


def _documents(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r}, expected a number of documents, 1 or more")
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


def run_filter(args: argparse.Namespace) -> int:
    """Write the documents without their consent text.

    All other fields and columns and the order of documents are kept, of a JSON line byte for byte; counts go to standard error. An output appears
    under its name only when it is complete. With --output spans or scores the text stays as it is, and each document is a JSON line, or a row, with
    what was found.
    """
    if args.output == "dolma" and args.consent_only == "drop":
        raise CorpusError(
            "--output dolma writes one row for each document, in the same order, so that dolma can align them; leave --consent-only drop out"
        )
    options = Options(args.output, args.text_field, args.consent_only == "drop", args.on_error == "skip", args.max_document_bytes)
    detector = Detector.load(args.model, args.threshold, sha256=args.model_sha256)
    jobs = jobs_of(args.inputs, args.to, args.format, args.output)
    if options.skip_errors and not args.errors and any(job.output == STANDARD for job in jobs):
        raise CorpusError("--on-error skip with output to standard output needs a file for the errors; name one with --errors")
    settings = {"version": __version__, "model": args.model_sha256 or digest_of(str(args.model or SHIPPED)), "threshold": detector.threshold}
    run = Run(options, settings, args.removed, args.errors, args.stats, args.workers, args.resume)
    counts = filter_corpus(detector, jobs, run)
    errors = f", {counts['errors']:,} errors" if options.skip_errors else ""
    print(
        f"{counts['documents']:,} documents read, {counts['written']:,} written, {counts['dropped']:,} dropped{errors}; "
        f"{counts['paragraphs']:,} paragraphs ({counts['characters']:,} characters) removed from {counts['filtered']:,} documents",
        file=sys.stderr,
    )
    return 0


def _paragraph_fields(document: FilteredDocument) -> list[dict[str, Any]]:
    return [{"start": p.start, "end": p.end, "probability": round(p.probability, 6), "label": p.label, "text": p.text} for p in document.paragraphs]


def run_score(args: argparse.Namespace) -> int:
    """Show each paragraph with its probability and label, text untouched: a table for text files, one JSON line a document for JSONL."""
    detector = Detector.load(args.model, args.threshold, sha256=args.model_sha256)
    for path, output, file_format in jobs_of(args.inputs, args.to, args.format):
        records = read_records(path, file_format, args.text_field, args.max_document_bytes)
        with written(output) as out:
            for record, document in _filtered(detector, records):
                lines = _table(document) if file_format == "text" else [_score_line(record, document)]
                out.writelines(chain.from_iterable((line, "\n") for line in lines))
    return 0


def run_review(args: argparse.Namespace) -> int:
    """Make one HTML page of documents with what would be removed struck through, the doubtful ones first, to correct the labels on.

    It opens from disk in any browser, without network or server; what you change stays in the browser; ? shows its keys. Its download is labelled
    JSONL for consent-training fit --labelled: the documents that you marked as right or changed. A document is as doubtful as its paragraph whose
    probability is nearest to the threshold, in log-odds. The fields id, lang, source and site are carried along; give a site, for training never
    splits one.
    """
    if known_format(args.to):
        raise CorpusError(f"review writes an HTML page, got {args.to!r}; give it a name such as review.html with -o")
    detector = Detector.load(args.model, args.threshold, sha256=args.model_sha256)
    records = (
        record
        for path, kind in files_of(args.inputs, args.format)
        for record in read_records(path, kind, args.text_field, args.max_document_bytes, CARRIED)
    )
    documents, counts = most_doubtful(_filtered(detector, records), detector.threshold, args.limit)
    with written(args.to) as out:
        out.writelines(page_of(documents, detector.threshold, "review" if args.to == STANDARD else Path(args.to).name.partition(".")[0]))
    left = counts.with_text - counts.shown
    notes = [f"{left:,} less doubtful ones left out, --limit {args.limit:,}"] * bool(left)
    notes += [f"{counts.read - counts.with_text:,} without text"] * (counts.read > counts.with_text)
    aside = f" ({'; '.join(notes)})" if notes else ""
    print(
        f"{counts.read:,} documents read, {counts.shown:,} on the page{aside}; "
        f"{counts.removed:,} of their {counts.paragraphs:,} paragraphs would be removed",
        file=sys.stderr,
    )
    return 0


def _score_line(record: Record, document: FilteredDocument) -> str:
    return json_line(
        {
            **record.identity,
            "verdict": document.verdict,
            "share_removed": round(document.share_removed, 6),
            "paragraphs": _paragraph_fields(document),
        }
    )


def run_explain(args: argparse.Namespace) -> int:
    """Show where the probability of each paragraph comes from.

    Its log-odds are a sum: of its n-grams (those with the largest part are shown; above 0 speaks for consent text), of the bias of the model, of what
    the paragraph is alone (its length, calibration), and of its neighbours.
    """
    detector = Detector.load(args.model, args.threshold, sha256=args.model_sha256)
    for path, output, file_format in jobs_of(args.inputs, args.to, args.format):
        colour = output == STANDARD and bool(sys.stdout) and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        with written(output) as out:
            for record in read_records(path, file_format, args.text_field, args.max_document_bytes):
                found = [e for e in detector.explain(record.text) if _is_shown(e, args.only)]
                if args.json or file_format != "text":
                    out.write(json_line({**record.identity, "paragraphs": [e.as_dict(args.top) for e in found]}) + "\n")
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
        if has_text(p.text):
            yield f"{_mark(p)} {p.probability:6.4f}  {p.text.rstrip()}"
    yield f"verdict: {document.verdict}, {document.share_removed:.0%} of the characters removed"


if __name__ == "__main__":
    sys.exit(main())
