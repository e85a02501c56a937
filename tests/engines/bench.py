"""Measure what each engine with its adapter takes beside `Detector.filter_batch` in one process, and print the tables of README.md.

Run by ``make bench-engines``. Every engine has one worker. Of each time the least of five runs in turn is taken, less what the same job takes with
one document, so that neither the start of an engine nor a busy moment of the machine counts.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from detector import Detector, cli
from detector.adapters.datasets import ConsentFilter as DatasetsFilter
from detector.adapters.datatrove import ConsentFilter as DatatroveFilter
from detector.adapters.ray import ConsentFilter as RayFilter
from detector.adapters.spark import filter_consent

RUNS = 5
BATCH = 1000
COPIES = 2
"""So often the documents are given, for a run that is long beside what an engine spends on a task."""
CORPORA = (("1 TB", 1), ("10 TB", 10), ("FineWeb: 60 TB", 60))
CORES = (16, 128, 1024)
DETECTOR = Detector.load()


def documents_of(paths: list[str]) -> list[str]:
    """Texts of files of labelled documents."""
    lines = (line for path in paths for line in (gzip.open if path.endswith(".gz") else open)(path, "rt", encoding="utf-8"))
    return ["".join(p["text"] + "\n" for p in json.loads(line)["paragraphs"]) for line in lines]


def with_filter_batch(texts: list[str]) -> None:
    """The measure of all others."""
    for i in range(0, len(texts), BATCH):
        for document in DETECTOR.filter_batch(texts[i : i + BATCH]):
            assert document.text is not None


def with_datatrove(texts: list[str], *, filtered: bool) -> None:
    """A pipeline in this process."""
    from datatrove.data import Document
    from datatrove.executor import LocalPipelineExecutor

    def read(data: Any, rank: int, world_size: int) -> Iterator[Document]:
        yield from (Document(text, str(i)) for i, text in enumerate(texts))

    steps: list[Any] = [read, DatatroveFilter(batch_size=BATCH)] if filtered else [read]
    with tempfile.TemporaryDirectory() as folder:
        LocalPipelineExecutor(steps, logging_dir=folder, workers=1).run()


def with_spark(session: Any, texts: list[str], *, filtered: bool) -> None:
    """One core of Spark, from Arrow to nowhere; without the filter its batches go through Python all the same."""
    frame = session.createDataFrame(pa.table({"text": texts}))
    made = filter_consent(frame) if filtered else frame.mapInArrow(lambda batches: batches, frame.schema)
    made.write.format("noop").mode("overwrite").save()


def with_datasets(texts: list[str], *, filtered: bool) -> None:
    """`Dataset.map` in this process, written to the cache as always."""
    import datasets

    with tempfile.TemporaryDirectory() as folder:
        data = datasets.Dataset(pa.table({"text": texts})).with_format("arrow")
        function = DatasetsFilter() if filtered else (lambda table: table)
        data.map(function, batched=True, batch_size=BATCH, cache_file_name=f"{folder}/cache.arrow", new_fingerprint="0")


class Same:
    """An actor that does nothing."""

    def __call__(self, table: Any) -> Any:  # noqa: D102 - with the class
        return table


def with_ray(ray: Any, texts: list[str], *, filtered: bool) -> None:
    """One actor."""
    data = ray.data.from_arrow([pa.table({"text": texts[i : i + BATCH]}) for i in range(0, len(texts), BATCH)])
    one = ray.data.ActorPoolStrategy(size=1)
    data.map_batches(RayFilter if filtered else Same, batch_format="pyarrow", batch_size=BATCH, compute=one).materialize()


def with_the_command(texts: list[str], output: str) -> None:
    """``consent-detector filter`` from JSONL to JSONL, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.jsonl"
        source.write_text("".join(json.dumps({"id": i, "text": t}, ensure_ascii=False) + "\n" for i, t in enumerate(texts)), encoding="utf-8")
        start = time.perf_counter()
        cli.main(["filter", str(source), "--output", output, "-o", f"{folder}/out.jsonl"])
        TIMED.append(time.perf_counter() - start)


TIMED: list[float] = []
"""Seconds of a job that leaves out what it prepares."""


def seconds(job: Callable[[list[str]], None], texts: list[str]) -> float:
    """Seconds of one run."""
    TIMED.clear()
    start = time.perf_counter()
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        job(texts)
    return TIMED[-1] if TIMED else time.perf_counter() - start


def _time(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{hours * 60:,.1f} min"


def main(paths: list[str]) -> None:
    """Print both tables."""
    import datasets
    import ray
    from datatrove.utils.logging import logger
    from pyspark.sql import SparkSession

    texts = documents_of(paths) * COPIES
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    logger.remove()
    datasets.disable_progress_bars()
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1", RAY_USAGE_STATS_ENABLED="0")
    session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    engines: dict[str, Callable[..., None]] = {
        "datatrove": with_datatrove,
        "Spark": partial(with_spark, session),
        "Hugging Face datasets": with_datasets,
        "Ray Data": partial(with_ray, ray),
    }
    jobs: dict[str, Callable[[list[str]], None]] = {"filter_batch": with_filter_batch}
    for name, job in engines.items():
        jobs[name] = partial(job, filtered=True)
        jobs[f"{name} alone"] = partial(job, filtered=False)
    jobs["consent-detector filter"] = partial(with_the_command, output="text")
    jobs["consent-detector filter --output dolma"] = partial(with_the_command, output="dolma")
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
    core = []
    for _ in range(RUNS):
        for name, job in jobs.items():
            times[name].append((seconds(job, texts), seconds(job, texts[:1])))
        start = time.process_time()
        with_filter_batch(texts)
        core.append(time.process_time() - start)
    least = {name: max(min(a for a, _ in pairs) - min(b for _, b in pairs), 0.0) for name, pairs in times.items()}
    base = least["filter_batch"]
    print(f"Python {platform.python_version()}, numpy {np.__version__}; {len(texts):,} documents, {megabytes:.1f} MB of UTF-8\n")
    print("| | seconds | beside `filter_batch` | the same job without the filter |\n|---|---|---|---|")
    for name in jobs:
        if not name.endswith(" alone"):
            alone = least.get(f"{name} alone")
            print(f"| {name} | {least[name]:.2f} | {least[name] / base:.2f} | {'' if alone is None else f'{alone / base:.2f}'} |")
    rate = megabytes / min(core)
    print(f"\none core: {len(texts) / min(core):,.0f} documents/s, {rate:.1f} MB/s ({min(core):.2f} s of processor time)\n")
    dearest = max(least[name] for name in engines) / base
    hours_of = f"{1 / rate * 1e6 / 3600:.2f} h x TB"
    print(f"| corpus | core hours of `filter_batch` ({hours_of}) | x {dearest:.1f} |" + "".join(f" {n:,} cores |" for n in CORES))
    print("|---|---|---|" + "---|" * len(CORES))
    for name, terabytes in CORPORA:
        hours = terabytes * 1e6 / rate / 3600
        print(f"| {name} | {hours:,.1f} | {hours * dearest:,.1f} |" + "".join(f" {_time(hours * dearest / n)} |" for n in CORES))
    session.stop()
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1:])
