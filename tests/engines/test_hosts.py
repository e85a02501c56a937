"""What each engine adds of its own: shipping the package, caching, and texts that an engine can't carry."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from datatrove.data import Document
from datatrove.pipeline.writers import JsonlWriter

from detector import Detector
from detector.adapters.datasets import ConsentFilter as DatasetsFilter
from detector.adapters.datatrove import ConsentFilter as DatatroveFilter
from detector.adapters.ray import ConsentFilter as RayFilter
from detector.adapters.spark import filter_consent
from detector.persistence import SHIPPED, save_model
from tests.engines.corpus import BANNER, STORY
from tests.engines.test_engines import mix

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")
SURROGATE = f"\ud800{STORY}{BANNER}"


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has what Spark's Arrow functions need, and nothing of ours, as on a worker of a cluster."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder)
    site = next((folder / "lib").glob("python*/site-packages"))
    source = Path(np.__file__).parent.parent
    for name in (
        "numpy",
        "numpy.libs",
        "pyarrow",
        "pandas",
        "pandas.libs",
        "dateutil",
        "pytz",
        "tzdata",
        "six.py",
        "numpy-*",
        "pyarrow-*",
        "pandas-*",
    ):
        for path in source.glob(name):
            (site / path.name).symlink_to(path)
    return folder / "bin" / "python"


SHIPPING = """
import sys
from pyspark.sql import SparkSession
from detector.adapters.spark import filter_consent, ship

def places(batches):
    import os, detector, joblib, pyarrow
    for batch in batches:
        yield pyarrow.RecordBatch.from_pydict({"place": [detector.__file__, joblib.__file__]})

session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
frame = session.createDataFrame([(text,) for text in sys.argv[1:]], ["text"]).repartition(2)
if "" not in sys.argv:
    ship(session)
for row in filter_consent(frame).collect():
    print("text", repr(row.text))
for row in frame.mapInArrow(places, "place string").collect():
    print("place", row.place)
session.stop()
"""


def run_bare(bare_python: Path, folder: Path, *texts: str) -> subprocess.CompletedProcess[str]:
    subprocess.run([bare_python, "-c", "import numpy, pyarrow, pandas"], check=True)
    (folder / "job.py").write_text(SHIPPING, encoding="utf-8")
    environment = {**os.environ, "PYSPARK_PYTHON": str(bare_python), "PYSPARK_DRIVER_PYTHON": sys.executable}
    return subprocess.run([sys.executable, "job.py", *texts], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)


def test_a_spark_worker_without_our_package_gets_it_with_the_job(bare_python: Path, tmp_path: Path) -> None:
    done = run_bare(bare_python, tmp_path, STORY + BANNER, BANNER)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line.partition(" ") for line in done.stdout.splitlines()]
    assert sorted(value for kind, _, value in lines if kind == "text") == sorted(
        repr(Detector.load().filter(t).text) for t in (STORY + BANNER, BANNER)
    )
    places = {value for kind, _, value in lines if kind == "place"}
    assert {place.rpartition(".zip/")[2] for place in places} == {"detector/__init__.py", "joblib/__init__.py"}
    assert all(".zip/" in place for place in places)


def test_without_it_the_job_fails(bare_python: Path, tmp_path: Path) -> None:
    done = run_bare(bare_python, tmp_path, STORY + BANNER, "")
    assert done.returncode != 0
    assert "No module named 'detector'" in done.stderr


def test_a_model_of_ones_own_goes_with_the_job(spark: Any, tmp_path: Path) -> None:
    model = Detector.load().model
    save_model(replace(model, thresholds={**model.thresholds, "precision": 1.0}), tmp_path / "cautious.joblib")
    frame = spark.createDataFrame([(STORY + BANNER,)], ["text"])
    assert [row.consent_verdict for row in filter_consent(frame, model=tmp_path / "cautious.joblib").collect()] == ["clean"]
    assert [row.consent_verdict for row in filter_consent(frame).collect()] == ["filtered"]


def test_spark_names_the_columns_where_the_text_is_not_found(spark: Any) -> None:
    frame = spark.createDataFrame([(1, STORY)], ["number", "content"])
    with pytest.raises(ValueError, match=r"no column 'text' of strings, only struct<number:bigint,content:string>; name the text's column"):
        filter_consent(frame)
    assert filter_consent(frame, "content").columns == ["number", "content", "consent_verdict", "consent_spans"]


def test_a_result_is_found_in_the_cache_by_another_process_and_not_with_another_model(tmp_path: Path) -> None:
    code = "from datasets.fingerprint import Hasher; from detector.adapters.datasets import ConsentFilter; print(Hasher.hash(ConsentFilter()))"
    seeds = ({**os.environ, "PYTHONHASHSEED": seed} for seed in ("1", "2"))
    others = [subprocess.run([sys.executable, "-c", code], env=seed, capture_output=True, text=True, check=True).stdout.strip() for seed in seeds]
    assert set(others) == {datasets.fingerprint.Hasher.hash(DatasetsFilter())}

    source = datasets.Dataset.from_dict({"text": [STORY + BANNER, STORY]})
    source.save_to_disk(tmp_path / "saved")
    saved = datasets.load_from_disk(tmp_path / "saved").with_format("arrow")
    model = tmp_path / "mine.joblib"
    model.write_bytes(SHIPPED.read_bytes())

    def files_of(function: DatasetsFilter) -> list[tuple[str, int]]:
        files = [Path(file["filename"]) for file in saved.map(function, batched=True).cache_files]
        return [(path.name, path.stat().st_mtime_ns) for path in files]

    first = files_of(DatasetsFilter(model=model))
    assert files_of(DatasetsFilter(model=model)) == first
    assert files_of(DatasetsFilter(model=model, threshold="recall")) != first
    save_model(replace(Detector.load(model).model, card={"note": "another"}), model)
    assert files_of(DatasetsFilter(model=model)) != first


def test_the_first_thousand_documents_may_all_be_clean() -> None:
    texts = [STORY] * 1_500 + [STORY + BANNER]
    made = datasets.Dataset.from_dict({"text": texts}).with_format("arrow").map(DatasetsFilter(), batched=True, batch_size=500).with_format(None)
    assert [len(spans) for spans in made["consent_spans"]] == [0] * 1_500 + [3]


@pytest.mark.parametrize(
    ("function", "say"), [(DatasetsFilter(), r'with_format\("arrow"\)'), (RayFilter(), 'batch_format="pyarrow"')], ids=["datasets", "ray"]
)
@pytest.mark.parametrize("batch", [{"text": [STORY]}, {"text": np.array([STORY])}, pd.DataFrame({"text": [STORY]})], ids=["lists", "numpy", "pandas"])
def test_a_batch_of_another_format_is_refused_with_the_way_out(function: Any, say: str, batch: Any) -> None:
    with pytest.raises(TypeError, match=say):
        function(batch)


def test_a_lone_surrogate_goes_through_datatrove_and_is_refused_by_its_writer(tmp_path: Path) -> None:
    (document,) = DatatroveFilter().run(iter([Document(SURROGATE, "1")]))
    assert document.text == f"\ud800{STORY}"
    with pytest.raises(TypeError, match="surrogates"), JsonlWriter(str(tmp_path)) as writer:
        writer.write(document)


def test_a_lone_surrogate_can_not_be_given_to_arrow_and_so_not_to_datasets() -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        pa.array([SURROGATE])
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        datasets.Dataset.from_dict({"text": [SURROGATE]})


def test_spark_replaces_a_lone_surrogate_before_we_see_it(spark: Any, tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(json.dumps({"text": SURROGATE}), encoding="utf-8")
    made, read = spark.createDataFrame([(SURROGATE,)], ["text"]), spark.read.json(str(tmp_path / "one.json"))
    assert [row.text for row in filter_consent(made.union(read)).collect()] == [f"\ufffd{STORY}", f"?{STORY}"]


def test_ray_stops_at_a_lone_surrogate(ray: Any) -> None:
    data = ray.data.from_items([{"text": SURROGATE}])
    with pytest.raises(ray.exceptions.RayTaskError, match="surrogates not allowed"):
        data.map_batches(RayFilter, batch_format="pyarrow", compute=ray.data.ActorPoolStrategy(size=1)).take_all()


def test_dolma_stops_at_a_lone_surrogate(tmp_path: Path) -> None:
    run = mix(tmp_path, [{"id": "1", "text": SURROGATE}])
    assert run.returncode != 0
    assert "end of hex escape" in run.stderr
    with gzip.open(tmp_path / "corpus" / "attributes" / "consent" / "part.jsonl.gz") as attributes:  # ours are right: the text is dolma's to read
        assert len(json.loads(attributes.read())["attributes"].popitem()[1]) == 3
