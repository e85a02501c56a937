"""``consent-training benchmark`` on a tiny corpus: what it measures and how it says so, never how fast anything was."""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from detector.corpus import format_of, read_records
from tests.conftest import DATA
from training.benchmark import SCRIPTS, pages, write_corpus
from training.cli import main
from training.dataset import LabelledDocument, LabelledParagraph


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with few of our documents: a few of each script."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "authored").mkdir()
    for name in ("slots.json", "cookies.csv", "tables.json"):
        shutil.copy(DATA / name, folder / name)
    for language in ("en", "ru", "el", "ja", "fr"):
        lines = (DATA / "authored" / f"{language}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "authored" / f"{language}.jsonl").write_text("".join(lines[:10] + lines[-10:]), encoding="utf-8")
    return folder


def test_all_parts_are_measured(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main(["benchmark", "--data", str(data), "--gigabytes", "0.0002", "--rounds", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    parts = ["on", "scoring", "scripts", "single", "corpora"] + ["memory"] * (sys.platform == "linux")
    assert list(figures) == parts
    assert {"scikit-learn on word 1-2-grams", "six phrases with in", "megabytes_per_second"} <= set(figures["scoring"])
    assert set(figures["scripts"]) == set(SCRIPTS) - {"English"}
    expected = {
        f"{name}: {what}" for name in ("JSONL.zst", "Parquet") for what in ("filtered, in times of the copy", "two workers, in times of one's speed")
    }
    assert set(figures["corpora"]) == {*expected, "two commands at once, in times of one's speed"}
    values = [value for part in parts[1:] for value in figures[part].values()]
    assert all(math.isfinite(value) and value > 0 for value in values)
    if sys.platform == "linux":
        assert len(figures["memory"]) == 6
        assert min(figures["memory"].values()) > 20  # numpy and a model take as much
    assert not list(tmp_path.iterdir())


def test_own_documents_are_measured_and_shown_as_a_table(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps({"body": f"The council met on day {i}.\nIt rained."}) + "\n" for i in range(5)))
    command = ["benchmark", "--data", str(data), "--gigabytes", "0.0001", "--rounds", "1", "--documents", str(tmp_path / "mine.jsonl")]
    assert main([*command, "--text-field", "body"]) == 0
    out = capsys.readouterr().out
    assert "; 5 documents, 0.0 MB" in out
    assert "Parquet: filtered, in times of the copy" in out
    assert main(command) == 2
    assert "no field 'text', only 'body'" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--gigabytes", "0"], ["--rounds", "-1"], ["--gigabytes", "much"], ["--gigabytes", "inf"]])
def test_sizes_are_above_zero(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["benchmark", *option])
    assert "invalid number above 0" in capsys.readouterr().err


def test_a_corpus_repeats_the_documents_up_to_its_size(tmp_path: Path) -> None:
    texts = ["first\nline", "second"]
    for name in ("a.jsonl.zst", "a.parquet"):
        write_corpus(texts, 80_000, tmp_path / name)
        records = list(read_records(str(tmp_path / name), format_of(name)))
        assert len(records) == 10_000
        assert [record.text for record in records[:3]] == [*texts, texts[0]]
        assert len({(record.fields or {})["id"] for record in records}) == 10_000
    assert pq.ParquetFile(tmp_path / "a.parquet").num_row_groups == 3


def test_pages_hold_every_article_once_and_consent_text_in_every_fourth() -> None:
    def document(number: int, label: str) -> LabelledDocument:
        return LabelledDocument(f"{label}{number}", "en", "own", "own", (LabelledParagraph(f"{label} {number}.", label),))

    made = pages([*(document(i, "article") for i in range(80)), document(0, "boilerplate")])
    assert len(made) == 10
    assert sorted(line for page in made for line in page.split("\n") if "article" in line) == sorted(f"article {i}." for i in range(80))
    assert sum("boilerplate" in page for page in made) == 3
    assert not pages([document(0, "article")], ["de"])
