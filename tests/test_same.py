"""One detector gives the same to the bit in threads, in processes, after a fork, in chunks of any size, whatever the environment is set to."""

from __future__ import annotations

import os
import pickle
import random
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import detector.filtering
import detector.model
import detector.pieces
import detector.sentences
from detector import Detector
from tests.golden import everything, results, texts

THREADS = 16
TEXTS = texts()
SOME = TEXTS[::8]
LINES = [line for text in SOME for line in text.split("\n")]
OPERATIONS: dict[str, Callable[[Detector], Any]] = {
    "filter": lambda detector: [results_of(detector.filter(text)) for text in SOME],
    "filter_batch": lambda detector: list(map(results_of, detector.filter_batch(SOME))),
    "filter_stream": lambda detector: list(map(results_of, detector.filter_stream(iter(SOME)))),
    "explain": lambda detector: [detector.explain(text) for text in SOME[::8]],
    "predict_proba": lambda detector: detector.predict_proba(LINES).tolist(),
    "predict": lambda detector: detector.predict(LINES).tolist(),
}
SIZES = {
    detector.filtering: {"CHUNK": 1 << 19, "STREAM_DOCUMENTS": 1000, "STREAM_CHARACTERS": 8_000_000},
    detector.model: {"BLOCK": 1 << 14, "FEW_ROWS": 256},
    detector.pieces: {"CHARACTERS_AT_ONCE": 1 << 18},
    detector.sentences: {"CHARACTERS_AT_ONCE": 1 << 20},
}
"""How much is worked on at once, by module."""
PATIENCE = 60
"""Seconds."""


def results_of(document: detector.FilteredDocument) -> tuple[Any, ...]:
    return document.text, document.verdict, document.n_removed, document.paragraphs, document.cuts


def in_threads(shared: Detector, n: int, rounds: int) -> list[tuple[str, Any]]:
    """What each thread gets of its operation, all started at once, switching often."""
    names = [list(OPERATIONS)[i % len(OPERATIONS)] for i in range(n)]
    barrier = threading.Barrier(n)

    def work(name: str) -> list[tuple[str, Any]]:
        barrier.wait(PATIENCE)
        return [(name, OPERATIONS[name](shared)) for _ in range(rounds)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(n) as pool:
            return [result for results in pool.map(work, names) for result in results]
    finally:
        sys.setswitchinterval(interval)


def after_fork(work: Callable[[], str]) -> str:
    """What the work returns in a process that is forked here; a process that hangs is killed."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns where threads are running, which is what is tried
        child = os.fork()
    if not child:
        try:
            os.write(write, work().encode())
        finally:
            os._exit(0)
    os.close(write)
    try:
        if not select.select([read], [], [], PATIENCE)[0]:
            os.kill(child, signal.SIGKILL)
            return "hangs"
        return os.read(read, 1000).decode()
    finally:
        os.close(read)
        os.waitpid(child, 0)


def forked_while_loading(alone: Detector, n: int, documents: Sequence[str]) -> list[str]:
    """What processes say that were forked, and load a model, while another thread loads models; without what they should say."""
    expected = everything(alone, documents)
    ends = threading.Event()

    def load() -> None:
        while not ends.is_set():
            Detector.load().filter_batch(documents)

    thread = threading.Thread(target=load)
    thread.start()
    found = []
    try:
        for i in range(n):
            time.sleep(random.Random(i).uniform(0, 0.05))
            found.append(after_fork(lambda: everything(Detector.load(), documents)))
            if found[-1] != expected:
                break
    finally:
        ends.set()
        thread.join()
    return [said for said in found if said != expected]


def at_once(patch: pytest.MonkeyPatch, draw: Callable[[int], int]) -> dict[str, int]:
    """Set how much is worked on at once."""
    chosen = {}
    for module, sizes in SIZES.items():
        for name, usual in sizes.items():
            chosen[f"{module.__name__}.{name}"] = draw(usual)
            patch.setattr(module, name, chosen[f"{module.__name__}.{name}"])
    return chosen


def environment(**changed: str) -> dict[str, str]:
    return {**os.environ, **changed}


def said_by_a_process(env: dict[str, str]) -> str:
    """Digest of everything as another process makes it."""
    return subprocess.run([sys.executable, "-m", "tests.golden"], env=env, capture_output=True, text=True, check=True).stdout.strip()


def test_sixteen_threads_get_what_one_gets(detector: Detector) -> None:
    alone = {name: operation(detector) for name, operation in OPERATIONS.items()}
    found = in_threads(Detector.load(), THREADS, 1)  # one that was not used yet
    assert len(found) == THREADS
    assert [name for name, result in found if result != alone[name]] == []


def test_a_process_forked_while_another_thread_loads_and_filters_gets_the_same(detector: Detector) -> None:
    assert forked_while_loading(detector, 12, SOME[:3]) == []


def test_a_detector_is_pickled_small_and_gives_the_same(detector: Detector) -> None:
    alone = results(detector, SOME)
    raw = pickle.dumps(detector)
    assert len(raw) < 10_000_000
    copy = pickle.loads(raw)  # noqa: S301 - made here
    assert (copy.threshold, copy.model.card) == (detector.threshold, detector.model.card)
    assert results(copy, SOME) == alone
    document = pickle.loads(pickle.dumps(copy.filter(SOME[0])))  # noqa: S301
    assert results_of(document) == alone[0]


def test_how_much_is_worked_on_at_once_changes_nothing(detector: Detector) -> None:
    alone = {name: operation(detector) for name, operation in OPERATIONS.items()}
    for draw in (lambda usual: 1, lambda usual: random.Random(usual).randint(2, 300)):  # noqa: ARG005 - the least there is
        with pytest.MonkeyPatch.context() as patch:
            sizes = at_once(patch, draw)
            assert {name: operation(detector) for name, operation in OPERATIONS.items()} == alone, sizes


def test_another_process_gets_the_same_whatever_its_environment(detector: Detector) -> None:
    env = environment(PYTHONHASHSEED="1", OMP_NUM_THREADS="3", OPENBLAS_NUM_THREADS="3", PYTHONOPTIMIZE="1", LC_ALL="C", PYTHONUTF8="0")
    assert said_by_a_process(env) == everything(detector, TEXTS)


def order_of(n: int, seed: int) -> Sequence[int]:
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return order


def test_neighbours_in_a_batch_and_their_order_change_nothing(detector: Detector) -> None:
    alone = [results_of(detector.filter(text)) for text in SOME]
    order = order_of(len(SOME), 1)
    assert results(detector, [SOME[i] for i in order]) == [alone[i] for i in order]
