"""The kinds of faults: each makes a run go wrong in a `Scene`, and takes the fault away again."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from tests.test_run import contents
from tests.torture.scenes import COMMAND, CRASHES, OTHER, Scene, differing, files, members, wait_for_moment

AS_USER = [] if os.geteuid() else ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Before a command that is to be bound by permissions: root is not."""
FAIL = (2,)


class Fault(NamedTuple):
    """A kind of fault: what it is, how many runs of it, and what makes it; `ends_alone` if it leaves nothing to resume."""

    what: str
    n: int
    make: Callable[[Scene, random.Random], object]
    workers: tuple[int, ...] = (1, 1, 1, 2)
    settings: tuple[str, ...] = ("small", "small", "long", "cut", "bad lines", "spans")
    ends_alone: bool = False


# signals


def signalled(scene: Scene, rng: random.Random, number: int, target: str, times: int = 1) -> None:
    """Send a signal at some moment to the command, to a process that works for it, or to all."""
    for _ in range(times):
        process = scene.start(*rng.choice([[], ["--resume"]]))
        wait_for_moment(scene, process, rng)
        codes = {0, -number, 128 + number} - ({128 + 9} if number == 9 else set())
        try:
            if target == "command":
                process.send_signal(number)
            elif target == "all":
                os.killpg(process.pid, number)
                codes |= {2}  # a worker has died sooner
            else:
                others = [pid for pid in members(process.pid) if is_worker(pid)]
                codes = {0, 2}
                if others:
                    os.kill(rng.choice(others), number)
        except ProcessLookupError:
            pass
        scene.attempt(process, sorted(codes))
        scene.check_names()


def is_worker(pid: int) -> bool:
    """Whether a process filters: those in which joblib and Python count semaphores don't."""
    try:
        return b"popen_loky" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


# disks


@cache
def can_mount() -> bool:
    """Whether a file system of a limited size can be made."""
    if os.geteuid() or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False).returncode == 0


@contextmanager
def mounted(scene: Scene, folder: Path, options: str) -> Iterator[None]:
    """A file system of its own over a folder, until the scene ends; afterwards with room enough."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
    scene.at_end.append(lambda: subprocess.run(["umount", "-l", str(folder)], check=True))
    yield
    subprocess.run(["mount", "-o", "remount,rw,size=64m,nr_inodes=10000", "none", str(folder)], check=True)


def full_disk(scene: Scene, rng: random.Random, kind: str) -> None:
    """A disk that fills: of a few pages, or of a few files."""
    needed = sum(len(raw) for raw in scene.expected.values()) // 1024
    options = f"size={4 * rng.randint(1, needed // 3 + 8)}k" if kind == "space" else f"size=64m,nr_inodes={rng.randint(2, 24)}"
    with mounted(scene, scene.out, options):
        scene.attempt(scene.start(*rng.choice([[], ["--resume"]])))
        scene.check_names()


def small_files(scene: Scene, rng: random.Random) -> None:
    """A file may have a few blocks only."""
    largest = max(len(raw) for raw in scene.expected.values()) // 512
    scene.attempt(scene.start(limits=f"ulimit -f {rng.randint(1, largest)}"))


def full_device(scene: Scene, rng: random.Random) -> None:
    """`/dev/full`, and nothing is made of `/dev/null`."""
    how = rng.randrange(4)
    if how == 0:
        with open("/dev/full", "wb") as full:
            scene.attempt(scene.start(command=[COMMAND, "filter", "in/a.jsonl"], stdout=full), FAIL, "standard output: can't be written (No space")
    elif how == 1:
        (scene.out / "full").symlink_to("/dev/full")
        scene.attempt(scene.start(command=[COMMAND, "filter", "in/a.jsonl", "-o", "out/full"]), FAIL, "out/full: can't be written (No space")
        (scene.out / "full").unlink()
    elif how == 2:
        (scene.out / "null").symlink_to("/dev/null")
        scene.attempt(scene.start(command=[COMMAND, "filter", "in/a.jsonl", "-o", "out/null"]), (0,), writes_all=False)
        (scene.out / "null").unlink()
    else:
        (scene.out / "stats.json").symlink_to("/dev/full")
        scene.attempt(scene.start("--stats", "out/stats.json"), FAIL, "out/stats.json: can't be written (No space")
        (scene.out / "stats.json").unlink()
    for name in ("full", "null"):
        if not Path(f"/dev/{name}").is_char_device():
            scene.problem(f"/dev/{name} is no device any more")


def temporary_directory(scene: Scene, rng: random.Random) -> None:
    """`TMPDIR` leads nowhere, to a file, or to a full disk."""
    place = scene.folder / "temporary"
    kind = rng.choice(["missing", "file", *(["full"] if can_mount() else [])])
    if kind == "file":
        place.write_text("")
    if kind == "full":
        place.mkdir()
        with mounted(scene, place, "size=4k,nr_inodes=2"):
            run = scene.start("--removed", "-", env={"TMPDIR": str(place)}, stdout=subprocess.DEVNULL)
            scene.attempt(run, writes_all=False)
    else:
        scene.attempt(scene.start("--removed", "-", env={"TMPDIR": str(place)}), writes_all=False)


def read_only(scene: Scene, rng: random.Random) -> None:
    """A disk that can only be read, at first or from some moment on."""
    with mounted(scene, scene.out, "size=64m"):
        if rng.random() < 0.5:
            signalled(scene, rng, signal.SIGKILL, "command")
        subprocess.run(["mount", "-o", "remount,ro", "none", str(scene.out)], check=True)
        scene.attempt(scene.start(), FAIL, "out/")
        scene.check_names()


def obstructed(scene: Scene, rng: random.Random) -> None:
    """Something else stands where a folder or file is to be."""
    kind = rng.choice(["file for folder", "folder for file", "folder for manifest", "link to nowhere", "no such folder", "no place for files"])
    clean = scene.out / "clean"
    if kind == "file for folder":
        clean.write_text("")
        scene.attempt(scene.start(), FAIL, "out/clean")
        clean.unlink()
        return
    if kind == "no place for files":
        scene.attempt(scene.start("-o", "/proc/self/out"), FAIL, "/proc/self/out", writes_all=False)
        return
    if kind == "no such folder":
        scene.attempt(scene.start("--removed", "out/absent/removed"), FAIL, "out/absent/")
        return
    name = rng.choice([name for name in scene.expected if name.startswith("clean/")])
    place = scene.out / name
    place.parent.mkdir(parents=True)
    if kind == "folder for manifest":
        place = place.with_name(f".{place.name}.done.json")
    if kind == "link to nowhere":
        place.symlink_to(scene.folder / "absent" / "file")
        scene.attempt(scene.start(), FAIL, f"out/{name}: can't be written")
        place.unlink()
    else:
        place.mkdir()
        scene.attempt(scene.start(), FAIL, f"out/clean/{'deep/' if 'deep' in name else ''}")
        place.rmdir()


# inputs


def some_input(scene: Scene, rng: random.Random, *suffixes: str) -> Path:
    return rng.choice([path for path in files(scene.folder / "in") if str(path).endswith(suffixes or "")])


def forbidden(scene: Scene, rng: random.Random) -> None:
    """A file or folder that the user may not read."""
    place = rng.choice([some_input(scene, rng), scene.folder / "in" / "deep"])
    mode = place.stat().st_mode
    place.chmod(0)
    scene.attempt(scene.start(command=[*AS_USER, *scene.command()]), FAIL, f"{place.relative_to(scene.folder)}: can't be read (Permission denied)")
    place.chmod(mode)


def unreadable(scene: Scene, rng: random.Random) -> None:
    """A name behind which there is no file that can be read."""
    kind = rng.choice(["input/output error", "link to nowhere", "link to itself", "folder"])
    place = some_input(scene, rng)
    name, raw = str(place.relative_to(scene.folder)), place.read_bytes()
    place.unlink()
    if kind == "folder":
        place.mkdir()
        scene.attempt(scene.start(command=[COMMAND, "filter", name, "-o", "out/clean"]), FAIL, name)
        place.rmdir()
    else:
        place.symlink_to({"input/output error": "/proc/self/mem", "link to nowhere": "absent", "link to itself": place.name}[kind])
        scene.attempt(scene.start(), FAIL, f"{name}: can't be read")
        place.unlink()
    place.write_bytes(raw)


def cut_off(scene: Scene, rng: random.Random) -> None:
    """A packed file that ends too early."""
    place = some_input(scene, rng, ".gz", ".zst", ".parquet")
    raw = place.read_bytes()
    place.write_bytes(raw[: rng.choice([0, rng.randrange(len(raw)), len(raw) - rng.randint(1, 9)])])
    name = place.relative_to(scene.folder)
    scene.attempt(scene.start(), FAIL, f"{name}")
    if (scene.out / "clean" / name.relative_to("in")).exists():
        scene.problem(f"writes an output for {name}, which is cut off")
    place.write_bytes(raw)


def cut_off_stream(scene: Scene, rng: random.Random) -> None:
    """Standard input that ends in a line, or in a packed file."""
    place = some_input(scene, rng, "a.jsonl", "e.txt", ".gz", ".zst")
    raw = place.read_bytes()
    raw = raw[: rng.randrange(1, len(raw))]
    name = rng.choice(["-", "/dev/stdin"])
    process = scene.start(
        command=[COMMAND, "filter", name, "--format", "text" if place.suffix == ".txt" else "jsonl", "-o", "out/x"], stdin=subprocess.PIPE
    )
    feed(process, raw)
    is_packed, ends_line = place.suffix in (".gz", ".zst"), raw.endswith((b"\n", b"}"))
    is_whole = place.suffix == ".txt" or (ends_line and not is_packed)
    ended = scene.attempt(process, (0,) if is_whole else FAIL, "standard input" if name == "-" else name, writes_all=False)
    if ended.code == 0 and place.suffix == ".jsonl":
        expected = b"".join(scene.expected["clean/a.jsonl"].splitlines(keepends=True)[: len(raw.splitlines())])
        if (scene.out / "x").read_bytes() != expected:
            scene.problem("standard input was cut off at a line, and the output is not that of the lines before")
    if (ended.code == 0) != (scene.out / "x").exists():
        scene.problem("standard input was cut off, and out/x is there")
    for path in (scene.out / "x", scene.out / ".x.done.json"):
        path.unlink(missing_ok=True)


def feed(process: subprocess.Popen[bytes], raw: bytes) -> None:
    assert process.stdin
    try:
        with process.stdin as stdin:
            stdin.write(raw)
    except BrokenPipeError:
        pass


def changed(scene: Scene, rng: random.Random, kind: str) -> None:
    """An input is changed while it is read: the outputs are those of the one or the other, and a resumed run makes those of the other."""
    place = some_input(scene, rng, *([".jsonl", ".txt"] if kind == "same size" else []))
    raw = place.read_bytes()
    process = scene.start()
    wait_for_moment(scene, process, rng)
    if kind == "appended":
        with place.open("ab") as file:
            file.write(raw)
    elif kind == "truncated":
        os.truncate(place, rng.randrange(len(raw)))
    elif kind == "same size":
        with place.open("r+b") as file:
            file.write(raw.replace(b"harbour", b"HARBOUR"))
    elif kind == "removed":
        place.unlink()
    else:  # another file gets its name
        other = rng.choice([path for path in files(scene.folder / "in") if path != place])
        (scene.folder / "other").write_bytes(other.read_bytes())
        (scene.folder / "other").replace(place)
    scene.attempt(process, writes_all=False)
    again = Scene(scene.folder / "again", scene.settings, 1)
    shutil.rmtree(again.folder / "in")
    shutil.copytree(scene.folder / "in", again.folder / "in")
    ended = again.finish(again.start())
    after = contents(again.out)
    for name, found in contents(scene.out).items():
        if name.startswith("clean/") and found not in (scene.expected.get(name), after.get(name)):
            scene.problem(f"{name} is neither of the file before the change nor of that after")
    if kind == "removed":  # its output stays
        (scene.out / "clean" / place.relative_to(scene.folder / "in")).unlink(missing_ok=True)
    if ended.code == 0:
        scene.check_resumed(after)
    else:
        scene.attempt(scene.start("--resume"), FAIL)
    if not place.exists() or place.read_bytes() != raw:
        place.write_bytes(raw)
    for name in contents(scene.out).keys() - scene.expected.keys():  # none where nothing was removed
        (scene.out / name).unlink()


# streams


def closed_pipe(scene: Scene, rng: random.Random) -> None:
    """A reader that goes: `| head`."""
    names = [str(path.relative_to(scene.folder)) for path in files(scene.folder / "in") if path.name.endswith(("jsonl", "jsonl.gz", "jsonl.zst"))]
    command = [COMMAND, "filter", *names, "--workers", str(scene.workers), "--on-error", "skip", "--errors", "out/e"]
    whole = subprocess.run(command, cwd=scene.folder, capture_output=True, check=True).stdout
    process = scene.start(command=command, stdout=subprocess.PIPE)
    assert process.stdout
    n = rng.choice([0, 1, rng.randrange(100_000)])
    with process.stdout as stdout:
        if stdout.read(n) != whole[:n]:
            scene.problem("what came through the pipe before it was closed is not what was to come")
    scene.attempt(process, (0, 141) if n + 66_000 > len(whole) else (141,), writes_all=False)
    for path in scene.out.iterdir():
        path.unlink()


def closed_stream(scene: Scene, rng: random.Random) -> None:
    """Standard input, output or error is closed from the start."""
    place = rng.randrange(3)
    if place == 2:
        with (scene.folder / "a").open("wb") as stdout:
            process = scene.start(limits="exec 2>&-", command=[COMMAND, "filter", "in/a.jsonl"], stdout=stdout)
        if scene.finish(process).code or (scene.folder / "a").read_bytes() != scene.expected["clean/a.jsonl"]:
            scene.problem("without standard error, the output is not what it is with it")
    else:
        names = [["-"], ["in/a.jsonl"]][place]
        scene.attempt(scene.start(limits=["exec 0<&-", "exec 1>&-"][place], command=[COMMAND, "filter", *names]), FAIL, "it is closed")


# names and what stands beside


def two_at_once(scene: Scene, rng: random.Random, *, alike: bool) -> None:
    """Two runs write the same: one goes on, the other is told, or they come one after the other."""
    first = scene.start(*rng.choice([[], ["--resume"]]))
    time.sleep(rng.choice([0, rng.uniform(0, scene.reference.seconds)]))
    options = [] if alike else OTHER
    second = scene.start(*options, command=scene.command(*options, *rng.choice([[], ["--resume"]]), workers=rng.choice([1, 2])))
    says = "another run is writing it"
    ends = [scene.attempt(each, (0, 2), says, writes_all=False) for each in (first, second)]
    if all(ended.code for ended in ends):
        scene.problem("of two runs, none went on")
    assert scene.references
    mine, others = scene.expected, scene.references.get(scene.settings, other=not alike).outputs
    found = contents(scene.out)
    right = [each for each, ended in zip((mine, others), ends, strict=True) if ended.code == 0]
    if all(differing(found, each) for each in right):
        scene.problem(f"two runs have left a mixture: {[differing(found, each) for each in right]}")


def folder_removed(scene: Scene, rng: random.Random) -> None:
    """Somebody removes the outputs in the run."""
    process = scene.start()
    wait_for_moment(scene, process, rng)
    shutil.rmtree(rng.choice([scene.out / "clean", scene.out / "clean" / "deep"]), ignore_errors=True)
    scene.attempt(process, writes_all=False)


def long_name(scene: Scene, rng: random.Random) -> None:
    """A name that leaves no room for that of a temporary file."""
    place = scene.folder / "in" / ("n" * rng.randint(200, 255 - len(".jsonl")) + ".jsonl")
    place.write_bytes((scene.folder / "in" / "a.jsonl").read_bytes())
    ended = scene.attempt(scene.start(), says="", writes_all=False)
    if ended.code and "File name too long" not in ended.err:
        scene.problem(f"a long name isn't named: {ended.err}")
    place.unlink()
    for path in scene.out.rglob("*nnn*"):
        path.unlink()


def odd_name(scene: Scene, rng: random.Random) -> None:
    """A name that isn't UTF-8, or has a line end in it."""
    place = scene.folder / "in" / (rng.choice(["\udcff\udcfe", "a\nb", "\x1b[2J", " ", "-"]) + ".jsonl")
    place.write_bytes((scene.folder / "in" / "a.jsonl").read_bytes())
    scene.attempt(scene.start(), (0,), writes_all=False)
    made = scene.out / "clean" / place.name
    if not made.exists() or (scene.settings != "spans" and made.read_bytes() != scene.expected["clean/a.jsonl"]):
        scene.problem(f"no output for {place.name!r}")
    place.unlink()
    for path in [*scene.out.rglob(f"*{place.name}*")]:
        path.unlink(missing_ok=True)


def over_input(scene: Scene, rng: random.Random) -> None:
    """What is written would take the place of an input."""
    before = contents(scene.folder / "in")
    kind = rng.randrange(5)
    if kind == 0:
        process = scene.start("-o", "in")
    elif kind == 1:
        process = scene.start(rng.choice(["--removed", "--errors", "--stats"]), "in/a.jsonl")
    elif kind == 2:
        (scene.out / "clean").symlink_to("../in")
        process = scene.start()
    elif kind == 3:
        (scene.out / "clean").mkdir()
        (scene.out / "clean" / "e.txt").hardlink_to(scene.folder / "in" / "e.txt")
        process = scene.start()
    else:
        process = scene.start("--stats", "out/clean/a.jsonl")
    scene.attempt(process, FAIL, "give another name", writes_all=False)
    if contents(scene.folder / "in") != before:
        scene.problem("an input was written over")
    if kind == 2:
        (scene.out / "clean").unlink()
    elif kind == 3:
        (scene.out / "clean" / "e.txt").unlink()


def linked(scene: Scene, rng: random.Random) -> None:
    """An output's name is a link: the file that it leads to is written, whole or not at all."""
    name = rng.choice([name for name in scene.expected if name.endswith(("a.jsonl", "e.txt", "stats.json"))])
    target = scene.folder / "target"
    (scene.out / name).parent.mkdir(parents=True, exist_ok=True)
    (scene.out / name).symlink_to(target)
    if is_old := rng.random() < 0.5:
        target.write_text("old")
    process = scene.start()
    if rng.random() < 0.7:
        wait_for_moment(scene, process, rng)
        process.kill()
    scene.attempt(process, (0, -9))
    if not (scene.out / name).is_symlink():
        scene.problem(f"{name} is no link any more")
    if (target.read_bytes() if target.exists() else None) not in (scene.expected[name], b"old" if is_old else None):
        scene.problem("the target of a link is not whole")
    if is_old and target.read_bytes() == b"old":
        target.unlink()


# what the system grants


def few_files(scene: Scene, rng: random.Random) -> None:
    """Few files may be open."""
    scene.attempt(scene.start(limits=f"ulimit -n {rng.randint(6, 24)}"))


def little_memory(scene: Scene, rng: random.Random) -> None:
    """Little memory may be had."""
    scene.attempt(scene.start(limits=f"ulimit -v {rng.randint(250_000, 900_000)}"), (0, 2, *CRASHES))


# what earlier runs have left


def damaged(scene: Scene, rng: random.Random, *, manifest: bool) -> None:
    """A manifest or an output of an earlier run is damaged."""
    scene.attempt(scene.start("--resume"), (0,))
    kinds = (".done.json", ".part") if manifest else ()
    place = rng.choice([path for path in scene.out.rglob("*") if path.is_file() and (path.name.endswith(kinds) if manifest else path.name[0] != ".")])
    raw = place.read_bytes()
    if not manifest:
        place.write_bytes(raw[: rng.randrange(len(raw))]) if rng.random() < 0.7 else place.unlink()
        return
    bad = [b"", raw[: rng.randrange(len(raw) + 1) // 2], b"null", b"[]", b'{"settings": 1}', b"\xff\x00", b"1" * 9999, raw.replace(b"0", b"1")]
    place.write_bytes(rng.choice(bad))


def odd_times(scene: Scene, rng: random.Random) -> None:
    """Files of the far past and the far future."""
    for path in files(scene.folder / "in"):
        os.utime(path, (0, 0) if rng.random() < 0.5 else (4e9, 4e9))
    scene.attempt(scene.start("--resume"), (0,))
    for path in [*scene.out.rglob("*.*")]:
        os.utime(path, (0, 0) if rng.random() < 0.5 else (4e9, 4e9))


def faults() -> list[Fault]:
    """All kinds; of those that need a right to mount, others where there is none."""
    found = []
    for name in ("KILL", "TERM", "INT", "HUP"):
        number = getattr(signal, f"SIG{name}")
        for target, n, workers in (("command", 15, (1, 2)), ("a worker", 16 if name in ("KILL", "TERM") else 4, (2,)), ("all", 10, (1, 2))):
            found.append(Fault(f"SIG{name} to {target}", n, partial(signalled, number=number, target=target), workers))
    found.append(Fault("SIGKILL to all, several times in a row", 6, partial(signalled, number=signal.SIGKILL, target="all", times=3)))
    if can_mount():
        found += [
            Fault("a disk that fills", 36, partial(full_disk, kind="space")),
            Fault("a disk without room for more files", 12, partial(full_disk, kind="files")),
            Fault("a disk that can only be read", 10, read_only),
        ]
    return [
        *found,
        Fault("a limit of a file's size", 20 if can_mount() else 82, small_files),
        Fault("/dev/full and /dev/null as output", 10, full_device, settings=("small", "long", "cut")),
        Fault("no place for temporary files", 8, temporary_directory, settings=("small", "long")),
        Fault("a file or folder in the way of an output", 16, obstructed),
        *([Fault("an input without the right to read it", 10, forbidden)] if not AS_USER or shutil.which(AS_USER[0]) else []),
        Fault("an input that can't be read: EIO, a folder, links to nowhere", 16, unreadable),
        Fault("a packed input that is cut off", 20, cut_off),
        Fault("standard input that is cut off", 16, cut_off_stream, settings=("small", "long"), ends_alone=True),
        *(
            Fault(f"an input that is changed while it is read: {kind}", 9, partial(changed, kind=kind), settings=("small", "long", "cut"))
            for kind in ("appended", "truncated", "same size", "removed", "replaced")
        ),
        Fault("a pipe whose reader goes", 20, closed_pipe, settings=("long", "cut", "bad lines"), ends_alone=True),
        Fault("standard streams that are closed", 9, closed_stream, settings=("small", "long"), ends_alone=True),
        Fault("two runs at once, the same", 12, partial(two_at_once, alike=True), (1, 2), ("small", "long", "cut")),
        Fault("two runs at once, with other settings", 18, partial(two_at_once, alike=False), (1, 2), ("small", "long", "cut")),
        Fault("outputs that are removed in the run", 10, folder_removed),
        Fault("names that are too long", 6, long_name, settings=("small", "long", "cut")),
        Fault("names that aren't UTF-8 or hold control characters", 8, odd_name, settings=("small", "spans")),
        Fault("an output that is an input", 12, over_input),
        Fault("an output that is a link", 10, linked, settings=("small", "long", "cut")),
        Fault("few open files", 10, few_files, (1, 2)),
        Fault("little memory", 12, little_memory, (1, 2)),
        Fault("a damaged manifest or part of an earlier run", 12, partial(damaged, manifest=True)),
        Fault("a damaged output of an earlier run", 8, partial(damaged, manifest=False)),
        Fault("times of the far past and future", 4, odd_times),
    ]
