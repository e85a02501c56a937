"""The same 300 documents through every adapter on its real engine: each gives what `Detector.filter_batch` gives in one process."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.writers import JsonlWriter

from detector.adapters.arrow import SPANS, VERDICT, ArrowFilter, detector_of
from detector.adapters.datasets import ConsentFilter as DatasetsFilter
from detector.adapters.datatrove import ConsentFilter as DatatroveFilter
from detector.adapters.ray import ConsentFilter as RayFilter
from detector.adapters.spark import Batches, filter_consent
from detector.results import DOLMA_ATTRIBUTE
from tests.engines.conftest import PARTITIONS
from tests.engines.corpus import ROOT, Expected, expected, rows, spans_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")  # Ray Data warns of its own settings
TASKS = 4
DOLMA = ROOT / ".venv-dolma" / "bin" / "dolma"
Found = dict[str, tuple[Any, ...]]


def of_rows(found: list[dict[str, Any]]) -> Found:
    """Rows of a table engine as they are compared, whose other columns must be as they were."""
    for row in found:
        before = rows()[row["number"]]
        assert {name: row[name] for name in ("id", "number", "meta")} == {name: before[name] for name in ("id", "number", "meta")}
    return {
        row["id"]: (row["text"], row[VERDICT], [tuple(s[k] for k in ("start", "end", "probability", "text")) for s in row[SPANS]]) for row in found
    }


def table() -> pa.Table:
    return pa.Table.from_pylist(rows())


def spark_frame(spark: Any) -> Any:
    return spark.createDataFrame(table()).repartition(PARTITIONS, "id")


def through_spark(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    frame = spark_frame(request.getfixturevalue("spark"))
    assert frame.rdd.getNumPartitions() == PARTITIONS
    found = filter_consent(frame).toArrow().to_pylist()
    return of_rows(found), len(found)


def in_ray(ray: Any, function: type = RayFilter, **settings: Any) -> list[dict[str, Any]]:
    """Six blocks through two actors."""
    data = ray.data.from_arrow([table().slice(i, 50) for i in range(0, len(rows()), 50)])
    two = ray.data.ActorPoolStrategy(size=2)
    found = data.map_batches(function, batch_format="pyarrow", batch_size=20, compute=two, fn_constructor_kwargs=settings).take_all()
    return list(found)


def through_ray(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    found = in_ray(request.getfixturevalue("ray"))
    return of_rows(found), len(found)


def through_datasets(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    data = datasets.Dataset(table()).with_format("arrow").map(DatasetsFilter(), batched=True, batch_size=30, num_proc=2)
    found = data.with_format(None).to_list()
    return of_rows(found), len(found)


def through_streaming_datasets(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    stream = datasets.Dataset(table()).to_iterable_dataset(num_shards=3).with_format("arrow")
    found = list(stream.map(DatasetsFilter(), batched=True, batch_size=30).with_format(None))
    return of_rows(found), len(found)


def read_share(data: Any, rank: int, world_size: int) -> Iterator[Document]:
    """A datatrove step: the documents of a task; datatrove's own reader leaves empty documents out."""
    yield from (Document(row["text"], row["id"], metadata={"number": row["number"]}) for row in rows()[rank::world_size])


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("*.gz")) for line in gzip.open(path, "rt", encoding="utf-8")]


def pipeline(folder: Path, *others: Callable[..., Any]) -> list[Any]:
    step = DatatroveFilter(removed_writer=JsonlWriter(str(folder / "removed")), batch_size=30)
    return [read_share, *others, step, JsonlWriter(str(folder / "out"))]


def of_datatrove(folder: Path) -> tuple[Found, int]:
    found = lines_of(folder / "out")
    removed = {row["id"]: row for row in lines_of(folder / "removed")}
    made: Found = {}
    for row in found:
        original = rows()[row["metadata"]["number"]]["text"]
        spans = spans_of(removed[row["id"]]["metadata"][SPANS], original) if row["id"] in removed else []
        assert "".join(span[3] for span in spans) == (removed[row["id"]]["text"] if spans else "")
        made[row["id"]] = (row.get("text", ""), row["metadata"][VERDICT], spans)
    return made, len(found)


def through_datatrove(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    stats = LocalPipelineExecutor(pipeline(folder), tasks=TASKS, workers=2, logging_dir=str(folder / "logs")).run()
    counts = next(step for step in json.loads(stats.to_json()) if "consent text" in step["name"])["stats"]
    changed = [(e.spans, len(row["text"]) - len(e.text)) for row, e in zip(rows(), expected().values(), strict=True) if e.spans]
    assert counts["removed_paragraphs"]["total"] == sum(len(spans) for spans, _ in changed)
    assert counts["removed_characters"]["total"] == sum(n for _, n in changed)
    return of_datatrove(folder)


def through_resumed_datatrove(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    fixed = folder / "fixed"

    def stumble(data: Any, rank: int, world_size: int) -> Iterator[Document]:
        for i, doc in enumerate(data):
            if rank == TASKS - 1 and i == 40 and not fixed.exists():
                raise OSError("the disk is full")
            yield doc

    def run() -> None:
        LocalPipelineExecutor(pipeline(folder, stumble), tasks=TASKS, workers=1, logging_dir=str(folder / "logs")).run()

    with pytest.raises(OSError, match="disk is full"):
        run()
    done = {path.name: path.stat().st_mtime_ns for path in (folder / "logs" / "completions").iterdir()}
    assert len(done) == TASKS - 1
    fixed.touch()
    run()
    assert all((folder / "logs" / "completions" / name).stat().st_mtime_ns == when for name, when in done.items())
    return of_datatrove(folder)


def mix(folder: Path, documents: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Write documents, let the command write the attributes, and dolma's own mixer take the spans out."""
    corpus = folder / "corpus"
    for name in ("documents", "attributes/consent"):
        (corpus / name).mkdir(parents=True)
    with gzip.open(corpus / "documents" / "part.jsonl.gz", "wt", encoding="utf-8") as out:
        out.writelines(json.dumps({**row, "source": "test"}) + "\n" for row in documents)
    command = [sys.executable, "-m", "detector.cli", "filter", "documents/part.jsonl.gz", "--output", "dolma"]
    subprocess.run([*command, "-o", "attributes/consent/part.jsonl.gz"], cwd=corpus, check=True, capture_output=True)
    span = {"span": f"$.attributes.{DOLMA_ATTRIBUTE}", "min_score": 0.0, "replacement": ""}
    stream = {"name": "mixed", "documents": ["corpus/documents/*.gz"], "attributes": ["consent"], "span_replacement": [span]}
    settings = {"streams": [{**stream, "output": {"path": "corpus/mixed"}}], "processes": 1}
    (folder / "mix.json").write_text(json.dumps(settings), encoding="utf-8")
    return subprocess.run([DOLMA, "-c", "mix.json", "mix"], cwd=folder, capture_output=True, text=True, check=False)


def through_dolma(request: pytest.FixtureRequest, folder: Path) -> tuple[Found, int]:
    run = mix(folder, rows())
    assert run.returncode == 0, run.stdout + run.stderr
    found = lines_of(folder / "corpus" / "mixed")
    attributes = lines_of(folder / "corpus" / "attributes" / "consent")
    assert [row["id"] for row in attributes] == [row["id"] for row in rows()]
    made: Found = {}
    for row, attribute in zip(found, attributes, strict=True):
        original = rows()[row["number"]]["text"]
        ((_, spans),) = attribute["attributes"].items()
        # dolma has no verdict: that is what its filters are for
        made[row["id"]] = (row["text"], expected()[row["id"]].verdict, [(a, b, p, original[a:b]) for a, b, p in spans])
    return made, len(found)


ENGINES = {f.__name__.removeprefix("through_").replace("_", " "): f for f in (
    through_datatrove, through_resumed_datatrove, through_spark, through_datasets, through_streaming_datasets, through_ray, through_dolma,
)}  # fmt: skip


def test_the_documents_are_what_the_table_needs() -> None:
    verdicts = Counter(e.verdict for e in expected().values())
    assert len(rows()) == len(expected()) == 300
    assert min(verdicts[v] for v in ("clean", "filtered", "consent_only")) >= 10
    assert max(len(row["text"]) for row in rows()) >= 1_000_000


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_gives_what_filter_batch_gives(engine: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    found, number = ENGINES[engine](request, tmp_path)
    assert number == len(found) == len(rows())
    assert {name: Expected(*row) for name, row in found.items()} == expected()


def kept_where_dropped() -> dict[str, Expected]:
    return {name: e for name, e in expected().items() if e.verdict != "consent_only"}


def test_documents_of_nothing_else_are_dropped_where_asked(spark: Any, ray: Any, tmp_path: Path) -> None:
    kept = kept_where_dropped()
    in_arrow = datasets.Dataset(table()).with_format("arrow")
    step = DatatroveFilter(drop_consent_only=True, exclusion_writer=JsonlWriter(str(tmp_path / "dropped")), batch_size=30)
    found: dict[str, Any] = {
        "spark": of_rows(filter_consent(spark_frame(spark), drop_consent_only=True).toArrow().to_pylist()),
        "datasets": of_rows(in_arrow.map(DatasetsFilter(drop_consent_only=True), batched=True).with_format(None).to_list()),
        "stream": of_rows(list(in_arrow.to_iterable_dataset().map(DatasetsFilter(drop_consent_only=True), batched=True).with_format(None))),
        "ray": of_rows(in_ray(ray, drop_consent_only=True)),
    }
    for name, of_engine in found.items():
        assert {i: Expected(*row) for i, row in of_engine.items()} == kept, name
    assert {doc.id: doc.text for doc in step.run(read_share(None, 0, 1))} == {name: e.text for name, e in kept.items()}
    dropped = {row["id"]: row for row in lines_of(tmp_path / "dropped")}
    texts = {row["id"]: row["text"] for row in rows()}
    assert {name: row["text"] for name, row in dropped.items()} == {name: texts[name] for name in expected() if name not in kept}
    assert {row["metadata"]["filter_reason"] for row in dropped.values()} == {"consent_only"}


def test_a_spark_worker_that_dies_costs_a_retry_and_no_record(spark: Any, tmp_path: Path) -> None:
    died = tmp_path / "died"
    frame = spark_frame(spark)

    def dying(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for i, batch in enumerate(Batches(ArrowFilter())(batches)):
            if i == 1 and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            yield batch

    found = frame.mapInArrow(dying, filter_consent(frame).schema).toArrow().to_pylist()
    assert died.exists()
    assert len(found) == len(rows())
    assert {name: Expected(*row) for name, row in of_rows(found).items()} == expected()


def test_a_ray_actor_that_dies_costs_a_retry_and_no_record(ray: Any, tmp_path: Path) -> None:
    died = tmp_path / "died"

    class Dying(RayFilter):
        def __call__(self, batch: Any) -> Any:
            made = super().__call__(batch)
            if "doc-150" in batch.column("id").to_pylist() and not died.exists():
                died.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return made

    found = in_ray(ray, Dying)
    assert died.exists()
    assert len(found) == len(rows())
    assert {name: Expected(*row) for name, row in of_rows(found).items()} == expected()


def test_a_spark_worker_loads_the_model_once(spark: Any) -> None:
    def loads(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in Batches(ArrowFilter())(batches):
            yield pa.RecordBatch.from_pydict({"worker": [os.getpid()], "loads": [detector_of.cache_info().misses]})

    found = spark.createDataFrame(table()).repartition(8, "id").mapInArrow(loads, "worker long, loads long").toArrow().to_pylist()
    assert len(found) > len({row["worker"] for row in found})
    assert {row["loads"] for row in found} == {1}


@pytest.mark.parametrize("pickled", [DatatroveFilter(), DatasetsFilter(), RayFilter(), Batches(ArrowFilter())], ids=repr)
def test_a_filter_pickles_without_the_model(pickled: Any) -> None:
    detector_of(None, "precision")
    assert len(pickle.dumps(pickled)) < 2_000
