"""The command ``consent-training suggest``: which paragraphs of an unlabelled corpus would teach a model most.

The score of a paragraph is ``u * log2(1 + d)``: u says how uncertain the model is, by the slope of a logistic curve of its distance to the threshold
in log-odds, 1 at the threshold and .1 at 3.6 (`training.survey`); d is the number of documents that have it, digits aside, in which it is near the
threshold, and u the mean over these. Paragraphs are then picked one by one, each time the one of largest ``score * (1 - s) / sqrt(1 + k)``: s is its
cosine similarity, by TF-IDF of the model's n-grams, to the nearest that was picked, and k the number that were picked of its site.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heapreplace
from inspect import cleandoc
from math import sqrt
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from sklearn.preprocessing import normalize

from detector import Detector
from detector.cli import threshold_of
from detector.corpus import FORMATS, CorpusError, Format, format_of, known_format, read_records, written
from detector.files import STANDARD, found, is_directory, name_of
from detector.model import THRESHOLDS
from training.dataset import DatasetError
from training.fit import Progress
from training.pipeline import count_ngrams
from training.survey import Survey, UncertainDocument
from training.tasks import HINTS, WRITERS, Candidate

SHORTLIST: Final = 10
LEAST_SHORTLIST: Final = 2000
"""So many candidates of best score for each paragraph to pick, and at least so many, are compared with each other."""
KEPT_DOCUMENTS: Final = 5
"""So many documents are kept for each one to pick, and twice as many held."""
LEAST_GAIN: Final = 1e-6
"""What teaches less is what was picked already."""
OFTEN: Final = 10_000
"""Documents after which progress is told."""
JITTER: Final = 0.05
"""Scores are moved by up to this share, so that another seed picks others among equals."""


def add_command(commands: Any) -> None:
    """Add the command to those of ``consent-training``."""
    suggesting = commands.add_parser(
        "suggest",
        help="pick the paragraphs of unlabelled documents whose labels would teach most",
        description=cleandoc(str(run.__doc__)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Try: consent-training suggest pages.jsonl -n 100 -o tasks.jsonl   then correct the labels, and:\n"
        "consent-training fit --labelled tasks.jsonl -o mine.joblib\n"
        "or, with a tool: consent-training suggest pages.jsonl --format doccano -o tasks.jsonl   then: consent-training import export.jsonl ...",
    )
    suggesting.add_argument(
        "inputs", nargs="+", metavar="IN", help="text file (one document), .jsonl, .parquet, WET, also .gz or .zst; a glob or a directory; - is stdin"
    )
    suggesting.add_argument("-o", "--output", default=STANDARD, metavar="OUT", help="default - is standard output")
    how_many = suggesting.add_mutually_exclusive_group()
    how_many.add_argument("-n", "--paragraphs", type=_count, default=200, metavar="N", help="how many to pick (default: %(default)s)")
    how_many.add_argument(
        "--documents", type=_count, metavar="N", help="pick whole documents instead, and write them as they came, for consent-detector review"
    )
    suggesting.add_argument(
        "--format",
        choices=WRITERS,
        help="labelled (default): documents as fit reads them, with the model's label to correct; or tasks for one of the tools",
    )
    suggesting.add_argument("--context", type=_count, default=3, metavar="N", help="neighbours to show on each side (default: %(default)s)")
    suggesting.add_argument("--input-format", choices=FORMATS, help="default by the names of the inputs, text for -")
    suggesting.add_argument("--text-field", default="text", metavar="NAME", help="field or column that holds the document (default: text)")
    suggesting.add_argument("--model", metavar="MODEL", help="default: the one that comes with the package")
    suggesting.add_argument(
        "--threshold", type=_threshold, default=THRESHOLDS[0], metavar="T", help="precision (default), balanced or recall, or 0 to 1"
    )
    suggesting.add_argument("--seed", type=int, default=0, help="picks others among equals (default: 0); the same seed picks the same")
    suggesting.add_argument("--quiet", action="store_true", help="no progress")
    suggesting.set_defaults(run=run)


def _count(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r}, expected a number, 1 or more")
    return int(value)


def _threshold(value: str) -> str | float:
    found = threshold_of(value)
    if found in (0.0, 1.0):  # no paragraph is near these
        raise argparse.ArgumentTypeError(f"{value!r}, expected {', '.join(THRESHOLDS)} or a number between 0 and 1")
    return found


def run(args: argparse.Namespace) -> int:
    """Pick the paragraphs of unlabelled documents whose labels would teach a model most.

    Those that the model is uncertain of, that many documents have (they are folded into one, digits aside), that differ from each other, and that
    are from different sites. With each come its neighbours, since "OK" means nothing alone. In the default format they are labelled documents
    with the model's label, which you correct; neighbours are "unsure", which training leaves out. For the tools see --format; what they export
    is read by consent-training import.
    """
    if args.documents and args.format:
        raise DatasetError("--documents writes documents as they came, so leave --format out")
    if args.format == "label-studio" and args.output.endswith(".jsonl"):
        raise DatasetError(f"{args.output}: Label Studio reads a JSON list by the name .json; give such a name with -o")
    say = Progress(args.quiet)
    detector = Detector.load(args.model, threshold=args.threshold)
    survey = Survey(detector, args.context, KEPT_DOCUMENTS * (args.documents or 0))
    for path in _files(args.inputs, args.input_format):
        for number, record in enumerate(read_records(path, format_of(path, args.input_format), args.text_field), 1):
            survey.add(record, args.text_field)
            if number % OFTEN == 0:
                say(f"{name_of(path)}: {number:,} documents")
        survey.finish()
        say(f"{name_of(path)}: read; {len(survey.candidates):,} candidates so far")
    lines: Iterable[str]
    if args.documents:
        documents = pick_documents(survey, args.documents)
        lines, n, what, hint = (line + "\n" for line in documents), len(documents), "documents", "label them with consent-detector review"
    else:
        chosen = pick(survey, args.paragraphs, detector, args.seed)
        form = args.format or "labelled"
        lines, n, what, hint = WRITERS[form](chosen), len(chosen), "paragraphs", HINTS[form]
    with written(args.output) as out:
        out.writelines(lines)
    print(
        f"{name_of(args.output)}: {n:,} {what} picked of {survey.n_documents:,} documents with {survey.n_paragraphs:,} paragraphs, "
        f"of which {survey.n_near:,} are near the threshold ({survey.n_long:,} of these too long to suggest)\n{hint}",
        file=sys.stderr,
    )
    return 0


def _files(inputs: Sequence[str], given: Format | None) -> list[str]:
    files: list[str] = []
    for pattern in inputs:
        matches = found(pattern)
        if matches is None:
            files.append(pattern)
            continue
        known = [path for path, _ in matches if given or known_format(path) or not is_directory(pattern)]
        if not known:
            raise CorpusError(f"{pattern}: no file of a known name (.txt, .jsonl, .ndjson, .wet, .warc, .parquet; .gz or .zst may follow)")
        files += known
    return files


def pick(survey: Survey, n: int, detector: Detector, seed: int = 0) -> list[Candidate]:
    """Pick candidates whose labels would teach most, the best first; the module says how."""
    ranked = sorted(survey.candidates.values(), key=lambda candidate: -survey.score(candidate))
    ranked = ranked[: max(SHORTLIST * n, LEAST_SHORTLIST)]
    if not ranked:
        return []
    score = np.array([survey.score(candidate) for candidate in ranked])
    score *= 1 + JITTER * np.random.default_rng(seed).random(len(score))
    _, site = np.unique([candidate.site for candidate in ranked], return_inverse=True)
    vectors = _vectors([candidate.text for candidate in ranked], detector)
    nearest = np.zeros(len(ranked))
    of_site = np.zeros(site.max() + 1)
    query = np.zeros(vectors.shape[1])
    picked: list[int] = []
    while len(picked) < min(n, len(ranked)):
        gain = score * (1 - nearest) / np.sqrt(1 + of_site[site])
        best = int(gain.argmax())
        if gain[best] <= LEAST_GAIN:
            break
        picked.append(best)
        of_site[site[best]] += 1
        row = vectors[best]
        query[row.indices] = row.data
        nearest = np.maximum(nearest, vectors @ query)
        nearest[best] = 1.0
        query[row.indices] = 0.0
    return [ranked[i] for i in picked]


def _vectors(texts: Sequence[str], detector: Detector) -> sp.csr_matrix:
    """TF-IDF of the n-grams of texts, of length 1, over the buckets that they have."""
    counts, _ = count_ngrams(texts, detector.model.bits)
    columns, counts.indices = np.unique(counts.indices, return_inverse=True)
    idf = detector.model.idf[columns].astype(np.float64)
    return normalize(sp.csr_matrix((counts.data * idf[counts.indices], counts.indices, counts.indptr), shape=(len(texts), len(columns))))


def pick_documents(survey: Survey, n: int) -> list[str]:
    """Pick documents, as lines of JSON, whose uncertain paragraphs would teach most, the best first.

    A document is worth the scores of its candidates, each divided by one more than the picked documents that have it, all by the root of one
    more than those of its site. That only falls while others are picked, so the best is found by computing anew only the first of a heap.
    """
    times: Counter[str] = Counter()
    of_site: Counter[str] = Counter()

    def gain(document: UncertainDocument) -> float:
        scores = [survey.score(survey.candidates[key]) / (1 + times[key]) for key in document.keys if key in survey.candidates]
        return sum(scores) / sqrt(1 + of_site[document.site])

    heap = [(-gain(document), i) for i, document in enumerate(survey.documents)]
    heapify(heap)
    picked: list[str] = []
    while heap and len(picked) < n:
        before, i = heap[0]
        document = survey.documents[i]
        now = -gain(document)
        if now > before:
            heapreplace(heap, (now, i))
            continue
        if now >= 0:
            break
        heappop(heap)
        picked.append(document.line)
        times.update(document.keys)
        of_site[document.site] += 1
    return picked
