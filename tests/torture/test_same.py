"""The same to the bit whatever is worked on at once, in whatever order, by however many workers, in whatever environment; and nearly on other processors."""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from detector import Detector
from detector.cli import main
from tests.golden import TOLERANCE, everything
from tests.test_run import contents, corpus
from tests.test_same import OPERATIONS, TEXTS, at_once, environment, order_of, results_of, said_by_a_process
from tests.torture.conftest import Tried

SIZES: Final = 25
ORDERS: Final = 25
ENVIRONMENTS: Final = 20
WORKERS: Final = (2, 3, 4, 7)


def test_how_much_is_worked_on_at_once(detector: Detector, tried: Tried) -> None:
    alone = {name: operation(detector) for name, operation in OPERATIONS.items()}
    for i in range(SIZES):
        rng = random.Random(i)
        with pytest.MonkeyPatch.context() as patch:
            sizes = at_once(patch, lambda usual, rng=rng: int(2 ** rng.uniform(0, usual.bit_length() + 1)))  # type: ignore[misc]
            wrong = [name for name, operation in OPERATIONS.items() if operation(detector) != alone[name]]
            assert not wrong, (wrong, sizes)
    tried("draws of chunk sizes, for each call of a detector", SIZES * len(OPERATIONS))


def test_orders_and_sizes_of_batches(detector: Detector, tried: Tried) -> None:
    alone = [results_of(detector.filter(text)) for text in TEXTS]
    for i in range(ORDERS):
        order = list(order_of(len(TEXTS), i))
        size = random.Random(i).choice((1, 2, 3, 10, 50, 100, len(TEXTS)))
        for start in range(0, len(order), size):
            batch = order[start : start + size]
            assert list(map(results_of, detector.filter_batch([TEXTS[j] for j in batch]))) == [alone[j] for j in batch], (i, size)
    tried("documents in other orders and batches of other sizes", ORDERS * len(TEXTS))


def test_environments(detector: Detector, tried: Tried) -> None:
    expected = everything(detector, TEXTS)
    for i in range(ENVIRONMENTS):
        rng = random.Random(i)
        threads = {name: str(rng.choice((1, 2, 5, 16))) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
        others = {"LC_ALL": rng.choice(("C", "C.UTF-8", "tr_TR.UTF-8")), "PYTHONUTF8": str(i % 2), "MALLOC_PERTURB_": str(rng.randrange(256))}
        env = environment(PYTHONHASHSEED=str(rng.randrange(1 << 32)), TZ=rng.choice(("UTC", "Asia/Kathmandu")), **threads, **others)
        assert said_by_a_process(env) == expected, env
    tried("processes with other hash seeds, numbers of threads, locales", ENVIRONMENTS)


def test_numbers_of_workers(tmp_path: Path, tried: Tried) -> None:
    source = str(corpus(tmp_path / "in", 400))
    made = []
    for workers in (1, *WORKERS):
        out = tmp_path / f"out-{workers}"
        options = ["--workers", str(workers), "--removed", str(out / "removed.jsonl"), "--stats", str(tmp_path / "stats.json")]
        assert main(["filter", source, "-o", str(out), *options]) == 0
        made.append(contents(out))
    assert len(made[0]) == 7
    assert all(files == made[0] for files in made[1:])
    tried("files written by other numbers of workers", len(WORKERS) * len(made[0]))


def test_other_processors(tried: Tried) -> None:
    numpy: Any = importlib.import_module("numpy._core._multiarray_umath")
    here = [name for name in numpy.__cpu_dispatch__ if numpy.__cpu_features__[name]]
    without = [here[i:] for i in range(len(here))]
    for names in without:
        env = {**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(names)}
        run = subprocess.run([sys.executable, "-m", "tests.golden", "--check"], env=env, capture_output=True, text=True, check=True)
        assert run.stdout == "0\n", (names, run.stdout)
    tried(f"processors without instructions that this one has, to {TOLERANCE:g}", len(without))
