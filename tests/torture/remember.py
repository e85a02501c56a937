"""Filter documents of varied length again and again, and print what memory the process holds after a warm-up and at the end, as JSON."""

from __future__ import annotations

import gc
import json
import random
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from detector import Detector
from tests.golden import texts

BATCH = 1000
SINGLE = 100_000
BATCHED = 900_000
OTHER = 2_000


def megabytes() -> float:
    """What the process holds now; its peak (ru_maxrss) would hide a leak below that of the warm-up."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096 / 1e6


def documents(n: int, seed: int) -> Iterator[str]:
    """Documents of nothing to 3,000 lines of ours, mostly short; each is a new string."""
    rng = random.Random(seed)
    lines = [line for text in texts() for line in text.split("\n") if len(line) < 200]
    for i in range(n):
        size = rng.choice((0, 0, 1, 1, 1, 2, 2, 3)) if i % 100 else rng.randrange(3000 if i % 10_000 == 0 else 100)
        yield "\n".join([str(i)[: i % 7], *rng.choices(lines, k=size)])


def batches(detector: Detector, n: int, seed: int) -> int:
    """`Detector.filter_batch` and what its results hold."""
    longest, batch = 0, []
    for text in documents(n, seed):
        batch.append(text)
        longest = max(longest, len(text))
        if len(batch) == BATCH:
            for document in detector.filter_batch(batch):
                _ = document.verdict, document.n_removed and document.removed
            batch = []
    return longest


def single(detector: Detector, n: int, seed: int) -> int:
    """`Detector.filter`, one document at a time."""
    longest = 0
    for text in documents(n, seed):
        _ = detector.filter(text).verdict
        longest = max(longest, len(text))
    return longest


def other(detector: Detector, n: int, seed: int) -> int:
    """All other calls, a new detector now and then, and calls that fail."""
    longest = 0
    for i, text in enumerate(documents(n, seed)):
        longest = max(longest, len(text))
        detector.explain(text)
        detector.predict(text.split("\n"))
        for document in detector.filter_stream([text]):
            _ = document.paragraphs
        with suppress(TypeError):
            detector.filter_batch([text, None])  # type: ignore[list-item]
        if i % 100 == 0:
            detector = Detector.load()
    return longest


KINDS: dict[str, tuple[Callable[[Detector, int, int], int], int, str]] = {
    "batches": (batches, BATCHED, f"documents in batches of {BATCH:,}, watching memory"),
    "single": (single, SINGLE, "documents one by one, watching memory"),
    "other": (other, OTHER, "documents explained, predicted, streamed, refused; a model loaded for each hundredth, watching memory"),
}


def main() -> None:
    """Warm up with a fiftieth, then count; Python's own objects are counted over a part, for that makes it slow."""
    call, n, what = KINDS[sys.argv[1]]
    detector = Detector.load()
    call(detector, max(n // 50, 200), 0)
    report: dict[str, Any] = {"what": what, "documents": n, "before": megabytes()}
    report["longest"] = call(detector, n, 1)
    report["after"] = megabytes()
    tracemalloc.start()
    call(detector, max(n // 500, 100), 2)
    gc.collect()
    report["traced_before"] = tracemalloc.get_traced_memory()[0] / 1e6
    call(detector, max(n // 100, 200), 3)
    gc.collect()
    report["traced_after"] = tracemalloc.get_traced_memory()[0] / 1e6
    print(json.dumps(report))


if __name__ == "__main__":
    main()
