"""Filter a corpus: many files, in this process or in workers, safe against being stopped at any moment."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from itertools import groupby
from typing import IO, Any, Final, NamedTuple

from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor

from detector.corpus import CorpusError, Format, Unit, format_of, known_format, read_units
from detector.files import (
    BUFFER_BYTES,
    COMPRESSIONS,
    STANDARD,
    digest_of,
    extra,
    found,
    hidden,
    is_directory,
    make_directory,
    open_bytes,
    remove,
    remove_leftovers,
    size_of,
    written,
    written_bytes,
)
from detector.filtering import Detector
from detector.results import COUNTS, GZIP_LEVEL, Options, Result, filter_unit

ROW_GROUP_BYTES: Final = 64_000_000
"""A row group of a Parquet output ends where one of the input does, or at this size of its rows in memory."""
POOL_THREAD: Final = "_ExecutorManagerThread"
"""Class of the thread in which loky watches its workers."""
AHEAD: Final = 2
"""Units that wait for each worker."""


class Job(NamedTuple):
    """A file to filter and where to."""

    path: str
    output: str
    file_format: Format


@dataclass(frozen=True, slots=True)
class Run:
    """What a run is to do beside filtering.

    Attributes
    ----------
    options : Options
    settings : dict
        All that the output depends on beside the input: digest of the model, threshold, options. It is kept in each manifest.
    removed, errors, stats : str or None
        Files for what was taken out, what couldn't be read, and counts.
    workers : int
        Processes; 1 is this one.
    resume : bool
        Whether to skip outputs that are finished.
    """

    options: Options
    settings: dict[str, Any]
    removed: str | None = None
    errors: str | None = None
    stats: str | None = None
    workers: int = 1
    resume: bool = False


def jobs_of(inputs: Sequence[str], to: str, given: Format | None = None, output: str | None = None) -> list[Job]:
    """Find the files that the inputs stand for, and name an output for each; folders below an output directory are made.

    Parameters
    ----------
    inputs : sequence of str
        Files, directories, globs, remote addresses, or ``-``.
    to : str
        File or directory.
    given : str, optional
        Format of the inputs; by default it is told by their names.
    output : str, optional
        What `filter` writes (`detector.results.OUTPUTS`); None for commands that write lines of their own.

    Returns
    -------
    list of Job

    Raises
    ------
    CorpusError
        If there are none, or no place for several outputs, or one place for two, or if a format can't be written under an output's name.
    """
    files: list[tuple[str, str]] = []
    several = len(inputs) > 1
    for pattern in inputs:
        matches = found(pattern)
        if matches is None:
            files.append((pattern, "stdin" if pattern == STANDARD else pattern.replace(os.sep, "/").rpartition("/")[2]))
            continue
        several = True
        matches = [(path, name) for path, name in matches if given or known_format(path) or not is_directory(pattern)]
        if not matches:
            raise CorpusError(f"{pattern}: no file of a known name (.txt, .jsonl, .ndjson, .wet, .warc, .parquet; .gz or .zst may follow)")
        files += matches
    formats = [format_of(path, given) for path, _ in files]
    if not several and not (to != STANDARD and is_directory(to)):
        jobs = [Job(files[0][0], to, formats[0])]
    elif to == STANDARD and set(formats) <= {"jsonl", "wet"}:
        jobs = [Job(path, STANDARD, kind) for (path, _), kind in zip(files, formats, strict=True)]
    elif to == STANDARD or (known_format(to) and not is_directory(to)):
        raise CorpusError(f"{len(files)} inputs need a directory as output, got {to!r}; name one with -o")
    else:
        names = [_json_name(name) if kind == "wet" and output != "text" else name for (_, name), kind in zip(files, formats, strict=True)]
        jobs = [Job(path, f"{to.rstrip('/')}/{name}", kind) for (path, _), name, kind in zip(files, names, formats, strict=True)]
        for folder in dict.fromkeys(job.output.rpartition("/")[0] for job in jobs):
            make_directory(folder)
    _check_names(jobs)
    if output:
        _check_formats(jobs, output)
    return jobs


def _json_name(name: str) -> str:
    """Name of the JSONL file that is made of a WET file."""
    compression = next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), "")
    return name.removesuffix(compression) + ".jsonl" + compression


def _check_names(jobs: list[Job]) -> None:
    names = set()
    for job in jobs:
        if job.output != STANDARD and job.output in names:
            raise CorpusError(f"two inputs would be written to {job.output}; give them one by one")
        names.add(job.output)


def _check_formats(jobs: list[Job], output: str) -> None:
    for job in jobs:
        target = known_format(job.output)
        if job.file_format == "parquet" and (target != "parquet" or output == "dolma"):
            raise CorpusError(
                f"{job.path}: Parquet is written as Parquet, with --output text, spans or scores, got {job.output!r}, --output {output}"
            )
        if job.file_format != "parquet" and target == "parquet":
            raise CorpusError(f"{job.path}: {job.file_format} can't be written as Parquet, got {job.output!r}; give another name with -o")
        if target == "wet" and (output != "text" or job.file_format != "wet"):
            raise CorpusError(f"{job.path}: only filtered WET is written as WET, got {job.output!r}; give a name that ends in .jsonl with -o")


def filter_corpus(detector: Detector, jobs: Sequence[Job], run: Run) -> dict[str, int]:
    """Filter files.

    Parameters
    ----------
    detector : Detector
    jobs : sequence of Job
        They are read and written in this order.
    run : Run

    Returns
    -------
    dict of str to int
        Counts by the names of `detector.results.COUNTS`.

    Raises
    ------
    CorpusError
        If something can't be read or written, or if a document got lost.
    """
    with ExitStack() as stack:
        spool = stack.enter_context(tempfile.TemporaryDirectory()) if STANDARD in (run.removed, run.errors) else ""
        sides = {kind: _Side(target, spool) for kind, target in (("removed", run.removed), ("errors", run.errors)) if target}
        progress = stack.enter_context(_progress(jobs))
        tasks = stack.enter_context(closing(_tasks(jobs, run, sides)))
        results = stack.enter_context(closing(_results(detector, tasks, run, jobs)))
        counts_of = []
        for number, items in groupby(results, lambda item: item.number):
            counts_of.append(_write(jobs[number], items, run, sides, progress))
        for side in sides.values():
            side.join([job.output for job in jobs], keep=run.resume)
    counts = {name: sum(each[name] for each in counts_of) for name in COUNTS}
    if run.stats:
        remove_leftovers(run.stats)
        files = [{"input": job.path, "output": job.output, **each} for job, each in zip(jobs, counts_of, strict=True)]
        with written(run.stats) as out:
            out.write(json.dumps({**counts, "files": files}, indent=1, ensure_ascii=False) + "\n")
    return counts


class _Done(NamedTuple):
    """The end of a job, with size and digest of its input; counts are those of an earlier run, which finished it."""

    facts: dict[str, Any]
    counts: dict[str, int] | None = None


class _Item(NamedTuple):
    """What came of a unit of the job of that number, or the end of the job."""

    number: int
    unit: Unit | None
    result: Result | _Done


class _Side:
    """A file with rows of all outputs, such as what was removed; it is joined of a part for each output, so that a run can be resumed."""

    def __init__(self, target: str, spool: str) -> None:
        self.target = target
        self._base = f"{spool}/part" if target == STANDARD else target

    def part(self, output: str) -> str:
        return hidden(self._base, f"{hashlib.sha256(output.encode()).hexdigest()[:16]}.part")

    def join(self, outputs: list[str], *, keep: bool) -> None:
        parts = list(dict.fromkeys(map(self.part, outputs)))
        remove_leftovers(self.target)
        with _Bytes.opened(self.target) as out:
            for part in parts:
                with open_bytes(part) as file:
                    while data := file.read(BUFFER_BYTES):
                        out.write([gzip.compress(data, GZIP_LEVEL, mtime=0) if self.target.endswith(".gz") else data])
        if not keep:
            for part in parts:
                remove(part)


def _manifest(output: str) -> str:
    return hidden(output, "done.json")


def _settings(job: Job, run: Run) -> dict[str, Any]:
    return {**run.settings, **asdict(run.options), "format": job.file_format}


def _finished(job: Job, run: Run, sides: dict[str, _Side]) -> _Done | None:
    """What the manifest of an output says, if it was made of this input with these settings and is still there."""
    try:
        with open_bytes(_manifest(job.output)) as file:
            manifest = json.load(file)
        is_same = manifest["settings"] == _settings(job, run) and manifest["input"]["bytes"] == size_of(job.path)
        is_same = is_same and manifest["output_bytes"] == size_of(job.output)
        is_same = is_same and all(size_of(side.part(job.output)) is not None for side in sides.values())
        if is_same and manifest["input"]["sha256"] == digest_of(job.path):
            return _Done(manifest["input"], {name: int(manifest["counts"][name]) for name in COUNTS})
    except (OSError, ValueError, KeyError, TypeError):  # none, or not ours
        return None
    return None


def _tasks(jobs: Sequence[Job], run: Run, sides: dict[str, _Side]) -> Generator[tuple[int, Unit | _Done], None, None]:
    for number, job in enumerate(jobs):
        to_file = STANDARD not in (job.path, job.output)
        if run.resume and to_file and (done := _finished(job, run, sides)):
            yield number, done
            continue
        with closing(read_units(job.path, job.file_format, run.options.text_field)) as units:
            for unit in units:
                yield number, unit
        facts = {"bytes": size_of(job.path), "sha256": digest_of(job.path)} if to_file else {}
        yield number, _Done(facts)


def _results(detector: Detector, tasks: Iterable[tuple[int, Unit | _Done]], run: Run, jobs: Sequence[Job]) -> Generator[_Item, None, None]:
    """Filter units, in their order; in workers, a bounded number ahead."""

    def how(job: Job) -> dict[str, bool]:
        return {"warc": known_format(job.output) == "wet", "packed": job.output.endswith(".gz")}

    if run.workers == 1:
        for number, task in tasks:
            if isinstance(task, _Done):
                yield _Item(number, None, task)
            else:
                yield _Item(number, task, filter_unit(detector, task, run.options, **how(jobs[number])))
        return
    executor = _start_workers(detector, run.workers)
    waiting: deque[tuple[int, Unit | _Done, Any]] = deque()

    def first() -> _Item:
        number, task, future = waiting.popleft()
        return _Item(number, None, task) if isinstance(task, _Done) else _Item(number, task, future.result())

    try:
        for number, task in tasks:
            if isinstance(task, _Done):
                waiting.append((number, task, None))
            else:
                future = executor.submit(_work, task, run.options, how(jobs[number]))
                waiting.append((number, task._replace(rows=None), future))
            if len(waiting) > AHEAD * run.workers:
                yield first()
        while waiting:
            yield first()
    except BrokenProcessPool as error:
        raise CorpusError("a worker was stopped from outside, perhaps for want of memory; give fewer --workers") from error
    finally:
        complain = threading.excepthook
        if waiting:  # the run is being stopped: the pool's own thread would complain that its workers are gone
            threading.excepthook = lambda args: None if type(args.thread).__name__ == POOL_THREAD else complain(args)
        executor.shutdown(wait=True, kill_workers=bool(waiting))
        threading.excepthook = complain


def _start_workers(detector: Detector, workers: int) -> Any:
    """Start processes that ignore Ctrl-C from their first moment, as they inherit it; so does this one until they have started."""
    executor = ProcessPoolExecutor(workers, initializer=_start_worker, initargs=(detector,))
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        return executor
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        executor.submit(os.getpid)
    finally:
        signal.signal(signal.SIGINT, before)
    return executor


def _start_worker(detector: Detector) -> None:
    """Keep the detector; Ctrl-C is for the process that writes, which ends this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker.append(detector)


_worker: list[Detector] = []
"""The detector of a worker."""


def _work(unit: Unit, options: Options, how: dict[str, bool]) -> Result:
    return filter_unit(_worker[0], unit, options, **how)


def _write(job: Job, items: Iterator[_Item], run: Run, sides: dict[str, _Side], progress: _Progress) -> dict[str, int]:
    """Write what came of a job's units; the output appears after what belongs to it, and the manifest last."""
    counts = dict.fromkeys(COUNTS, 0)
    read = 0
    facts: dict[str, Any] = {}
    own_errors = f"{job.output}.errors.jsonl" if run.options.skip_errors and not run.errors else None
    targets = {kind: side.part(job.output) for kind, side in sides.items()} | ({"errors": own_errors} if own_errors else {})
    with ExitStack() as stack:
        out: _Bytes | _RowGroups | None = None
        others: dict[str, IO[bytes]] = {}
        for _, unit, result in items:
            if isinstance(result, _Done):
                if result.counts is not None:
                    progress.show(size_of(job.path) or 0, result.counts, ends=True)
                    return result.counts
                facts = result.facts
            if out is None:
                for path in (job.output, _manifest(job.output), *targets.values()):
                    remove_leftovers(path)
                out = stack.enter_context(_RowGroups.opened(job)) if job.file_format == "parquet" else stack.enter_context(_Bytes.opened(job.output))
                others = {kind: stack.enter_context(written_bytes(path)) for kind, path in targets.items()}
            if isinstance(result, Result) and unit:
                out.write(result.rows, ends_group=unit.ends_group)
                for kind, other in others.items():
                    other.write(getattr(result, kind))
                read += unit.documents
                counts = {name: counts[name] + result.counts[name] for name in COUNTS}
                progress.show(unit.stored, result.counts)
    if not read == counts["documents"] == counts["written"] + counts["dropped"] + counts["errors"]:
        raise CorpusError(f"{job.path}: {read} documents were read, but {counts}; this is a defect of consent-detector, don't use the output")
    if own_errors and not counts["errors"]:
        remove(own_errors)
    progress.show(size_of(job.path) or 0, {}, ends=True)
    if facts:
        with written(_manifest(job.output)) as manifest:
            json.dump({"input": facts, "settings": _settings(job, run), "output_bytes": size_of(job.output), "counts": counts}, manifest)
    return counts


class _Bytes:
    """An output of bytes; those for ``.gz`` come compressed."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._is_empty = True

    @classmethod
    @contextmanager
    def opened(cls, path: str) -> Iterator[_Bytes]:
        with written_bytes(path) as stored, ExitStack() as stack:
            packed = stored
            if path.endswith(".zst"):
                packed = stack.enter_context(extra("zstandard", f"{path}: .zst").ZstdCompressor().stream_writer(stored, closefd=False))
            out = cls(packed)
            yield out
            if path.endswith(".gz") and out._is_empty:
                stored.write(gzip.compress(b"", mtime=0))

    def write(self, rows: list[bytes], *, ends_group: bool = False) -> None:
        for row in rows:
            self._file.write(row)
            self._is_empty = False


class _RowGroups:
    """A Parquet output with the row groups and the compression of its input."""

    def __init__(self, stored: IO[bytes], job: Job) -> None:
        self._parquet = extra("pyarrow.parquet", f"{job.path}: Parquet")
        self._stored = stored
        with open_bytes(job.path) as file:
            facts = self._parquet.read_metadata(file)
        name = facts.row_group(0).column(0).compression if facts.num_row_groups else "SNAPPY"
        self._compression = {"UNCOMPRESSED": "NONE", "LZ4_RAW": "LZ4"}.get(name, name)
        self._writer: Any = None
        self._waiting: list[Any] = []

    @classmethod
    @contextmanager
    def opened(cls, job: Job) -> Iterator[_RowGroups]:
        with written_bytes(job.output) as stored:
            out = cls(stored, job)
            try:
                yield out
            finally:
                if out._writer:
                    out._writer.close()

    def write(self, rows: Any, *, ends_group: bool) -> None:
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._stored, rows.schema, compression=self._compression)
        self._waiting.append(rows)
        if ends_group or sum(waiting.nbytes for waiting in self._waiting) >= ROW_GROUP_BYTES:
            table = extra("pyarrow", "Parquet").Table.from_batches(self._waiting)
            self._waiting = []
            if table.num_rows:
                self._writer.write_table(table, table.num_rows)


class _Progress:
    """Progress over the stored bytes of all inputs, with documents a second and the share of characters removed; none if `bar` is None."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._before = 0
        self._counts = dict.fromkeys(COUNTS, 0)

    def show(self, stored: int, counts: dict[str, int], *, ends: bool = False) -> None:
        """Take note of the position in a file, and of counts of what has come since."""
        if self._bar is None:
            return
        for name, n in counts.items():
            self._counts[name] += n
        seconds = max(self._bar.format_dict["elapsed"], 1e-9)
        share = self._counts["characters"] / max(self._counts["characters_read"], 1)
        self._bar.set_postfix_str(f"{self._counts['documents'] / seconds:,.0f} documents/s, {share:.1%} removed", refresh=False)
        self._bar.update(max(stored - self._before, 0))
        self._before = 0 if ends else stored


@contextmanager
def _progress(jobs: Sequence[Job]) -> Iterator[_Progress]:
    """Show progress if standard error is a terminal and tqdm is installed."""
    if not sys.stderr.isatty() or not find_spec("tqdm"):
        yield _Progress(None)
        return
    total = sum(size_of(job.path) or 0 for job in jobs) or None
    with extra("tqdm", "progress").tqdm(total=total, unit="B", unit_scale=True, file=sys.stderr) as bar:
        yield _Progress(bar)
