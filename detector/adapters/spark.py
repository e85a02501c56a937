"""Spark 4: ``filter_consent(frame)`` through ``mapInArrow``; ``ship(session)`` sends the package with the job."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from zipfile import ZipFile

from detector import __version__
from detector.adapters.arrow import SPANS, VERDICT, ArrowFilter, host
from detector.model import THRESHOLDS

COLUMNS: Final = f"{VERDICT} string, {SPANS} array<struct<start: bigint, `end`: bigint, probability: double, text: string>>"
"""The columns that are added, as Spark names their types."""


@dataclass(frozen=True)
class Batches:
    """What a Python worker runs."""

    function: ArrowFilter

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Filter record batches; a model file is looked for among those that came with the job."""
        function = self.function
        if function.model is not None:
            function = replace(function, model=host("pyspark", "spark").SparkFiles.get(Path(function.model).name))
        return map(function, batches)


def filter_consent(
    frame: Any,
    text_column: str = "text",
    model: str | os.PathLike[str] | None = None,
    threshold: str | float = THRESHOLDS[0],
    drop_consent_only: bool = False,
) -> Any:
    """Filter a column of a Spark DataFrame; returns another DataFrame.

    All columns are kept; those of `COLUMNS` are added, as `ArrowFilter` says, which has the parameters too. A batch has as many rows as
    ``spark.sql.execution.arrow.maxRecordsPerBatch`` says.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
    model : str or path, optional
        A file of the driver; it is sent to the workers.
    """
    types = host("pyspark.sql.types", "spark")
    kept = [field for field in frame.schema if field.name not in {VERDICT, SPANS}]
    if not any(field.name == text_column and isinstance(field.dataType, types.StringType) for field in kept):
        raise ValueError(f"no column {text_column!r} of strings, only {frame.schema.simpleString()}; name the text's column with text_column")
    if model is not None:
        frame.sparkSession.addArtifacts(os.fspath(model), file=True)
    schema = types.StructType([*kept, *types.StructType.fromDDL(COLUMNS)])
    return frame.mapInArrow(Batches(ArrowFilter(text_column, model, threshold, drop_consent_only)), schema)


def ship(session: Any) -> None:
    """Send this package, joblib and what that imports to the workers, which then need only numpy, pandas and pyarrow."""
    folder = Path(tempfile.mkdtemp(prefix="consent-text-detector-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    archive = folder / f"consent-text-detector-{__version__}.zip"
    with ZipFile(archive, "w") as out:
        for name in ("detector", "joblib", "cloudpickle"):
            root = Path(str(import_module(name).__file__)).parent
            for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"):
                out.write(path, path.relative_to(root.parent))
    session.addArtifacts(str(archive), pyfile=True)
