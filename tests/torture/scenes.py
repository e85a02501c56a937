"""A run of the command in a folder of its own: what it may end with, and what must hold afterwards, whatever has happened to it."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from detector.corpus import format_of, read_records
from detector.locks import LOCK
from tests.test_run import BAD, contents, corpus

COMMAND = str(Path(sys.executable).parent / "consent-detector")
LIMIT = 120
"""Seconds after which a run counts as one that hangs."""
SIDES = ["--removed", "out/removed.jsonl", "--stats", "out/stats.json"]
SETTINGS: dict[str, list[str]] = {
    "small": SIDES,
    "long": SIDES,
    "cut": SIDES,
    "bad lines": ["--removed", "out/removed.jsonl.gz", "--errors", "out/errors.jsonl", "--on-error", "skip", "--consent-only", "drop"],
    "spans": ["--output", "spans", "--stats", "out/stats.json", "--on-error", "skip"],
}
OTHER = ["--threshold", "1"]
"""Other settings, which give another output: nothing is removed."""
PLACES = re.compile(r"\b(in|out|temporary)/|standard (input|output)|a worker|not enough memory|Too many open files")
"""What an error names."""
OF_OTHERS = re.compile(r"resource_tracker|^ *warnings\.warn\(|^<jemalloc>: ")
"""Warnings of joblib's process that counts semaphores, when it or the workers were killed, and of pyarrow for want of memory."""
CRASHES = (-11, -6)
"""How libraries in C end where they get no memory."""
DUMP = re.compile(r"^Fatal Python error: .*?^Extension modules: [^\n]*\n", re.DOTALL | re.MULTILINE)
"""What Python says of a worker that ends so; joblib turns that on."""
SIGNALLED = {-15: 15, -1: 1, -2: 2, 143: 15, 129: 1, 130: 2}


def make_input(folder: Path, settings: str) -> None:
    """Files of every format; some with lines that can't be read, or with one file that is cut into units."""
    corpus(folder, 400 if settings == "long" else 40)
    if settings == "cut":
        (folder / "long.jsonl").write_bytes((folder / "a.jsonl").read_bytes() * 300)
    if settings == "bad lines":
        (folder / "bad.jsonl").write_bytes("\n".join([*BAD, ""]).encode() + (folder / "a.jsonl").read_bytes())


class Ended(NamedTuple):
    """How a process ended."""

    code: int
    err: str


@dataclass
class Reference:
    """What an undisturbed run makes of an input."""

    source: Path
    outputs: dict[str, bytes]
    seconds: float


class References:
    """Undisturbed runs, made when they are first asked for; with one worker and with two, which must make the same."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[tuple[str, bool], Reference] = {}

    def get(self, settings: str, *, other: bool = False) -> Reference:
        """The undisturbed run with these settings, or with others beside them."""
        if (settings, other) not in self._made:
            scenes = [Scene(self._folder / f"{settings}-{other}-{workers}", settings, workers) for workers in (1, 2)]
            for scene in scenes:
                start = time.monotonic()
                ended = scene.finish(scene.start(*(OTHER if other else [])))
                seconds = time.monotonic() - start
                assert ended.code == 0, ended.err
            outputs = [contents(scene.out) for scene in scenes]
            assert outputs[0] == outputs[1]
            count_records(scenes[0])
            self._made[settings, other] = Reference(scenes[0].folder / "in", outputs[0], seconds)
        return self._made[settings, other]


def count_records(scene: Scene) -> None:
    """Read all outputs, and compare their documents with those that went in."""
    if "--consent-only" in SETTINGS[scene.settings]:
        return
    bad = len(BAD) if scene.settings == "bad lines" else 0
    n = [sum(1 for path in files(top) for _ in read_records(str(path), format_of(str(path)))) for top in (scene.folder / "in", scene.out / "clean")]
    assert n[0] - bad == n[1] > 0


def files(folder: Path) -> list[Path]:
    """All files below a folder that aren't hidden."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


@dataclass
class Scene:
    """A folder with `in`, `out` and what has gone wrong in it."""

    folder: Path
    settings: str
    workers: int
    references: References | None = None
    problems: list[str] = field(default_factory=list)
    at_end: list[Callable[[], object]] = field(default_factory=list)
    n_started: int = 0

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        if self.references:
            shutil.copytree(self.reference.source, self.folder / "in")
        else:
            make_input(self.folder / "in", self.settings)
        self.out.mkdir()

    @property
    def reference(self) -> Reference:
        """The undisturbed run."""
        assert self.references
        return self.references.get(self.settings)

    @property
    def out(self) -> Path:
        """Where all is written."""
        return self.folder / "out"

    @property
    def expected(self) -> dict[str, bytes]:
        """What an undisturbed run writes."""
        return self.reference.outputs

    def problem(self, what: str) -> None:
        """Take note of something that is not as promised."""
        self.problems.append(what)

    def command(self, *more: str, workers: int = 0) -> list[str]:
        """The command of this scene."""
        return [COMMAND, "filter", "in", "-o", "out/clean", *SETTINGS[self.settings], "--workers", str(workers or self.workers), *more]

    def start(self, *more: str, command: Sequence[str] = (), limits: str = "", **options: Any) -> subprocess.Popen[bytes]:
        """Start the command, or another, in a session of its own; `limits` are commands of a shell before it."""
        command = list(command) or self.command(*more)
        if limits:
            command = ["sh", "-c", f'{limits}; exec "$@"', "sh", *command]
        self.n_started += 1
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", **options.pop("env", {})}
        with (self.folder / f"err{self.n_started}").open("wb") as err:
            streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": err, **options}
            process: subprocess.Popen[bytes] = subprocess.Popen(command, cwd=self.folder, start_new_session=True, env=environment, **streams)
        process.number = self.n_started  # type: ignore[attr-defined]
        return process

    def finish(self, process: subprocess.Popen[bytes]) -> Ended:
        """Wait for the end of a process and of all that it has started."""
        try:
            code = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.problem(f"hangs: {members(process.pid)}")
            for member in members(process.pid):
                os.kill(member, 9)
            code = process.wait()
        err = (self.folder / f"err{process.number}").read_text(errors="replace")  # type: ignore[attr-defined]
        deadline = time.monotonic() + 20
        while left := members(process.pid):
            if time.monotonic() > deadline:
                self.problem(f"leaves processes: {[Path(f'/proc/{pid}/cmdline').read_bytes() for pid in left]}")
                break
            time.sleep(0.01)
        return Ended(code, err)

    def attempt(self, process: subprocess.Popen[bytes], codes: Sequence[int] = (0, 2), says: str = "", *, writes_all: bool = True) -> Ended:
        """Wait for a disturbed run: it must end with one of these codes and a message that goes with it; where it ends well, all is written."""
        ended = self.finish(process)
        err = DUMP.sub("", ended.err) if set(CRASHES) & set(codes) else ended.err
        lines = after_a_start([line for line in err.splitlines() if not OF_OTHERS.search(line)])
        is_fine = ended.code in codes
        if ended.code in (0, -9, *SIGNALLED) and lines and " documents read, " in lines[0]:  # a signal may come after the end
            del lines[0]
        if ended.code == 0:
            is_fine = is_fine and not lines
            for name in differing(contents(self.out), self.expected) if writes_all else ():
                self.problem(f"ended well, but {name} isn't what an undisturbed run writes")
        elif ended.code == 2:
            is_fine = is_fine and len(lines) == 1 and lines[0].startswith("consent-detector: error: ") and says in lines[0]
            is_fine = is_fine and bool(says or PLACES.search(lines[0]))
        elif ended.code in SIGNALLED:
            is_outside = ended.code < 0 and (
                not lines or (lines[-1] == "KeyboardInterrupt" and "in main" not in ended.err)
            )  # before it can be caught
            is_fine = is_fine and (is_outside or (len(lines) == 1 and lines[0].startswith("consent-detector: stopped; ")))
        elif "Fatal Python error: init_import_site" in ended.err:  # Ctrl-C while Python itself starts
            is_fine = -2 in codes
        elif ended.code not in (-9, 141, *CRASHES):
            is_fine = False
        else:  # a C library that gets no memory may crash after the error was said
            is_fine = is_fine and (not lines or (ended.code in CRASHES and len(lines) == 1 and lines[0].startswith("consent-detector: error: ")))
        if not is_fine:
            self.problem(f"ends with {ended.code}, expected {codes} {says!r}:\n{ended.err}")
        return ended

    def check_names(self, *others: dict[str, bytes]) -> None:
        """What stands under a name is whole: it is what an undisturbed run writes. A manifest goes with its output."""
        for name, raw in contents(self.out).items():
            if raw not in [each.get(name) for each in (self.expected, *others)]:
                self.problem(f"{name} stands under its name, but is not what an undisturbed run writes ({len(raw)} bytes)")
        for manifest in self.out.rglob(".*.done.json"):
            output = manifest.with_name(manifest.name[1:].removesuffix(".done.json"))
            if not output.exists() or json.loads(manifest.read_bytes())["output_bytes"] != output.stat().st_size:
                self.problem(f"{manifest.name} has no such output")

    def check_resumed(self, expected: dict[str, bytes] | None = None) -> None:
        """Resumed without fault, all is what an undisturbed run writes, and nothing else is left."""
        expected = self.expected if expected is None else expected
        ended = self.finish(self.start("--resume", command=self.command("--resume", workers=1)))
        if ended.code:
            self.problem(f"resumed, it ends with {ended.code}:\n{ended.err}")
        for name in differing(contents(self.out), expected):
            self.problem(f"resumed, {name} isn't what an undisturbed run writes")
        left = [path.name for path in self.out.rglob(".*") if path.is_file() and not path.name.endswith((".done.json", ".part"))]
        if left:
            self.problem(f"resumed, it leaves {left}; {LOCK} is for the time of a run")

    def close(self) -> None:
        """Put away what was made."""
        for each in reversed(self.at_end):
            each()
        shutil.rmtree(self.folder)


def after_a_start(lines: list[str]) -> list[str]:
    """Lines behind what Python itself says where it is interrupted while it starts a worker: none of our code is there yet to take the signal."""
    if "KeyboardInterrupt" in lines and lines[0].startswith("Traceback"):
        start = lines[: lines.index("KeyboardInterrupt") + 1]
        if not any("detector/" in line.rpartition("site-packages")[2] for line in start):
            return lines[len(start) :]
    return lines


def differing(some: dict[str, bytes], others: dict[str, bytes]) -> list[str]:
    """Names of what is missing, superfluous or not the same."""
    return sorted(name for name in some.keys() | others.keys() if some.get(name) != others.get(name))


def members(session: int) -> list[int]:
    """Processes of a session that live, in the order of their numbers."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, of = (place / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:  # it has ended
            continue
        if int(of) == session and state not in "ZX":
            found.append(int(place.name))
    return sorted(found)


def wait_for_moment(scene: Scene, process: subprocess.Popen[bytes], rng: random.Random) -> None:
    """Wait until some moment of a run: at any time, or in or after the writing of an output."""
    kind = rng.choice(["any", "writing", "written"])
    if kind == "any":
        time.sleep(rng.uniform(0, scene.reference.seconds))
        return
    n = rng.randrange(1, len(scene.expected)) if kind == "written" else 0
    deadline = time.monotonic() + LIMIT
    while process.poll() is None and time.monotonic() < deadline:
        names = [name for *_, names in os.walk(scene.out) for name in names]
        if any(name.endswith(".tmp") for name in names) if not n else sum(name[0] != "." for name in names) >= n:
            break
        time.sleep(0.002)
    time.sleep(rng.choice([0, rng.uniform(0, 0.005), rng.uniform(0, 0.05)]))
