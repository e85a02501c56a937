"""Filter a corpus: many files, in this process or in workers, safe against being stopped at any moment."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, field
from itertools import groupby
from multiprocessing import active_children
from typing import IO, Any, Final, NamedTuple

from joblib.externals.loky import BrokenProcessPool, ProcessPoolExecutor

from detector.corpus import CorpusError, Unit, from_file, in_file, json_line, read_units
from detector.files import (
    BUFFER_BYTES,
    STANDARD,
    digest_of,
    hidden,
    is_private,
    is_stream,
    open_bytes,
    packed,
    publish,
    remove,
    remove_leftovers,
    size_of,
    staged,
    state_of,
    written,
    written_bytes,
)
from detector.filtering import Detector
from detector.jobs import Job, check_no_input
from detector.locks import held
from detector.outputs import ParquetOutput, PlainOutput, Progress, showing
from detector.results import COUNTS, Options, Result, filter_unit

POOL_THREAD: Final = "_ExecutorManagerThread"
"""Class of the thread in which loky watches its workers."""
FEEDER_THREAD: Final = "QueueFeederThread"
"""Name of the thread through which loky sends them their tasks."""
FEEDER_SECONDS: Final = 2.0
"""So long it is waited for when a run is stopped. It ends as soon as the pipe to the workers is gone, unless something still holds that."""
AHEAD: Final = 2
"""Units that wait for each worker."""
FILES_AHEAD: Final = 32
"""Whole files that wait for each worker: many, since those behind a long one are to be gone through meanwhile."""
WATCH_SECONDS: Final = 0.1
"""So often a worker looks whether the process that it works for is still there, and this, while workers start, whether they are."""
STOPS: Final = [number for name in ("SIGINT", "SIGTERM", "SIGHUP") if (number := getattr(signal, name, None))]
"""Signals that ask to stop: Ctrl-C, a batch system, a terminal that is closed."""


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


def filter_corpus(detector: Detector, jobs: Sequence[Job], run: Run) -> dict[str, int]:
    """Filter files.

    Parameters
    ----------
    detector : Detector
    jobs : sequence of Job
        Their outputs appear in this order.
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
        plan = _Plan(run, sides, os.getpid())
        check_no_input(jobs, filter(None, [run.removed, run.errors, run.stats]))
        stack.enter_context(held(path for path in (*(job.output for job in jobs), run.removed, run.errors, run.stats) if path))
        stack.push(lambda error, *_: remove_leftovers(plan.paths(jobs)) if error else None)
        remove_leftovers(plan.paths(jobs))
        progress = stack.enter_context(showing(jobs))
        results = stack.enter_context(closing(_results(detector, jobs, plan)))
        counts_of = []
        for number, items in groupby(results, lambda item: item.number):
            done = _write(jobs[number], items, plan, progress)
            plan.publish(jobs[number], done)
            counts_of.append(done.counts)
        for side in sides.values():
            side.join(jobs, keep=run.resume)
    counts = {name: sum(each[name] for each in counts_of) for name in COUNTS}
    if run.stats:
        files = [{"input": job.path, "output": job.output, **each} for job, each in zip(jobs, counts_of, strict=True)]
        with written(run.stats) as out:
            out.write(json_line({**counts, "files": files}, indent=1) + "\n")
    return counts


class _Staged(NamedTuple):
    """A job whose output is complete and waits to be published. No facts (size and digest of its input): an earlier run has published it."""

    counts: dict[str, int]
    facts: dict[str, Any] | None


class _Item(NamedTuple):
    """What came of a unit of the job of that number, or of all of the job."""

    number: int
    unit: Unit | None
    result: Result | _Staged


class _Side:
    """A file with rows of all outputs, such as what was removed; it is joined of a part for each output, so that a run can be resumed."""

    def __init__(self, target: str, spool: str) -> None:
        self.target = target
        self._base = f"{spool}/part" if target == STANDARD else target

    def part(self, job: Job) -> str:
        name = job.path if job.output == STANDARD else job.output
        return hidden(self._base, f"{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part")

    def join(self, jobs: Iterable[Job], *, keep: bool) -> None:
        parts = list(dict.fromkeys(map(self.part, jobs)))
        with written_bytes(self.target) as out:
            is_empty = True
            for part in parts:
                with open_bytes(part) as file:
                    while data := file.read(BUFFER_BYTES):
                        out.write(packed(data, self.target))
                        is_empty = False
            if is_empty:
                out.write(packed(b"", self.target))
        if not keep:
            for part in parts:
                remove(part)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a run writes where, in whatever process: outputs are staged, and published by the process that owns them."""

    run: Run
    sides: dict[str, _Side]
    owner: int
    states: dict[Job, object] = field(default_factory=dict)
    """Of inputs, before they are read."""

    def targets(self, job: Job) -> dict[str, str]:
        """Files beside the output, by the kind of their rows."""
        own_errors = self._own_errors(job)
        return {kind: side.part(job) for kind, side in self.sides.items()} | ({"errors": own_errors} if own_errors else {})

    def paths(self, jobs: Iterable[Job]) -> Iterator[str]:
        """All that is written."""
        for job in jobs:
            yield from (job.output, self._manifest(job), *self.targets(job).values())
        yield from (side.target for side in self.sides.values())
        yield from filter(None, [self.run.stats])

    def _own_errors(self, job: Job) -> str | None:
        return f"{job.output}.errors.jsonl" if self.run.options.skip_errors and not self.run.errors else None

    def _manifest(self, job: Job) -> str:
        return hidden(job.output, "done.json")

    def _settings(self, job: Job) -> dict[str, Any]:
        return {**self.run.settings, **asdict(self.run.options), "format": job.file_format}

    def finished(self, job: Job) -> _Staged | None:
        """What the manifest of an output says, if it was made of this input with these settings and is still there."""
        if not self.run.resume or not _is_of_files(job):
            return None
        try:
            with open_bytes(self._manifest(job)) as file:
                manifest = json.load(file)
            is_same = manifest["settings"] == self._settings(job) and manifest["input"]["bytes"] == size_of(job.path)
            is_same = is_same and manifest["output_bytes"] == size_of(job.output)
            is_same = is_same and all(manifest["parts"][part] == size_of(part) for part in self._parts(job))
            if is_same and manifest["input"]["sha256"] == digest_of(job.path):
                return _Staged({name: int(manifest["counts"][name]) for name in COUNTS}, None)
        except (OSError, ValueError, KeyError, TypeError):  # none, or not ours
            return None
        return None

    def _parts(self, job: Job) -> list[str]:
        return [side.part(job) for side in self.sides.values()]

    def units(self, job: Job) -> Generator[Unit, None, None]:
        """Read a job's input."""
        self.states.setdefault(job, state_of(job.path))
        return read_units(job.path, job.file_format, self.run.options.text_field, self.run.options.max_document_bytes)

    def facts(self, job: Job) -> dict[str, Any]:
        """Size and digest of an input that has been read.

        Raises
        ------
        CorpusError
            If it isn't the same as before.
        """
        facts = {"bytes": size_of(job.path), "sha256": digest_of(job.path)} if _is_of_files(job) else {}
        if state_of(job.path) != self.states[job]:
            raise CorpusError(f"{job.path}: was changed while it was read; run again when nothing writes to it")
        return facts

    def publish(self, job: Job, done: _Staged) -> None:
        """Give a job's files their names: the output after what belongs to it, and the manifest last; that of an earlier output goes first."""
        if done.facts is None:
            return
        if _is_of_files(job):
            remove(self._manifest(job))
        for path in (*self.targets(job).values(), job.output):
            publish(path, self.owner)
        own_errors = self._own_errors(job)
        if own_errors and not done.counts["errors"]:
            remove(own_errors)
        if _is_of_files(job):
            parts = {part: size_of(part) for part in self._parts(job)}
            made = {"input": done.facts, "settings": self._settings(job), "output_bytes": size_of(job.output), "parts": parts, "counts": done.counts}
            with written(self._manifest(job)) as manifest:
                json.dump(made, manifest)


def _is_of_files(job: Job) -> bool:
    return not (is_stream(job.path) or is_stream(job.output))


def _tasks(jobs: Sequence[Job], plan: _Plan) -> Generator[tuple[int, Unit | Job | _Staged], None, None]:
    """Cut the work: files for a worker to read, filter and write as a whole, and units of the others.

    A file goes as a whole where that lets no worker wait for others at the end: none that is more than a worker's share of all, and of the last
    files none, once they don't suffice for all workers.
    """
    workers = plan.run.workers
    sizes = [size_of(job.path) or 0 for job in jobs] if workers > 1 else []
    share = sum(sizes) / workers
    n_whole = len(sizes) // workers * workers
    for number, job in enumerate(jobs):
        if number < n_whole and sizes[number] <= share and _is_of_files(job) and not (is_private(job.path) or is_private(job.output)):
            yield number, job
        elif done := plan.finished(job):
            yield number, done
        else:
            with closing(plan.units(job)) as units:
                for unit in units:
                    yield number, unit


def _filter_unit(detector: Detector, job: Job, unit: Unit, plan: _Plan) -> Result:
    return filter_unit(detector, unit, plan.run.options, job.output, list_removed="removed" in plan.sides)


def _filter_job(detector: Detector, job: Job, plan: _Plan) -> _Staged:
    """Filter a file as a whole."""
    if done := plan.finished(job):
        return done
    with closing(plan.units(job)) as units:
        return _write(job, (_Item(0, unit, _filter_unit(detector, job, unit, plan)) for unit in units), plan, Progress(None))


def _results(detector: Detector, jobs: Sequence[Job], plan: _Plan) -> Generator[_Item, None, None]:
    """Filter, in this process, or in workers with a bounded number of tasks ahead; results come in the order of the tasks."""
    tasks = _tasks(jobs, plan)
    if plan.run.workers == 1:
        with closing(tasks):
            for number, task in tasks:
                if isinstance(task, Unit):
                    yield _Item(number, task, _filter_unit(detector, jobs[number], task, plan))
                elif isinstance(task, _Staged):
                    yield _Item(number, None, task)
        return
    others = set(threading.enumerate())
    executor = ProcessPoolExecutor(plan.run.workers, initializer=_start_worker, initargs=(detector, plan))
    is_done = False
    waiting: deque[tuple[int, Unit | None, Any]] = deque()

    def first() -> _Item:
        number, unit, future = waiting.popleft()
        return _Item(number, unit, future if isinstance(future, _Staged) else future.result())

    try:
        _start(executor)
        with closing(tasks):
            for number, task in tasks:
                if isinstance(task, Unit):
                    sent, kept = _divided(task, plan.run.options.text_field)
                    waiting.append((number, kept, executor.submit(_work, jobs[number], sent)))
                else:
                    waiting.append((number, None, executor.submit(_work, task) if isinstance(task, Job) else task))
                while sum(unit is not None for _, unit, _ in waiting) > AHEAD * plan.run.workers or len(waiting) > FILES_AHEAD * plan.run.workers:
                    yield first()
        while waiting:
            yield first()
        is_done = True
    except BrokenProcessPool as error:
        raise CorpusError("a worker was stopped from outside, perhaps for want of memory; give fewer --workers") from error
    finally:
        complain = threading.excepthook
        if not is_done:  # the run is being stopped: the pool's own thread would complain that its workers are gone
            threading.excepthook = lambda args: None if type(args.thread).__name__ == POOL_THREAD else complain(args)
        with suppress(*([] if is_done else [RuntimeError])):  # it has no thread to wait for
            executor.shutdown(wait=True, kill_workers=not is_done)
        _join_feeders(others)
        threading.excepthook = complain


def _join_feeders(others: set[threading.Thread]) -> None:
    """Wait for the thread that sent tasks: loky doesn't, and what it holds is not cleaned up if Python ends at that moment."""
    for thread in threading.enumerate():
        if thread.name == FEEDER_THREAD and thread not in others:
            thread.join(FEEDER_SECONDS)


def _divided(unit: Unit, text_field: str) -> tuple[Unit, Unit]:
    """What a worker needs of a unit, and what is needed here to write it: the other columns of a Parquet file stay here."""
    if unit.file_format != "parquet":
        return in_file(unit), unit._replace(rows=None)
    names = [text_field, *(["id"] if unit.rows.schema.names.count("id") == 1 and text_field != "id" else [])]
    return unit._replace(rows=unit.rows.select(names)), unit


def _start(executor: Any) -> None:
    """Start the processes of a pool, without signals to stop, which are for this process: it ends the others. They wait until all have started."""
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        return
    if not hasattr(signal, "pthread_sigmask"):  # Windows: the processes inherit that they ignore Ctrl-C
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            executor.submit(os.getpid)
        finally:
            signal.signal(signal.SIGINT, before)
        return

    def check(*_: object) -> None:
        if _has_dead_child() and not had_dead_child:
            raise BrokenProcessPool

    had_dead_child = _has_dead_child()
    signals = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
    alarm = signal.signal(signal.SIGALRM, check)
    signal.setitimer(signal.ITIMER_REAL, WATCH_SECONDS, WATCH_SECONDS)  # joblib would wait for ever for a process that dies before it is ready
    try:
        executor.submit(os.getpid)
    except BaseException as error:
        for process in active_children():  # the pool doesn't watch them yet, and Python would wait for them when it ends
            if process.pid:
                os.kill(process.pid, signal.SIGKILL)
        if type(error) is RuntimeError:  # of threading
            raise CorpusError(f"no workers can be started ({error}); give fewer --workers") from error
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, alarm)
        signal.pthread_sigmask(signal.SIG_SETMASK, signals)


def _has_dead_child() -> bool:
    """Whether a process that this one has started has ended, and nobody has asked how."""
    try:
        return bool(os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT))
    except ChildProcessError:
        return False


def _start_worker(detector: Detector, plan: _Plan) -> None:
    """Keep what all tasks need; signals to stop are for the process that publishes, which ends this one."""
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
    _worker.append((detector, plan))
    if os.name == "posix":
        threading.Thread(target=_watch, args=(plan.owner,), daemon=True).start()


def _watch(owner: int) -> None:
    """End this worker when the process that publishes was killed: else it would wait for ever."""
    while os.getppid() == owner:
        time.sleep(WATCH_SECONDS)
    os._exit(1)


_worker: list[tuple[Detector, _Plan]] = []
"""What a worker keeps."""


def _work(job: Job, unit: Unit | None = None) -> Result | _Staged:
    """Filter a unit of a file, or all of it."""
    detector, plan = _worker[0]
    return _filter_unit(detector, job, from_file(unit), plan) if unit else _filter_job(detector, job, plan)


def _write(job: Job, items: Iterator[_Item], plan: _Plan, progress: Progress) -> _Staged:
    """Write what came of a job's units, under temporary names."""
    counts = dict.fromkeys(COUNTS, 0)
    n_rows = passed = 0
    with ExitStack() as stack:
        out: PlainOutput | ParquetOutput | None = None
        others: dict[str, IO[bytes]] = {}
        for _, unit, result in items:
            if isinstance(result, _Staged):
                progress.show(size_of(job.path) or 0, result.counts, ends=True)
                return result
            if out is None:
                others = {kind: stack.enter_context(staged(path, plan.owner)) for kind, path in plan.targets(job).items()}
                stored = stack.enter_context(staged(job.output, plan.owner))
                out = stack.enter_context(closing((ParquetOutput if job.file_format == "parquet" else PlainOutput)(stored, job, plan.run.options)))
            if unit:
                out.write(unit, result)
                for kind, other in others.items():
                    other.write(getattr(result, kind))
                n_rows += unit.n_rows
                passed += result.passed
                counts = {name: counts[name] + result.counts[name] for name in COUNTS}
                progress.show(unit.stored, result.counts)
    facts = plan.facts(job)
    if n_rows != passed + counts["documents"] or counts["documents"] != counts["written"] + counts["dropped"] + counts["errors"]:
        raise CorpusError(f"{job.path}: {n_rows} rows were read, {passed} without a document, but {counts}; this is a defect, don't use the output")
    progress.show(size_of(job.path) or 0, {}, ends=True)
    return _Staged(counts, facts)
