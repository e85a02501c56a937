"""One detector used from many threads and processes gives what it gives alone, and takes no more memory after a million documents than before."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
from typing import Final

import pytest

from detector import Detector
from tests.golden import everything
from tests.test_same import OPERATIONS, SOME, TEXTS, THREADS, forked_while_loading, in_threads
from tests.torture.conftest import Tried
from tests.torture.remember import KINDS

ROUNDS: Final = 20
"""Detectors that threads begin to use at once."""
FORKS: Final = 60
PARTS: Final = 24
GROWTH: Final = 8.0
"""Megabytes by which a process may grow over a million documents: what one batch takes, and what the allocator leaves between. A leak of nine bytes
for each document would show."""
TRACED: Final = 0.2
"""The same of Python's own objects (tracemalloc), over a hundredth of the documents."""


def test_what_threads_do_at_once_they_do_alone(detector: Detector, tried: Tried) -> None:
    alone = {name: operation(detector) for name, operation in OPERATIONS.items()}
    found = [pair for _ in range(ROUNDS) for pair in in_threads(Detector.load(), THREADS, 2)]
    wrong = [name for name, result in found if result != alone[name]]
    assert not wrong, wrong
    tried(f"rounds of a call of a detector in one of {THREADS} threads, over {len(SOME)} documents", len(found))


def test_forks_while_another_thread_loads_and_filters(detector: Detector, tried: Tried) -> None:
    assert forked_while_loading(detector, FORKS, SOME[:5]) == []
    tried("forks while another thread loads a model and filters", FORKS)


def of_part(detector: Detector, part: list[str]) -> str:
    return everything(detector, part)


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_a_pool_of_processes_gets_the_same(detector: Detector, tried: Tried, method: str) -> None:
    parts = [random.Random(i).sample(TEXTS, 20) for i in range(PARTS)]
    alone = [everything(detector, part) for part in parts]
    with multiprocessing.get_context(method).Pool(2) as pool:  # a detector is pickled for each task
        assert pool.starmap(of_part, [(detector, part) for part in parts], chunksize=1) == alone
    tried(f"tasks of 20 documents for pools of processes ({method})", PARTS)


def test_memory_does_not_grow_over_a_million_documents(tried: Tried) -> None:
    runs = [subprocess.Popen([sys.executable, "-m", "tests.torture.remember", kind], stdout=subprocess.PIPE, text=True) for kind in KINDS]
    reports = [json.loads(run.communicate()[0]) for run in runs]
    for report in reports:
        grown, traced = report["after"] - report["before"], report["traced_after"] - report["traced_before"]
        assert grown <= GROWTH, report
        assert traced <= TRACED, report
        tried(f"{report['what']} (grown by {grown:.1f} MB)", report["documents"])
    assert sum(report["documents"] for report in reports) > 1_000_000
