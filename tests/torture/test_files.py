"""Bad files: each is read, or there is one clear line that names it; and few bytes never fill the memory."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard

from detector import corpus
from detector.cli import main
from tests.torture.conftest import Tried
from tests.torture.hostile_files import READ, TEXT, hostile_files

COMMANDS = {
    "filter": ["filter"],
    "spans": ["filter", "--output", "spans"],
    "scores": ["filter", "--output", "scores"],
    "removed": ["filter", "--removed", "removed", "--consent-only", "drop"],
    "skip": ["filter", "--removed", "removed", "--on-error", "skip", "--errors", "errors", "--stats", "stats"],
    "dolma": ["filter", "--output", "dolma", "--on-error", "skip", "--errors", "errors"],
    "score": ["score"],
    "explain": ["explain", "--json"],
}
LONGEST_MESSAGE = 2500
MEGABYTES = 600
"""Of all, at most, for a file that unpacks to gigabytes (Python, numpy and the model take 150)."""


@pytest.mark.parametrize(("command", "parser"), [*((name, "orjson") for name in COMMANDS), ("filter", "json"), ("spans", "json")])
def test_a_bad_file_is_read_or_refused_in_one_line(
    command: str, parser: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tried: Tried
) -> None:
    monkeypatch.chdir(tmp_path)
    if parser == "json":  # as where the extra "corpus" is not installed
        monkeypatch.setattr(corpus, "_fast_json", lambda: None)
    wrong, n = [], 0
    for name, raw, message in hostile_files():
        if parser == "json" and not name.endswith(".jsonl"):
            continue
        Path(name).write_bytes(raw)
        suffix = "".join(Path(name).suffixes)
        out = f"out{suffix if command in {'filter', 'removed', 'skip'} or suffix == '.parquet' else '.jsonl'}"
        exit_code = main([*COMMANDS[command], name, "-o", out])
        printed = capfd.readouterr().err
        is_refused = message is not READ and not (exit_code == 0 and "skip" in COMMANDS[command])
        # json reads what orjson does not, and the other way round: 5,000 digits
        is_right = exit_code == (2 if is_refused else 0) or name == "5000-digits.jsonl"
        is_right = is_right or (command == "dolma" and suffix == ".parquet")  # which dolma does not take
        if exit_code == 2 and is_right and command != "dolma":
            is_right = message in printed and name in printed and printed.count("\n") == 1 and not Path(out).exists()
        if not is_right or len(printed) > LONGEST_MESSAGE or "Traceback" in printed:
            wrong.append((name, exit_code, printed[:200]))
        Path(out).unlink(missing_ok=True)
        n += 1
    assert not wrong, wrong[:20]
    tried("bad files of every format, through filter with each of its outputs, score and explain", n)


def bomb(start: bytes, part: bytes, n: int, end: bytes, kind: str) -> Iterator[bytes]:
    """Pack a part n times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31) if kind == "gz" else zstandard.ZstdCompressor(level=3).compressobj()
    yield packer.compress(start)
    for _ in range(n):
        yield packer.compress(part)
    yield packer.compress(end)
    yield packer.flush()


BOMBS: dict[str, tuple[bytes, bytes, bytes, str, str]] = {
    "a text of 2 GB": (b"", b"a " * (1 << 19), b"", "txt", "bomb.txt.{}: has more than 1,000,000 bytes"),
    "zeros": (b"", bytes(1 << 20), b"", "txt", "bomb.txt.{}: has more than 1,000,000 bytes"),
    "a line of 2 GB": (b'{"text": "x"}\n{"text": "', b"a " * (1 << 19), b'"}\n', "jsonl", "bomb.jsonl.{}:2: has more than 1,000,000 bytes"),
    "a line without end": (b'{"text": "x"}\n' * 3, b"[" * (1 << 20), b"", "jsonl", "bomb.jsonl.{}:4: has more than 1,000,000 bytes"),
    "a head of 2 GB": (b"WARC/1.0\r\n", b"a: b\r\n" * 170_000, b"", "wet", "bomb.wet.{}:record 1: has a head of more than 1 MB"),
    "a line of a head of 2 GB": (b"WARC/1.0\r\nA: ", b"a" * (1 << 20), b"", "wet", "bomb.wet.{}:record 1: has a head of more than 1 MB"),
    "a record of 2 GB": (b"WARC/1.0\r\nContent-Length: 2000000000\r\n\r\n", b"a" * (1 << 20), b"", "wet", "record 1: has more than 1,000,000 bytes"),
}


@pytest.mark.parametrize("kind", ["gz", "zst"])
@pytest.mark.parametrize("name", BOMBS)
def test_few_bytes_never_fill_the_memory(name: str, kind: str, tmp_path: Path, tried: Tried) -> None:
    start, part, end, suffix, message = BOMBS[name]
    path = tmp_path / f"bomb.{suffix}.{kind}"
    with path.open("wb") as file:
        file.writelines(bomb(start, part, 2000 if kind == "zst" else 300, end, kind))
    code = (
        "import resource, sys\nfrom detector.cli import main\ncode = main(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\nsys.exit(code)\n"
    )
    command = [sys.executable, "-c", code, "filter", str(path), "-o", str(tmp_path / "out"), "--max-document-bytes", "1000000"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stderr
    assert message.format(kind) in run.stderr
    assert "--max-document-bytes" in run.stderr or "head" in run.stderr
    assert int(run.stdout) < MEGABYTES
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    tried("packed files of 300 MB to 2 GB in a few kilobytes", 1)


def test_two_gigabytes_of_short_lines_in_a_few_kilobytes_are_read_in_little_memory(tmp_path: Path, tried: Tried) -> None:
    # many documents, none of them large: a stream, not a bomb
    path = tmp_path / "long.jsonl.zst"
    blank = b" " * 999 + b"\n"
    with path.open("wb") as file:
        file.writelines(bomb(f'{{"text": {TEXT}}}\n'.encode(), blank * 1000, 2000, b"", "zst"))
    code = (
        "import resource, sys\nfrom detector.cli import main\nmain(sys.argv[1:])\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)\n"
    )
    command = [sys.executable, "-c", code, "filter", str(path), "-o", str(tmp_path / "out.jsonl")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(run.stdout) < MEGABYTES
    assert "1 documents read, 1 written" in run.stderr
    assert json.loads((tmp_path / "out.jsonl").read_text().strip())["text"] == "The harbour reopens on Monday, the council said.\n\n"
    tried("packed files of 300 MB to 2 GB in a few kilobytes", 1)
