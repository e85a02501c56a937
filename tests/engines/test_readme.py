"""The examples of README.md, part "Engines", run as they stand there, in a folder with the files that they name."""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as arrow_files
import pytest

from detector import Detector
from tests.engines.corpus import ROOT, rows

ENGINES = ("datatrove", "Spark", "Hugging Face datasets", "Ray Data", "dolma")
LINES = 10
PAGES = [row for row in rows() if row["text"].strip() and len(row["text"]) < 50_000][:200]


def blocks(heading: str) -> dict[str, str]:
    """Code blocks below a heading, by language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition(f"\n### {heading}\n")[2]
    part = re.split(r"\n##", part)[0]
    return dict(re.findall(r"```(\w+)\n(.*?)```", part, re.DOTALL))


def written(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows that an example wrote."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".crc"):
        if path.suffix == ".parquet":
            yield from arrow_files.dataset(path).to_table().to_pylist()
        elif path.suffix in {".gz", ".jsonl"}:
            with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
                yield from map(json.loads, lines)


def test_every_engine_has_its_example_and_no_other_is_named() -> None:
    part = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Engines\n")[2].partition("\n## ")[0]
    assert tuple(re.findall(r"^### (.+)$", part, re.MULTILINE)) == ENGINES


@pytest.mark.parametrize("engine", ENGINES)
def test_an_example_does_what_filter_batch_does(engine: str, tmp_path: Path) -> None:
    found = blocks(engine)
    commands = [[sys.executable, "example.py"]]
    if engine == "dolma":
        (tmp_path / "mix.json").write_text(found["json"], encoding="utf-8")
        commands = [["sh", "-e", "-c", found["sh"]]]
    else:
        (tmp_path / "example.py").write_text(found["python"], encoding="utf-8")
        assert len(found["python"].splitlines()) <= LINES
    source = tmp_path / ("pages/documents" if engine == "dolma" else "pages")
    source.mkdir(parents=True)
    for i in range(2):
        with gzip.open(source / f"{i}.jsonl.gz", "wt", encoding="utf-8") as out:
            out.writelines(json.dumps({"id": row["id"], "text": row["text"], "source": "test"}) + "\n" for row in PAGES[i::2])
    path = os.pathsep.join([str(Path(sys.executable).parent), str(ROOT / ".venv-dolma" / "bin"), os.environ["PATH"]])
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
    documents = {row["id"]: d for row, d in zip(PAGES, Detector.load().filter_batch([row["text"] for row in PAGES]), strict=True)}
    assert {d.verdict for d in documents.values()} == {"clean", "filtered", "consent_only"}
    made = list(written(tmp_path / "clean"))
    kept = {name: d.text for name, d in documents.items() if engine == "dolma" or d.verdict != "consent_only"}
    assert len(made) == len(kept)
    assert {row["id"]: row.get("text", "") for row in made} == kept
