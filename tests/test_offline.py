"""Nothing is fetched or sent at run time: each command is run, with workers, where the network is forbidden."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from detector.cli import main
from tests.conftest import DATA
from tests.no_network import TRIED
from tests.test_cli import PAGE

COMMANDS = {
    "filter": ["in", "-o", "out", "--workers", "2", "--removed", "removed.jsonl", "--stats", "stats.json"],
    "score": ["in", "-o", "scores"],
    "explain": ["in/d.txt"],
    "review": ["in", "-o", "review.html"],
}
"""Each command of consent-detector, with its arguments."""
TRIES = """
import socket, urllib.request
from joblib.externals.loky import ProcessPoolExecutor
def connect(): socket.create_connection(("127.0.0.1", 9), 1)
def ask(): socket.getaddrinfo("consent.example", 443)
def fetch(): urllib.request.urlopen("https://consent.example/", timeout=1)
def send(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
for call in (connect, ask, fetch, send):
    try:
        call()
    except PermissionError as error:
        print(error)
print(ProcessPoolExecutor(1).submit(socket.getaddrinfo, "consent.example", 443).exception())
"""


def offline(folder: Path, *command: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run Python without network; what came of it, and what it tried of the network."""
    (folder / "sitecustomize.py").write_text("from tests.no_network import forbid\n\nforbid()\n")
    tried = folder / "tried"
    tried.unlink(missing_ok=True)
    path = os.pathsep.join([str(folder), str(DATA.parent)])
    env = {**os.environ, "PYTHONPATH": path, TRIED: str(tried)}
    run = subprocess.run([sys.executable, *command], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return run, tried.read_text().splitlines() if tried.exists() else []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of every format below ``in``."""
    inside = tmp_path / "in"
    inside.mkdir()
    lines = "".join(json.dumps({"id": str(i), "text": PAGE}) + "\n" for i in range(50)).encode()
    (inside / "a.jsonl.gz").write_bytes(gzip.compress(lines))
    (inside / "b.jsonl.zst").write_bytes(zstandard.compress(lines))
    pq.write_table(pa.table({"id": ["a", "b"], "text": [PAGE, PAGE]}), inside / "c.parquet")
    shutil.copy(DATA / "example.txt", inside / "d.txt")
    return tmp_path


def commands(capsys: pytest.CaptureFixture[str]) -> list[str]:
    with pytest.raises(SystemExit):
        main(["--help"])
    return re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE)


def test_no_command_wants_the_network(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = commands(capsys)
    assert {"filter", "score", "explain"} <= set(names) <= set(COMMANDS), "give each command arguments in COMMANDS"
    for name in names:
        run, tried = offline(folder, "-m", "detector.cli", name, *COMMANDS[name])
        assert (run.returncode, tried) == (0, []), (name, run.stderr[-2000:], tried)
    assert len((folder / "removed.jsonl").read_text().splitlines()) > 100


def test_what_wants_the_network_is_seen_in_workers_too(folder: Path) -> None:
    run, tried = offline(folder, "-c", TRIES)
    assert run.stdout.count("the network is forbidden here") == 5, (run.stdout, run.stderr)
    assert len(tried) >= 5
