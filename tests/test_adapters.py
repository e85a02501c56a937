"""`detector.adapters` where no engine is installed: what they say then, and the function of Arrow tables that three of them share."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pyarrow as pa
import pytest

from detector import Detector
from detector.adapters.arrow import ArrowFilter, host

STORY = "The harbour reopens on Monday.\n\n"
BANNER = "We and our 214 partners use cookies to personalise ads.\nAccept all cookies\n"


def test_importing_the_package_imports_no_adapter_and_no_engine() -> None:
    code = "import sys, detector; print([m for m in sys.modules if m.split('.')[0] in ('pyarrow', 'datatrove', 'pyspark') or m.startswith('detector.adapters')])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_adapter_without_its_engine_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("datatrove", "datatrove.data", "pyspark", "pyspark.sql.types", "pyarrow"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "detector.adapters.datatrove", raising=False)
    with pytest.raises(ImportError, match=r"datatrove.data is not installed: pip install 'consent-text-detector\[datatrove\]'"):
        import_module("detector.adapters.datatrove")
    with pytest.raises(ImportError, match=r"pyspark.sql.types is not installed: pip install 'consent-text-detector\[spark\]'"):
        host("pyspark.sql.types", "spark")
    with pytest.raises(ImportError, match=r"pyarrow is not installed: pip install 'consent-text-detector\[corpus\]'"):
        ArrowFilter()(None)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()], ids=str)
@pytest.mark.parametrize("make", [pa.table, pa.record_batch], ids=["table", "batch"])
def test_a_table_keeps_its_columns_and_its_rows_and_gets_two_columns(make: type, kind: pa.DataType) -> None:
    texts = [STORY + BANNER, None, BANNER, "", STORY]
    before = make({"n": pa.array([5, 4, 3, 2, 1], pa.int8()), "consent_spans": [1, 2, 3, 4, 5], "text": pa.array(texts, kind)})
    copy = before.to_pylist()
    after = ArrowFilter()(before)
    assert before.to_pylist() == copy
    assert type(after) is type(before)
    assert after.schema.names == ["n", "text", "consent_verdict", "consent_spans"]
    assert (after.schema.field("n").type, after.schema.field("text").type) == (pa.int8(), kind)
    assert after.column("n").to_pylist() == [5, 4, 3, 2, 1]
    assert after.column("text").to_pylist() == [STORY, None, "", "", STORY]
    assert after.column("consent_verdict").to_pylist() == ["filtered", None, "consent_only", "clean", "clean"]
    spans = after.column("consent_spans").to_pylist()
    assert [spans[i] for i in (1, 3, 4)] == [None, [], []]
    assert [(s["start"], s["end"], s["text"]) for s in spans[0]] == [(p.start, p.end, p.text) for p in Detector.load().filter(STORY + BANNER).removed]
    assert ArrowFilter(drop_consent_only=True)(before).column("n").to_pylist() == [5, 4, 2, 1]


def test_a_table_of_no_rows_has_the_same_columns() -> None:
    empty = pa.table({"text": pa.array([], pa.string())})
    assert ArrowFilter()(empty).schema == ArrowFilter()(pa.table({"text": [STORY]})).schema


def test_another_column_and_another_threshold_may_be_named() -> None:
    table = pa.table({"content": [STORY + BANNER]})
    assert ArrowFilter("content", threshold=1.0)(table).column("content").to_pylist() == [STORY + BANNER]
    with pytest.raises(ValueError, match=r"no column 'text', only 'content'; name the text's column with text_column"):
        ArrowFilter()(table)


def test_a_batch_that_is_no_table_is_refused() -> None:
    with pytest.raises(TypeError, match=r"must be a pyarrow.Table or RecordBatch, got dict; give Arrow tables"):
        ArrowFilter()({"text": [STORY]})
