"""Measure speed: scoring beside what one would run instead, filtered corpora beside copied ones, memory, and single documents; all as ratios.

Figures of one machine and one moment say little, so whatever is compared runs in turn in each round, and the best round of each counts.
"""

from __future__ import annotations

import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from detector import Detector
from detector.corpus import format_of, read_records
from detector.files import extra
from training.dataset import DatasetError, LabelledDocument

PHRASES: Final = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
"""By which C4 leaves out lines (Raffel et al. 2020, section 2.2)."""
ENGLISH: Final = "English"
SCRIPTS: Final = {
    ENGLISH: ("en",),
    "Cyrillic": ("be", "bg", "kk", "mk", "ru", "sr", "uk"),
    "Greek": ("el",),
    "Japanese": ("ja",),
    "accented Latin": ("cs", "fr", "pl", "pt", "tr", "vi"),
}
PAGE_ARTICLES: Final = 8
CONSENT_EVERY: Final = 4
"""Documents of ours are short, and most hold consent text. Eight articles make a page of some 6 kB, and every fourth page gets consent text too."""
FITTED_PARAGRAPHS: Final = 60_000
"""The contenders are fitted on no more, which takes seconds; their speed doesn't depend on it."""
SHORT: Final = {
    "clean": "The harbour reopens on Monday, the council said.\nTwo ferries will run each day until October.\n",
    "with consent text": "The harbour reopens on Monday, the council said.\n\nWe use cookies to personalise content and ads.\nAccept all cookies\n",
}
CALLS: Final = 300
GROWTH: Final = 5
"""Memory is measured on an input and on one so many times as large."""
ROW_GROUP: Final = 4000

COPY_JSONL: Final = """
import io, sys, orjson, zstandard
with open(sys.argv[1], "rb") as file, open(sys.argv[2], "wb") as out, zstandard.ZstdCompressor().stream_writer(out) as packed:
    for line in io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file), 1 << 20):
        packed.write(orjson.dumps(orjson.loads(line)) + b"\\n")
"""
COPY_PARQUET: Final = """
import sys, pyarrow.parquet as parquet
file = parquet.ParquetFile(sys.argv[1])
with parquet.ParquetWriter(sys.argv[2], file.schema_arrow) as out:
    for group in range(file.num_row_groups):
        out.write_table(file.read_row_group(group))
"""
FILTER: Final = "import sys; from detector.cli import main; sys.exit(main(sys.argv[1:]))"
PEAK: Final = """
import re, resource, sys
from detector.cli import main
code = main(sys.argv[1:])
own = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
print(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Filter, and say the most memory that this process and the largest of its workers held, in kB. Linux's own counter for this process: what getrusage
says of it begins with the memory of the process that started it."""


def benchmark(
    composed: Sequence[LabelledDocument], given: Sequence[str] | None, gigabytes: float, rounds: int, tell: Callable[[str], None]
) -> dict[str, Any]:
    """Measure.

    Parameters
    ----------
    composed : sequence of LabelledDocument
        Documents of ours; the contenders are fitted on them.
    given : sequence of str, optional
        Documents to measure on; by default pages made of ours.
    gigabytes : float
        Text of the corpora, made by repetition.
    rounds : int
    tell : callable
        Gets what is going on.

    Returns
    -------
    dict
        Of each part the figures; ratios, but where a name ends in a unit.
    """
    texts = list(given) if given is not None else pages(composed)
    if not any(texts):
        raise DatasetError("there is no text to measure on")
    tell("scoring")
    figures: dict[str, Any] = {"on": _machine(texts), "scoring": scoring(composed, texts, rounds, tell), "scripts": scripts(composed, rounds)}
    tell("single documents")
    figures["single"] = single()
    with tempfile.TemporaryDirectory() as folder:
        tell("corpora")
        figures["corpora"] = corpora(texts, gigabytes, rounds, Path(folder))
        if Path("/proc/self/status").exists():
            tell("memory")
            figures["memory"] = memory(texts, gigabytes, Path(folder))
    return figures


def _machine(texts: Sequence[str]) -> dict[str, Any]:
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return {"python": platform.python_version(), "machine": platform.platform(), "documents": len(texts), "megabytes": size / 1e6}


def pages(documents: Sequence[LabelledDocument], languages: Sequence[str] | None = None) -> list[str]:
    """Pages as the web has them, made of documents of ours in the same language; all, or those in some languages."""
    rng = random.Random(0)
    made: list[str] = []
    for language in sorted({document.lang for document in documents if not languages or document.lang in languages}):
        of_language = [document for document in documents if document.lang == language]
        articles = [document for document in of_language if all(p.label != "boilerplate" for p in document.paragraphs)]
        consent = [document for document in of_language if any(p.label == "boilerplate" for p in document.paragraphs)]
        rng.shuffle(articles)
        for i in range(0, len(articles), PAGE_ARTICLES):
            parts = articles[i : i + PAGE_ARTICLES]
            if consent and not len(made) % CONSENT_EVERY:
                parts = [*parts, rng.choice(consent)]
            made.append("\n".join(p.text for part in parts for p in part.paragraphs))
    rng.shuffle(made)
    return made


def texts_of(paths: Sequence[str], text_field: str) -> list[str]:
    """Documents of files that ``consent-detector`` reads."""
    return [record.text for path in paths for record in read_records(path, format_of(path), text_field)]


def _best(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds of each, the best of some rounds in which all run in turn."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


def scoring(composed: Sequence[LabelledDocument], texts: Sequence[str], rounds: int, tell: Callable[[str], None]) -> dict[str, float]:
    """How many times as fast `Detector.filter_batch` is as others that decide on each paragraph, and its megabytes of UTF-8 a second."""
    paragraphs = [line for text in texts for line in text.split("\n")]
    labelled = [(p.text, p.label == "boilerplate") for document in composed for p in document.paragraphs]
    random.Random(0).shuffle(labelled)
    fitted_on, labels = map(list, zip(*labelled[:FITTED_PARAGRAPHS], strict=True))
    words = make_pipeline(TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True), LogisticRegression(C=10, max_iter=200))
    words.fit(fitted_on, labels)
    detector = Detector.load()
    detector.filter_batch(texts[:1])
    runs: dict[str, Callable[[], object]] = {
        "detector": lambda: detector.filter_batch(texts),
        "scikit-learn on word 1-2-grams": lambda: words.predict(paragraphs),
        "six phrases with in": lambda: [any(phrase in line for phrase in PHRASES) for line in map(str.lower, paragraphs)],
    }
    if find_spec("fasttext"):
        try:
            model = _fasttext(zip(fitted_on, labels, strict=True))
            runs["fastText with bigrams"] = lambda: [model.f.predict(f"{line}\n", 1, 0.0, "strict") for line in paragraphs]
        except RuntimeError as error:  # on our own documents its training meets a NaN
            tell(f"no figure for fastText, whose training failed ({error})")
    best = _best(runs, rounds)
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    ours = best.pop("detector")
    return {**{name: seconds / ours for name, seconds in best.items()}, "megabytes_per_second": size / ours / 1e6}


def _fasttext(labelled: Iterator[tuple[str, bool]]) -> Any:
    fasttext = __import__("fasttext")
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.writelines(f"__label__{label} {text.lower()}\n" for text, label in labelled)
        file.flush()
        return fasttext.train_supervised(file.name, wordNgrams=2, dim=16, epoch=2, bucket=1 << 18, thread=1, verbose=0)


def scripts(composed: Sequence[LabelledDocument], rounds: int) -> dict[str, float]:
    """Speed on pages of other scripts beside that on English ones, in bytes of UTF-8."""
    detector = Detector.load()
    of_script = {name: found for name, languages in SCRIPTS.items() if (found := pages(composed, languages))}
    best = _best({name: partial(detector.filter_batch, texts) for name, texts in of_script.items()}, rounds)
    speed = {name: sum(len(text.encode()) for text in of_script[name]) / seconds for name, seconds in best.items()}
    return {name: value / speed[ENGLISH] for name, value in speed.items() if name != ENGLISH and ENGLISH in speed}


def single() -> dict[str, float]:
    """Microseconds of one call on a short document, the median; and of loading the model and the first call."""
    start = time.perf_counter()
    detector = Detector.load()
    detector.filter(SHORT["clean"])
    figures = {"load_and_first_call_microseconds": (time.perf_counter() - start) * 1e6}
    for name, text in SHORT.items():
        seconds = []
        for _ in range(CALLS):
            start = time.perf_counter()
            detector.filter(text)
            seconds.append(time.perf_counter() - start)
        figures[f"{name}_microseconds"] = statistics.median(seconds) * 1e6
    return figures


def write_corpus(texts: Sequence[str], n_bytes: float, path: Path) -> None:
    """Repeat documents until they are so many bytes, as ``.jsonl.zst`` or ``.parquet``, with an identifier, an address and a number."""
    sizes = [len(text.encode("utf-8", "surrogatepass")) for text in texts]
    n_rows = max(1, round(n_bytes / (sum(sizes) / len(texts))))
    rows = ({"id": f"d{i}", "url": f"https://a.example/{i}", "n": i, "text": texts[i % len(texts)]} for i in range(n_rows))
    if path.suffix == ".parquet":
        arrow, parquet = extra("pyarrow", "Parquet"), extra("pyarrow.parquet", "Parquet")
        schema = arrow.schema({"id": arrow.string(), "url": arrow.string(), "n": arrow.int64(), "text": arrow.string()})
        with parquet.ParquetWriter(path, schema) as out:
            while group := list(islice(rows, ROW_GROUP)):
                out.write_table(arrow.Table.from_pylist(group, schema))
        return
    with path.open("wb") as file, extra("zstandard", ".zst").ZstdCompressor().stream_writer(file) as packed:
        for row in rows:
            packed.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def _run(code: str, *arguments: object) -> str:
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    if done.returncode:
        raise DatasetError(f"a part of the benchmark failed:\n{done.stderr}")
    return done.stdout


def corpora(texts: Sequence[str], gigabytes: float, rounds: int, folder: Path) -> dict[str, float]:
    """Time of the command beside that of a copy without filtering, and how many times as fast it is with two workers.

    A copy unpacks, parses, writes and packs as the command does, in one process. Beside two workers stand two commands at once that know nothing of
    each other: more than that this machine can't give now, and where they aren't about twice as fast as one, something else is running.
    """
    figures = {}
    for name, suffix, copy in (("JSONL.zst", "jsonl.zst", COPY_JSONL), ("Parquet", "parquet", COPY_PARQUET)):
        source = folder / f"in.{suffix}"
        write_corpus(texts, gigabytes * 1e9, source)
        out = [folder / f"out{i}.{suffix}" for i in (0, 1)]
        runs: dict[str, Callable[[], object]] = {
            "copy": partial(_run, copy, source, out[0]),
            "one": partial(_run, FILTER, "filter", source, "-o", out[0]),
            "two": partial(_run, FILTER, "filter", source, "-o", out[0], "--workers", 2),
        }
        if copy is COPY_JSONL:
            runs["at once"] = partial(_side_by_side, source, out)
        best = _best(runs, rounds)
        figures[f"{name}: filtered, in times of the copy"] = best["one"] / best["copy"]
        figures[f"{name}: two workers, in times of one's speed"] = best["one"] / best["two"]
        if "at once" in best:
            figures["two commands at once, in times of one's speed"] = 2 * best["one"] / best["at once"]
        for path in (source, *out):
            path.unlink(missing_ok=True)
    return figures


def _side_by_side(source: Path, out: Sequence[Path]) -> None:
    commands = [[sys.executable, "-c", FILTER, "filter", str(source), "-o", str(path)] for path in out]
    running = [subprocess.Popen(command, stderr=subprocess.DEVNULL) for command in commands]  # noqa: S603 - our own code
    if any([process.wait() for process in running]):  # noqa: C419 - all are to be waited for
        raise DatasetError("a part of the benchmark failed")


def memory(texts: Sequence[str], gigabytes: float, folder: Path) -> dict[str, float]:
    """Most memory of the command, in megabytes, on an input and on one that is five times as large.

    With workers it is that of the first process and as many times that of the largest worker: somewhat more than they ever held together.
    """
    figures = {}
    for suffix in ("jsonl.zst", "parquet"):
        for times, workers in ((1, 1), (GROWTH, 1), (GROWTH, 2)):
            source = folder / f"in.{suffix}"
            if workers == 1:
                write_corpus(texts, gigabytes * times * 1e9, source)
            own, of_worker = map(int, _run(PEAK, "filter", source, "-o", folder / f"out.{suffix}", "--workers", workers).split())
            figures[f"{suffix}, {gigabytes * times:g} GB, workers {workers}: megabytes"] = (own + (workers > 1) * workers * of_worker) / 1e3
        source.unlink()
    return figures


def table(figures: dict[str, Any]) -> Iterator[str]:
    """Figures as lines of text."""
    on = figures["on"]
    yield f"Python {on['python']}, {on['machine']}; {on['documents']:,} documents, {on['megabytes']:.1f} MB"
    titles = {
        "scoring": "scoring: Detector.filter_batch is so many times as fast as",
        "scripts": "scoring other scripts, in times of the speed on English (bytes of UTF-8)",
        "single": "one short document (median)",
        "corpora": "corpora: the command, from its start to its end",
        "memory": "most memory that all processes of the command held",
    }
    for part, title in titles.items():
        yield f"\n{title}"
        for name, value in figures.get(part, {"not measured here": float("nan")}).items():
            yield f"  {name.replace('_', ' '):58s} {value:10,.{0 if value >= 100 else 2}f}"
