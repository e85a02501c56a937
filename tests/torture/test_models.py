"""Bad model files: each is refused with `ModelError`, soon and in little memory, or loads as a model that gives finite results; nothing of it is run."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from detector.persistence import SHIPPED, save_model
from tests.test_persistence import small_model
from tests.torture.conftest import Tried
from tests.torture.hostile_models import FLIPS, Hostile, hostile_models
from tests.torture.loading import faults_of, load_all, load_paths

SEED = 8
KINDS = {
    "model files with gadgets: every instruction that imports, calls or changes something": ("gadget",),
    "model files with other instructions, lengths that lie, deep, endless or huge values": ("instruction", "an instruction", "value", "noise as"),
    "model files with arrays that lie": ("shape", "dtype", "order", "subclass", "alignment", "header", "arrays"),
    "model files that unpack to 256 MB": ("bomb",),
    "model files with wrong fields: missing, of other types, NaN, other sizes and versions": ("field",),
    "other formats, wrappings and noise in place of a model": ("file", "noise"),
    "model files cut off at each hundredth, as stored and as unpacked": ("cut off",),
    "model files with one bit turned, as stored and as unpacked": ("a bit turned",),
}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.joblib"
    save_model(small_model(), path)
    return path


def test_a_bad_file_is_refused_or_gives_finite_results_and_nothing_of_it_is_run(good: Path, tmp_path: Path, tried: Tried) -> None:
    marker = tmp_path / "ran"
    hostile = list(hostile_models(good, str(marker), random.Random(SEED)))
    kinds = Counter(h.kind for h in hostile)
    assert len(kinds) >= 40
    assert kinds["a bit turned"] == kinds["a bit turned, packed again"] == FLIPS
    faults = faults_of(hostile, load_all(tmp_path, good, hostile))
    assert not faults, (len(faults), faults[:20])
    assert not marker.exists()
    for what, starts in KINDS.items():
        others = () if "noise as" in starts else ("noise as",)
        tried(what, sum(n for kind, n in kinds.items() if kind.startswith(starts) and not kind.startswith(others)))


def test_a_bit_turned_in_the_shipped_model_is_found_by_the_checksum(tmp_path: Path, tried: Tried) -> None:
    rng = random.Random(SEED)
    raw = SHIPPED.read_bytes()
    hostile = []
    for _ in range(100):
        place = rng.randrange(len(raw))
        hostile.append(Hostile("a bit turned", str(place), raw[:place] + bytes([raw[place] ^ (1 << rng.randrange(8))]) + raw[place + 1 :]))
    faults = faults_of(hostile, load_all(tmp_path, SHIPPED, hostile))
    assert not faults, faults[:20]
    tried("model files with one bit turned, as stored and as unpacked", len(hostile))


def link_twice(path: Path, good: Path) -> None:
    between = path.with_suffix(".between")
    between.symlink_to(good)
    path.symlink_to(between)


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


PLACES: dict[str, tuple[str, Callable[[Path, Path], object]]] = {
    "a link to a good model": ("loaded", lambda path, good: path.symlink_to(good)),
    "a link to a link": ("loaded", link_twice),
    "a hard link": ("loaded", lambda path, good: path.hardlink_to(good)),
    "a link to nothing": ("system", lambda path, _: path.symlink_to("absent")),
    "a link to itself": ("system", lambda path, _: path.symlink_to(path)),
    "nothing": ("system", lambda _path, _good: None),
    "a directory": ("refused", lambda path, _: path.mkdir()),
    "a link to a directory": ("refused", lambda path, good: path.symlink_to(good.parent)),
    "a pipe that nobody writes to": ("refused", lambda path, _: os.mkfifo(path)),
    "zeros without end": ("refused", lambda path, _: path.symlink_to("/dev/zero")),
    "noise without end": ("refused", lambda path, _: path.symlink_to("/dev/urandom")),
    "a device without bytes": ("refused", lambda path, _: path.symlink_to("/dev/null")),
    "a terabyte of nothing": ("refused", lambda path, _: sparse(path)),
}


def test_what_is_no_file_or_has_no_end_is_refused(good: Path, tmp_path: Path, tried: Tried) -> None:
    paths = [tmp_path / f"place-{i}" for i in range(len(PLACES))]
    for path, (_, make) in zip(paths, PLACES.values(), strict=True):
        make(path, good)
    reports = load_paths(good, paths)
    assert [report["outcome"] for report in reports] == [outcome for outcome, _ in PLACES.values()], reports
    assert all(str(path) in report["message"] for path, report in zip(paths, reports, strict=True) if report["outcome"] != "loaded")
    assert all(report["seconds"] < 1 and report["megabytes"] < 200 and not report["events"] for report in reports)
    tried("links, directories, pipes, devices in place of a model", len(PLACES))


def test_a_file_that_grows_while_it_is_read_is_refused(good: Path, tmp_path: Path, tried: Tried) -> None:
    path, ends = tmp_path / "grows.joblib", threading.Event()
    path.write_bytes(good.read_bytes())

    def grow() -> None:
        with path.open("ab") as file:
            while not ends.is_set() and file.tell() < 50_000_000:
                file.write(bytes(100_000))
                file.flush()

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        [report] = load_paths(good, [path])
    finally:
        ends.set()
        thread.join()
    assert report["outcome"] == "refused", report
    tried("links, directories, pipes, devices in place of a model", 1)
