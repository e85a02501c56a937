"""What goes wrong around a run: names that collide, inputs that change, streams that close; each case was lost once, or might be."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from detector import files
from detector.cli import main
from detector.files import extra
from detector.locks import LOCK
from detector.results import Result, filter_unit
from tests.test_cli import ARTICLE, PAGE, jsonl, read_jsonl
from tests.test_run import FILTERED

COMMAND = [sys.executable, "-m", "detector.cli", "filter"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    return jsonl(tmp_path / "in" / "a.jsonl", {"text": PAGE}, {"text": ARTICLE})


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["-o", "in/a.jsonl"], "in/a.jsonl: is an input"),
        (["-o", "in"], "in/a.jsonl: is an input"),
        (["-o", "link"], "link/a.jsonl: is an input"),
        (["-o", "hard.jsonl"], "hard.jsonl: is an input"),
        (["-o", "b.jsonl", "--removed", "in/a.jsonl"], "in/a.jsonl: is an input"),
        (["-o", "b.jsonl", "--stats", "in/a.jsonl"], "in/a.jsonl: is an input"),
        (["-o", "b.jsonl", "--stats", "b.jsonl"], "b.jsonl: would be written twice in one run"),
        (["-o", "b.jsonl", "--removed", "r", "--errors", "./r"], "r: would be written twice in one run"),
    ],
)
def test_nothing_is_written_over_an_input_or_twice(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], more: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link").symlink_to("in")
    Path("hard.jsonl").hardlink_to(source)
    before = source.read_bytes()
    assert main(["filter", "in/a.jsonl", *more]) == 2
    assert capfd.readouterr().err == f"consent-detector: error: {message}; give another name\n"
    assert source.read_bytes() == before
    assert names(tmp_path) == ["hard.jsonl", "in", "link"]


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path, source: Path) -> None:
    link, target = tmp_path / "out.jsonl", tmp_path / "in" / "target"
    link.symlink_to(target)
    assert main(["filter", str(source), "-o", str(link)]) == 0
    assert link.is_symlink()
    assert [row["text"] for row in read_jsonl(target)] == [FILTERED, ARTICLE]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_pipe_or_device_is_written_to_and_read_from_as_it_is(tmp_path: Path, source: Path, workers: str) -> None:
    before, after, null = tmp_path / "before.jsonl", tmp_path / "after.jsonl", tmp_path / "null"
    os.mkfifo(before)
    os.mkfifo(after)
    null.symlink_to("/dev/null")
    read: list[bytes] = []
    threads = [
        threading.Thread(target=before.write_bytes, args=(source.read_bytes(),)),
        threading.Thread(target=lambda: read.append(after.read_bytes())),
    ]
    for thread in threads:
        thread.start()
    subprocess.run([*COMMAND, str(before), "-o", str(after), "--workers", workers], check=True, capture_output=True, timeout=60)
    for thread in threads:
        thread.join()
    assert main(["filter", str(source), "-o", str(tmp_path / "out.jsonl")]) == 0
    assert read == [(tmp_path / "out.jsonl").read_bytes()]
    assert main(["filter", str(source), "-o", str(null)]) == 0
    assert null.is_char_device()
    assert names(tmp_path) == [".out.jsonl.done.json", "after.jsonl", "before.jsonl", "in", "null", "out.jsonl"]


def test_of_two_runs_on_one_output_the_second_is_refused(tmp_path: Path, source: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out, other = tmp_path / "out.jsonl", tmp_path / "other.jsonl"
    (tmp_path / "link.jsonl").symlink_to(out)
    hold = "import sys; from detector.locks import held\nwith held(sys.argv[1:]):\n  print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, str(out)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout
        assert first.stdout.readline()
        for more in (["-o", str(out)], ["-o", str(tmp_path / "link.jsonl")], ["-o", str(other), "--removed", str(out)]):
            assert main(["filter", str(source), *more]) == 2
            assert f"{more[-1]}: another run is writing it; wait" in capfd.readouterr().err
        assert main(["filter", str(source), "-o", str(other)]) == 0
        assert (tmp_path / LOCK).exists()
        first.communicate(b"")
    assert main(["filter", str(source), "-o", str(out)]) == 0
    assert names(tmp_path) == [".other.jsonl.done.json", ".out.jsonl.done.json", "in", "link.jsonl", "other.jsonl", "out.jsonl"]


def test_many_runs_at_once_hold_and_give_back(tmp_path: Path) -> None:
    code = "import sys; from detector.files import CorpusError; from detector.locks import held\nn = 0\nwhile n < 200:\n"
    code += "  try:\n    with held([sys.argv[1]]):\n      open(sys.argv[1], 'x').close(); import os; os.remove(sys.argv[1]); n += 1\n"
    code += "  except CorpusError: pass\n"
    runs = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "out")]) for _ in range(3)]
    assert [run.wait(60) for run in runs] == [0, 0, 0]  # else two held it at once: the file was there
    assert not names(tmp_path)


def test_what_an_earlier_run_with_other_settings_left_is_not_taken_for_finished(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = tmp_path / "removed.jsonl"
    command = ["filter", str(source), "-o", str(tmp_path / "out.jsonl")]
    assert main([*command, "--removed", str(removed), "--resume"]) == 0
    assert len(read_jsonl(removed)) == 2
    assert main([*command, "--threshold", "1"]) == 0
    assert main([*command, "--threshold", "1", "--resume", "--removed", str(removed)]) == 0
    assert not read_jsonl(removed)
    assert main([*command, "--threshold", "1", "--resume", "--removed", str(tmp_path / "new.jsonl")]) == 0
    assert not read_jsonl(tmp_path / "new.jsonl")

    def publish(path: str, owner: int) -> None:
        files.publish(path, owner)
        raise KeyboardInterrupt

    monkeypatch.setattr("detector.run.publish", publish)
    assert main([*command, "--removed", str(removed)]) == 130
    assert not list(tmp_path.glob(".*.done.json"))


@pytest.mark.parametrize("change", ["append", "replace", "rewrite"])
def test_an_input_that_is_changed_while_it_is_read_stops_the_run(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], change: str
) -> None:
    size = source.stat().st_size

    def filtered(*args: Any, **options: Any) -> Result:
        raw = source.read_bytes()
        if change == "append" and len(raw) == size:  # once
            source.write_bytes(raw + b"\n")
        elif change == "rewrite":
            source.write_bytes(raw.replace(b"harbour", b"HARBOUR"))
        elif change == "replace":
            (tmp_path / "other").write_bytes(raw)
            (tmp_path / "other").replace(source)
        return filter_unit(*args, **options)

    monkeypatch.setattr("detector.run.filter_unit", filtered)
    assert main(["filter", str(source), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert capfd.readouterr().err == f"consent-detector: error: {source}: was changed while it was read; run again when nothing writes to it\n"
    assert names(tmp_path) == ["in"]


def test_a_folder_that_cannot_be_read_and_a_link_to_nothing_are_not_passed_over(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (source.parent / "b.jsonl").symlink_to("absent")
    assert main(["filter", str(source.parent), "-o", str(tmp_path / "out")]) == 2
    assert "in/b.jsonl: can't be read (No such file or directory)" in capfd.readouterr().err
    (source.parent / "b.jsonl").unlink()
    (source.parent / "deep").mkdir()
    real = os.scandir

    def scandir(path: str) -> Any:  # root may read all
        if str(path).endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert main(["filter", str(source.parent), "-o", str(tmp_path / "out")]) == 2
    assert "in/deep: can't be read (Permission denied)" in capfd.readouterr().err


def test_a_packed_file_of_no_bytes_is_cut_off(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for suffix in (".gz", ".zst"):
        path = tmp_path / f"a.jsonl{suffix}"
        path.write_bytes(b"")
        assert main(["filter", str(path), "-o", str(tmp_path / "out.jsonl")]) == 2
        assert f"{path}: can't be read (it is empty" in capfd.readouterr().err
    path = tmp_path / "b.jsonl.gz"
    path.write_bytes(gzip.compress(b""))
    assert main(["filter", str(path), "-o", str(tmp_path / "out.jsonl")]) == 0


@pytest.mark.parametrize(
    ("redirect", "inputs", "code", "message"),
    [
        ("<&-", "-", 2, "consent-detector: error: standard input: can't be read (it is closed)\n"),
        (">&-", "in/a.jsonl", 2, "consent-detector: error: standard output: can't be written (it is closed)\n"),
        ("2>&-", "in/a.jsonl", 0, ""),
        (">/dev/full", "in/a.jsonl", 2, "consent-detector: error: standard output: can't be written (No space left on device)\n"),
        ("| true", "in/many.jsonl", 141, ""),
    ],
)
def test_streams_that_are_closed_or_full(tmp_path: Path, source: Path, redirect: str, inputs: str, code: int, message: str) -> None:
    (tmp_path / "in" / "many.jsonl").write_bytes(source.read_bytes() * 5000)
    line = f'{{ "$@" {inputs}; echo $? > code; }} {redirect}'
    run = subprocess.run(["sh", "-c", line, "sh", *COMMAND], cwd=tmp_path, capture_output=True, text=True, check=False, env=with_path())
    assert ((tmp_path / "code").read_text().strip(), run.stderr) == (str(code), message)
    if code == 0:
        assert main(["filter", str(source), "-o", str(tmp_path / "out.jsonl")]) == 0
        assert run.stdout.encode() == (tmp_path / "out.jsonl").read_bytes()


def with_path() -> dict[str, str]:
    """The environment with this package, whatever the working directory."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH")]))}


def test_a_worker_that_dies_before_it_is_ready_ends_the_run(tmp_path: Path, source: Path) -> None:
    command = [*COMMAND, str(source), "-o", str(tmp_path / "out.jsonl"), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not (workers := workers_of(process.pid)):
            assert process.poll() is None
        os.kill(workers[0], signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == "consent-detector: error: a worker was stopped from outside, perhaps for want of memory; give fewer --workers\n"
    assert names(tmp_path) == ["in"]


def workers_of(parent: int) -> list[int]:
    rows = subprocess.run(["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True).stdout.splitlines()
    found = [row.split(maxsplit=3) for row in rows]
    return [int(pid) for pid, of, state, command in found if int(of) == parent and state[0] != "Z" and "popen_loky" in command]


def test_want_of_memory_is_said_in_a_line(source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def filtered(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("detector.run.filter_unit", filtered)
    assert main(["filter", str(source)]) == 2
    assert capfd.readouterr().err == "consent-detector: error: not enough memory; give fewer --workers, or smaller documents\n"


def test_a_package_that_cannot_be_loaded_is_not_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise ImportError("libzstd.so: failed to map segment")

    monkeypatch.setattr("detector.files.import_module", fail)
    with pytest.raises(files.CorpusError, match=r"a.zst needs zstandard, which can't be loaded \(libzstd.so: failed to map segment\)"):
        extra("zstandard", "a.zst")


def test_where_no_workers_can_be_started_that_is_said(source: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def submit(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("detector.run.ProcessPoolExecutor.submit", submit)
    assert main(["filter", str(source), "--workers", "2"]) == 2
    assert capfd.readouterr().err == "consent-detector: error: no workers can be started (can't start new thread); give fewer --workers\n"


def test_a_name_that_is_not_utf_8_is_a_name(tmp_path: Path, source: Path) -> None:
    odd = source.rename(source.with_name("\udcff.jsonl"))
    command = ["filter", str(source.parent), "-o", str(tmp_path / "out"), "--removed", str(tmp_path / "removed"), "--stats", str(tmp_path / "stats")]
    assert main([*command, "--resume"]) == 0
    assert len(read_jsonl(tmp_path / "out" / odd.name)) == len(read_jsonl(tmp_path / "removed")) == 2
    assert "\\udcff.jsonl" in (tmp_path / "stats").read_text()
