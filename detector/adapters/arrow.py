"""Filter a column of an Arrow table or record batch: what Spark, Hugging Face datasets and Ray Data have in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Final

from detector.filtering import Detector
from detector.model import THRESHOLDS
from detector.results import removed_spans

VERDICT: Final = "consent_verdict"
SPANS: Final = "consent_spans"


@cache
def detector_of(model: str | None, threshold: str | float) -> Detector:
    """The detector of this process: a worker loads a model once, when its first batch comes."""
    return Detector.load(model, threshold)


def host(module: str, extra: str) -> Any:
    """Import an engine, or say how to install it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f"{error.name} is not installed: pip install 'consent-text-detector[{extra}]'") from error


@dataclass(frozen=True)
class ArrowFilter:
    """A function from a table to a table of the same columns, with the text filtered and two columns more; it pickles without the model.

    Parameters
    ----------
    text_column : str
        Strings, or null, which stays null in all three columns.
    model : str or path, optional
        A file that every worker can read; by default the model that comes with the package.
    threshold : {"precision", "balanced", "recall"} or float
    drop_consent_only : bool
        Whether rows with the verdict "consent_only" are left out.

    Notes
    -----
    The column ``consent_verdict`` has the verdict, ``consent_spans`` start, end (code points in the text as it came), probability and text of each
    paragraph that was taken out. Columns of these names are replaced. Arrow strings are UTF-8, so a lone surrogate never gets here.
    """

    text_column: str = "text"
    model: str | os.PathLike[str] | None = None
    threshold: str | float = THRESHOLDS[0]
    drop_consent_only: bool = False
    ASK: ClassVar[str] = "give Arrow tables"

    def __call__(self, table: Any) -> Any:
        """Filter a pyarrow.Table or RecordBatch; it is not written to."""
        arrow = host("pyarrow", "corpus")
        if not isinstance(table, (arrow.Table, arrow.RecordBatch)):
            raise TypeError(f"a batch must be a pyarrow.Table or RecordBatch, got {type(table).__name__}; {self.ASK}")
        names = table.schema.names
        if self.text_column not in names:
            raise ValueError(f"no column {self.text_column!r}, only {', '.join(map(repr, names))}; name the text's column with text_column")
        texts = table.column(self.text_column).to_pylist()
        detector = detector_of(None if self.model is None else os.fspath(self.model), self.threshold)
        found = iter(detector.filter_batch([text for text in texts if text is not None]))
        documents = [None if text is None else next(found) for text in texts]
        span = arrow.struct([("start", arrow.int64()), ("end", arrow.int64()), ("probability", arrow.float64()), ("text", arrow.string())])
        spans = [d and [{**s, "text": d.original[s["start"] : s["end"]]} for s in removed_spans(d)] for d in documents]
        place = names.index(self.text_column)
        field = table.schema.field(place)
        table = table.set_column(place, field, arrow.array([d and d.text for d in documents], field.type))
        table = table.select([name for name in names if name not in {VERDICT, SPANS}])
        verdicts = [d and d.verdict for d in documents]
        table = table.append_column(VERDICT, arrow.array(verdicts, arrow.string())).append_column(SPANS, arrow.array(spans, arrow.list_(span)))
        return table.filter(arrow.array([v != "consent_only" for v in verdicts], arrow.bool_())) if self.drop_consent_only else table
