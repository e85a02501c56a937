"""The fuzzer on `filter`, on each reader and on model files, for a stated time each: `FUZZ_SECONDS`, 10 unless another is given."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.conftest import Tried

SECONDS = int(os.environ.get("FUZZ_SECONDS", "10"))
TARGETS = ("filter", "text", "JSONL", "WET", "Parquet", "gzip", "Zstandard", "model")


@pytest.mark.parametrize("target", TARGETS)
def test_a_fuzzer_finds_nothing(target: str, tmp_path: Path, tried: Tried) -> None:
    command = [sys.executable, "-m", "tests.torture.fuzz", target, str(SECONDS), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, errors="replace")
    found = sorted(path.name for path in tmp_path.glob("*-*") if path.is_file())
    assert run.returncode == 0, f"{found}: run {' '.join(command[:4])} 0 {tmp_path}/{found[:1]}\n{run.stderr[-3000:]}"
    tested = re.search(r"number_of_executed_units: (\d+)", run.stderr)
    assert tested, run.stderr[-1000:]
    assert int(tested[1]) > 100
    tried(f"inputs of a coverage-guided fuzzer on {target}, in {SECONDS} seconds", int(tested[1]))
