"""Sessions of the engines, and the settings that keep them on this machine and quiet."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.update(
    PYSPARK_PYTHON=sys.executable,
    SPARK_LOCAL_IP="127.0.0.1",
    RAY_USAGE_STATS_ENABLED="0",
    RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",  # else it warns that this will be so one day
    HF_HUB_OFFLINE="1",
)
PARTITIONS = 4


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Spark on two cores, which runs a task again up to three times, as a cluster does."""
    from pyspark.sql import SparkSession

    assert os.environ.get("JAVA_HOME") or shutil.which("java"), "Spark 4 needs Java 17 or later: apt-get install openjdk-17-jre-headless"
    settings = {"spark.ui.enabled": "false", "spark.sql.execution.arrow.maxRecordsPerBatch": "40", "spark.sql.shuffle.partitions": str(PARTITIONS)}
    session = SparkSession.builder.master("local[2,4]").config(map=settings).getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """Ray on two cores."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=400_000_000, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield ray
    ray.shutdown()


@pytest.fixture(autouse=True)
def cache_of_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results of Hugging Face datasets are cached in a folder of the test."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
