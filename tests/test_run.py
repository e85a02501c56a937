"""Whole corpora: every format and compression, workers, kills and resumptions, documents that can't be read."""

from __future__ import annotations

import gzip
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector import Detector, files
from detector.cli import main
from detector.corpus import read_units
from detector.jobs import jobs_of
from detector.results import Options
from detector.run import Run, filter_corpus
from tests.test_cli import ARTICLE, BANNER, PAGE, jsonl, read_jsonl

FILTERED = f"{ARTICLE}\n\n"
PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
KINDS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
if int(pa.__version__.partition(".")[0]) >= 21:  # those before don't write views to Parquet
    KINDS.append(pa.string_view())
DIGEST = "sha1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"


def unpacked(path: Path) -> bytes:
    with files.opened(str(path)) as (file, _):
        return file.read()


def warc(*texts: str) -> bytes:
    info = b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 13\r\n\r\nsoftware: own\r\n\r\n"
    head = "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://a.example/{}\r\nWARC-Date: 2026-01-02T03:04:05Z\r\n"
    head += "WARC-Record-ID: <urn:uuid:{}>\r\nWARC-Block-Digest: " + DIGEST + "\r\nContent-Length: {}\r\n\r\n"
    raw = [text.encode() for text in texts]
    return info + b"".join(head.format(i, i, len(body)).encode() + body + b"\r\n\r\n" for i, body in enumerate(raw))


def table(texts: list[str], kind: pa.DataType | None = None) -> pa.Table:
    n = len(texts)
    fields = {
        "id": pa.array([f"d{i}" for i in range(n)], pa.large_string()),
        "text": pa.array(texts, kind or pa.string()),
        "when": pa.array([i * 1000 for i in range(n)], pa.timestamp("ms", tz="UTC")),
        "links": pa.array([[i, None] if i % 2 else None for i in range(n)], pa.list_(pa.int16())),
        "source": pa.array(["a", "b", None][i % 3] for i in range(n)).dictionary_encode(),
        "meta": pa.array([{"x": i / 2, "raw": b"\xff"} for i in range(n)], pa.struct([("x", pa.float32()), ("raw", pa.binary())])),
    }
    return pa.table(fields).replace_schema_metadata({"own": "note"})


def corpus(folder: Path, n: int = 60) -> Path:
    """Files of every format, with about half of the documents to filter."""
    folder.mkdir()
    texts = [PAGE if i % 2 else f"{i}. {ARTICLE}" for i in range(n)]
    jsonl(folder / "a.jsonl", *[{"id": i, "text": text} for i, text in enumerate(texts)])
    (folder / "b.jsonl.zst").write_bytes(PACK[".zst"]((folder / "a.jsonl").read_bytes()))
    (folder / "deep").mkdir()
    (folder / "deep" / "c.jsonl.gz").write_bytes(PACK[".gz"]((folder / "a.jsonl").read_bytes()))
    pq.write_table(table(texts), folder / "deep" / "d.parquet", row_group_size=17)
    (folder / "e.txt").write_text(PAGE)
    (folder / "f.warc.wet.gz").write_bytes(gzip.compress(warc(*texts)))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name[0] != "."}


@pytest.mark.parametrize("suffix", PACK)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=80), max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_with_nothing_removed_every_row_comes_out_as_it_went_in(tmp_path: Path, suffix: str, texts: list[str]) -> None:
    lines = b"".join(json.dumps({"n": i, "text": text, "big": 10**30}).encode() + b"\n" for i, text in enumerate(texts))
    inputs = {"a.jsonl": lines, "a.txt": "\n".join(texts).encode(), "a.wet": warc(*texts)}
    for name, raw in inputs.items():
        source, target = tmp_path / f"{name}{suffix}", tmp_path / f"out-{name}{suffix}"
        source.write_bytes(PACK[suffix](raw))
        assert main(["filter", str(source), "-o", str(target), "--threshold", "1"]) == 0
        assert unpacked(target) == raw
    for kind in KINDS:
        pq.write_table(table(texts, kind), tmp_path / "a.parquet", row_group_size=3, compression="zstd")
        assert main(["filter", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out.parquet"), "--threshold", "1"]) == 0
        before, after = pq.read_table(tmp_path / "a.parquet"), pq.read_table(tmp_path / "out.parquet")
        assert after.schema.equals(before.schema, check_metadata=True)
        assert after.to_pylist() == before.to_pylist()
        groups = [pq.ParquetFile(tmp_path / name).metadata for name in ("a.parquet", "out.parquet")]
        sizes = [[m.row_group(i).num_rows for i in range(m.num_row_groups)] for m in groups]
        assert [n for n in sizes[0] if n] == sizes[1]
        assert not texts or groups[1].row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_of_a_parquet_file_only_the_text_changes(tmp_path: Path, kind: pa.DataType) -> None:
    pq.write_table(table([ARTICLE, PAGE, f"{BANNER}\nAccept all cookies"], kind), tmp_path / "a.parquet")
    before = pq.read_table(tmp_path / "a.parquet")
    out = tmp_path / "out.parquet"
    assert main(["filter", str(tmp_path / "a.parquet"), "-o", str(out), "--removed", str(tmp_path / "removed.jsonl")]) == 0
    after = pq.read_table(out)
    assert after.schema.equals(before.schema, check_metadata=True)
    assert after["text"].to_pylist() == [ARTICLE, FILTERED, ""]
    assert after.drop_columns(["text"]).to_pylist() == before.drop_columns(["text"]).to_pylist()
    assert {(r["id"], r["place"]) for r in read_jsonl(tmp_path / "removed.jsonl")} == {(f"d{i}", f"{tmp_path}/a.parquet:row {i + 1}") for i in (1, 2)}
    assert main(["filter", str(tmp_path / "a.parquet"), "-o", str(out), "--consent-only", "drop"]) == 0
    assert pq.read_table(out)["id"].to_pylist() == ["d0", "d1"]


def test_spans_and_scores_are_a_column_more(tmp_path: Path) -> None:
    pq.write_table(table([ARTICLE, PAGE]), tmp_path / "a.parquet")
    for output, column in (("spans", "consent_spans"), ("scores", "line_quality")):
        assert main(["filter", str(tmp_path / "a.parquet"), "-o", str(tmp_path / "out.parquet"), "--output", output]) == 0
        after = pq.read_table(tmp_path / "out.parquet")
        assert after.drop_columns([column]).equals(pq.read_table(tmp_path / "a.parquet"))
        found = after[column].to_pylist()
        assert len(found[0]) == (0 if output == "spans" else 1)
        assert [PAGE[s["start"] : s["end"]] for s in found[1]] == [f"{BANNER}\n", "Accept all cookies\n"] if output == "spans" else found[1][2] < 0.5


def test_wet_becomes_json_lines_or_wet(tmp_path: Path) -> None:
    (tmp_path / "a.wet.gz").write_bytes(gzip.compress(warc(ARTICLE, PAGE)))
    assert main(["filter", str(tmp_path / "a.wet.gz"), "-o", str(tmp_path / "a.jsonl")]) == 0
    rows = read_jsonl(tmp_path / "a.jsonl")
    assert [row["text"] for row in rows] == [ARTICLE, FILTERED]
    assert {key: rows[1][key] for key in ("id", "url", "date")} == {
        "id": "<urn:uuid:1>",
        "url": "https://a.example/1",
        "date": "2026-01-02T03:04:05Z",
    }
    assert main(["filter", str(tmp_path / "a.wet.gz"), "-o", str(tmp_path / "b.wet.gz")]) == 0
    raw = unpacked(tmp_path / "b.wet.gz")
    assert raw.startswith(warc(ARTICLE))
    changed = raw[len(warc(ARTICLE)) :]
    assert changed.endswith(f"Content-Length: {len(FILTERED)}\r\n\r\n{FILTERED}\r\n\r\n".encode())
    assert DIGEST.encode() not in changed
    assert (tmp_path / "b.wet.gz").read_bytes().count(b"\x1f\x8b\x08") == 3  # a gzip member for each record, as readers of WARC expect
    for kind, field in (("jsonl", "text"), ("wet", "text")):
        name = {"jsonl": "a.jsonl", "wet": "b.wet.gz"}[kind]
        assert main(["score", str(tmp_path / name), "-o", str(tmp_path / f"{kind}.scores"), "--text-field", field]) == 0


def test_workers_write_the_same_bytes(tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", 2500)
    for workers in ("1", "2"):
        out, options = tmp_path / workers, ["--workers", workers, "--consent-only", "drop"]
        out.mkdir()
        extras = ["--removed", str(out / "removed.jsonl.gz"), "--stats", str(out / "stats.json")]
        assert main(["filter", str(source), "-o", str(out / "clean"), *options, *extras]) == 0
    one, two = contents(tmp_path / "1"), contents(tmp_path / "2")
    stats = [json.loads(each.pop("stats.json")) for each in (one, two)]
    assert one == two
    assert len(one) == 7
    for stat in stats:
        assert (stat["documents"], stat["written"], stat["errors"], len(stat["files"])) == (5 * 2500 + 1, 5 * 2500 + 1, 0, 6)
    removed = [json.loads(line) for line in gzip.decompress(one["removed.jsonl.gz"]).splitlines()]
    assert len(removed) == stats[0]["paragraphs"] == 2 * (5 * 1250 + 1)


def test_what_is_finished_is_skipped_but_never_by_its_name_alone(tmp_path: Path) -> None:
    source, out = corpus(tmp_path / "in"), tmp_path / "out"
    command = ["filter", str(source), "-o", str(out), "--removed", str(tmp_path / "removed.jsonl"), "--resume"]

    def rewritten(*options: str) -> set[str]:
        before = {path: path.stat().st_ino for path in out.rglob("*")}
        assert main([*command, *options]) == 0
        return {path.name for path in out.rglob("*") if path.is_file() and path.name[0] != "." and path.stat().st_ino != before.get(path)}

    assert len(rewritten()) == 6
    first = contents(tmp_path)
    assert rewritten() == set()
    (out / "e.txt").write_text("another file of that name")
    assert rewritten() == {"e.txt"}
    raw = (source / "a.jsonl").read_bytes()
    (source / "a.jsonl").write_bytes(raw.replace(b"harbour", b"HARBOUR", 1))  # the same size
    assert rewritten() == {"a.jsonl"}
    (source / "a.jsonl").write_bytes(raw)
    assert rewritten() == {"a.jsonl"}
    assert contents(tmp_path) == first
    assert len(rewritten("--threshold", "0.9999")) == 6
    assert len(rewritten("--threshold", "0.9999", "--on-error", "skip")) == 6


def test_workers_take_files_as_a_whole_and_cut_what_is_too_large_for_that(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    lines = [json.dumps({"n": i, "text": PAGE if i % 3 else ARTICLE}) for i in range(9000)]
    for i in range(5):
        (source / f"{i}.jsonl").write_text("\n".join(lines[i * 100 : i * 100 + 100]))
    (source / "large.jsonl").write_text("\n".join(lines * 3))  # more lines than are handed out at once, the last without its end
    (source / "large.jsonl.zst").write_bytes(zstandard.compress("\n".join(lines * 6).encode()))
    (source / "none.jsonl.gz").write_bytes(gzip.compress(b""))
    for workers in ("1", "2", "3"):
        assert (
            main(["filter", str(source), "-o", str(tmp_path / workers), "--removed", str(tmp_path / f"removed{workers}"), "--workers", workers]) == 0
        )
    assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "3")
    assert (tmp_path / "removed1").read_bytes() == (tmp_path / "removed2").read_bytes() == (tmp_path / "removed3").read_bytes()
    assert len(unpacked(tmp_path / "2" / "large.jsonl").splitlines()) == 27_000
    bad = tmp_path / "bad"
    shutil.copytree(source, bad)
    for name, number in (("3.jsonl", 101), ("large.jsonl", 27_001)):
        with (bad / name).open("a") as out:
            out.write("\nnonsense\n")
        assert (
            main(["filter", str(bad), "-o", str(tmp_path / "out"), "--workers", "2", "--errors", str(tmp_path / "errors"), "--on-error", "skip"]) == 0
        )
        assert read_jsonl(tmp_path / "errors")[-1]["error"].startswith(f"{bad / name}:{number}: not JSON")


def test_a_file_that_a_worker_cannot_read_stops_the_run_and_leaves_no_half(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    for i in range(6):
        jsonl(tmp_path / "in" / f"{i}.jsonl", *[{"text": PAGE}] * 2000)
    with (tmp_path / "in" / "3.jsonl").open("a") as out:
        out.write("nonsense\n")
    assert main(["filter", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--workers", "2"]) == 2
    assert "3.jsonl:2001: not JSON" in capfd.readouterr().err
    assert sorted(contents(tmp_path / "out")) == ["0.jsonl", "1.jsonl", "2.jsonl"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_of_a_line_only_the_text_changes_byte_for_byte(tmp_path: Path) -> None:
    rest = rb'{ "id" :1e3,"big": 123456789012345678901234567890, "text"  :%s ,"url":"http:\/\/a", "x":[1.0,  null]}' + b"\r"
    texts = ["caf\u00e9 \x7f\ud83d\ude00 ".encode("utf-16", "surrogatepass").decode("utf-16") + PAGE, "\ud800 " + PAGE, PAGE]
    lines = [rest % json.dumps(text).encode() for text in texts] + [rest % json.dumps(texts[0], ensure_ascii=False).encode()]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(lines))
    assert main(["filter", str(tmp_path / "a.jsonl"), "-o", str(tmp_path / "b.jsonl")]) == 0
    expected = [line.replace(json.dumps(f"{BANNER}\nAccept all cookies\n").encode()[1:-1], b"") for line in lines]
    assert expected != lines
    assert (tmp_path / "b.jsonl").read_bytes() == b"\n".join([*expected, b""])


@pytest.mark.parametrize(
    "line",
    [
        '{"text": %s, "meta": {"text": %s}}',
        '{"meta": {"text": %s}, "text": %s}',
        '{"text": %s, "text": %s}',
        '{"te\\u0078t": %s, "copy": %s}',
        '{"copy": {"text": %s}, "te\\u0078t": %s}',
        '{"copy": [{"text": %s}], "text": %s}',
        '{"text": %s, "te\\u0078t": %s}',
        '{"kind": "text", "a": "\\"text\\": ", "text" :  %s, "copy":%s}',
    ],
)
def test_a_copy_of_the_text_elsewhere_in_the_line_stays(tmp_path: Path, line: str) -> None:
    literal = json.dumps(PAGE)
    before = json.loads(line % (literal, literal))
    (tmp_path / "a.jsonl").write_text(line % (literal, literal) + "\n" + line.replace("%s", literal.replace("c", "\\u0063"), 1) % literal)
    assert main(["filter", str(tmp_path / "a.jsonl"), "-o", str(tmp_path / "b.jsonl")]) == 0
    assert read_jsonl(tmp_path / "b.jsonl") == [{**before, "text": FILTERED}] * 2


def test_several_files_go_to_standard_output_with_all_that_was_removed(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    names = [str(jsonl(tmp_path / f"{name}.jsonl", {"id": name, "text": PAGE})) for name in "abc"]
    for workers in ("1", "2"):
        assert main(["filter", *names, "--removed", str(tmp_path / "removed.jsonl"), "--workers", workers]) == 0
        assert [json.loads(line)["id"] for line in capfdbinary.readouterr().out.splitlines()] == ["a", "b", "c"]
        assert [row["id"] for row in read_jsonl(tmp_path / "removed.jsonl")] == ["a", "a", "b", "b", "c", "c"]


KILLS = 20


def test_killed_at_any_moment_and_resumed_the_output_is_the_undisturbed_runs(tmp_path: Path) -> None:
    source = corpus(tmp_path / "in", 4000)
    undisturbed, disturbed = tmp_path / "a", tmp_path / "b"

    def command(folder: Path) -> list[str]:
        folder.mkdir(exist_ok=True)
        options = ["--removed", str(folder / "removed.jsonl"), "--stats", str(folder / "stats.json"), "--resume", "--workers", "2"]
        return [sys.executable, "-m", "detector.cli", "filter", str(source), "-o", str(folder / "clean"), *options]

    def check_finished() -> None:
        done, expected = contents(disturbed), contents(undisturbed)
        assert done.pop("stats.json").replace(b"/b/", b"/a/") == expected.pop("stats.json")
        assert done == expected

    start = time.monotonic()
    subprocess.run(command(undisturbed), check=True, capture_output=True)
    whole = time.monotonic() - start
    moments = random.Random(5)
    groups = []
    killed = 0
    while killed < KILLS:
        with subprocess.Popen(command(disturbed), stderr=subprocess.DEVNULL, start_new_session=True) as process:
            groups.append(process.pid)
            time.sleep(moments.uniform(0.0, 1.0) * whole)
            is_running = process.poll() is None
            process.kill()
        killed += is_running
        if not is_running:  # what there was to do is done: begin again
            check_finished()
            shutil.rmtree(disturbed)
        for name, raw in contents(disturbed).items() if disturbed.exists() else ():
            if name.startswith("clean"):
                assert raw == (undisturbed / name).read_bytes()
    subprocess.run(command(disturbed), check=True, capture_output=True)
    check_finished()
    assert not list(tmp_path.rglob(".*.tmp"))
    deadline = time.monotonic() + 30
    while any(map(is_there, groups)):  # no worker outlives its run
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


LATE_FEEDER = """
import threading, time
from joblib.externals.loky.backend.queues import Queue
from detector.cli import main

feed = Queue._feed

def feed_and_linger(*held):
    feed(*held)
    time.sleep(0.3)

Queue._feed = staticmethod(feed_and_linger)
main()
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
"""
"""The command, where the thread that sends tasks to workers takes its time to let go of their semaphores. If Python ended meanwhile, joblib would
complain about semaphores that nobody cleans up."""


def test_no_thread_of_the_workers_outlives_the_run(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": PAGE + ARTICLE}) + "\n")
    command = [sys.executable, "-c", LATE_FEEDER, "filter", str(tmp_path / "in.jsonl"), "-o", str(tmp_path / "out.jsonl"), "--workers", "2"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize(("n_files", "number"), [(1, signal.SIGINT), (4, signal.SIGINT), (1, signal.SIGHUP), (4, signal.SIGTERM)])
def test_ctrl_c_and_requests_to_stop_end_cleanly(tmp_path: Path, n_files: int, number: int) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    lines = (json.dumps({"text": f"{PAGE}{ARTICLE}\n" * 30}) + "\n") * 30_000
    for i in range(n_files):
        (source / f"{i}.jsonl").write_text(lines)
    command = [sys.executable, "-m", "detector.cli", "filter", str(source), "-o", str(out), "--workers", "2"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not (started := list(out.glob(".*.tmp"))) and process.poll() is None:
            time.sleep(0.05)
        assert started
        for _ in range(2):  # the second comes while it ends
            os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert err == "consent-detector: stopped; outputs that stand under their names are complete\n"
    assert not list(out.iterdir())


BAD = ["nonsense", '{"text": null}', '{"txt": "b"}', "[1]"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_documents_that_cannot_be_read_are_set_aside_and_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str], workers: str) -> None:
    good = json.dumps({"text": PAGE})
    (tmp_path / "a.jsonl").write_bytes("\n".join([good, *BAD, "", good]).encode() + b'\n{"text": "\xe9"}\n')
    out = tmp_path / "out.jsonl"
    command = ["filter", str(tmp_path / "a.jsonl"), "-o", str(out), "--workers", workers]
    assert main(command) == 2
    assert "a.jsonl:2: not JSON" in capfd.readouterr().err
    assert not out.exists()
    assert main([*command, "--on-error", "skip"]) == 0
    assert "7 documents read, 2 written, 0 dropped, 5 errors; " in capfd.readouterr().err
    assert [row["text"] for row in read_jsonl(out)] == [FILTERED] * 2
    errors = read_jsonl(tmp_path / "out.jsonl.errors.jsonl")
    assert [row["line"] for row in errors] == [*BAD, '{"text": "\\xe9"}']
    assert [row["error"].split(":")[1] for row in errors] == ["2", "3", "4", "5", "8"]
    assert main([*command, "--on-error", "skip", "--errors", str(tmp_path / "errors.jsonl.zst")]) == 0
    assert len(unpacked(tmp_path / "errors.jsonl.zst").splitlines()) == 5
    assert main([*command[:2], "--on-error", "skip"]) == 2
    assert "name one with --errors" in capfd.readouterr().err


def test_rows_and_records_that_cannot_be_read_are_counted_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = pa.table({"id": [1, 2, 3], "text": [ARTICLE, None, PAGE]})
    pq.write_table(rows, tmp_path / "a.parquet")
    (tmp_path / "a.wet").write_bytes(warc(ARTICLE) + warc("+").replace(b"+", b"\xff"))
    for name, place in (("a.parquet", "row 2: the column 'text' is null"), ("a.wet", "record 4: not UTF-8")):
        out = tmp_path / f"out-{name}"
        assert main(["filter", str(tmp_path / name), "-o", str(out)]) == 2
        assert f"{name}:{place}" in capfd.readouterr().err
        assert main(["filter", str(tmp_path / name), "-o", str(out), "--on-error", "skip"]) == 0
        assert ", 1 errors; " in capfd.readouterr().err
    assert pq.read_table(tmp_path / "out-a.parquet")["id"].to_pylist() == [1, 3]
    assert unpacked(tmp_path / "out-a.wet") == warc(ARTICLE) + warc()


DAMAGED: dict[str, tuple[bytes, str]] = {
    "cut.jsonl.zst": (zstandard.compress(os.urandom(99_999))[:-9], "can't be read"),
    "odd.jsonl.zst": (b"no zstandard at all", "can't be read"),
    "odd.parquet": (b"no Parquet at all", "can't be read"),
    "odd.wet": (b"no WARC at all", "record 1: not WARC"),
    "cut.wet": (warc("text")[:-6], "record 2: can't be read"),
    "count.wet": (b"WARC/1.0\r\nContent-Length: many\r\n\r\n", "no Content-Length that is a number"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_stops_the_run_whatever_is_skipped(tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str) -> None:
    raw, message = DAMAGED[name]
    (tmp_path / name).write_bytes(raw)
    assert main(["filter", str(tmp_path / name), "-o", str(tmp_path / f"out-{name}"), "--on-error", "skip"]) == 2
    assert message in (err := capfd.readouterr().err)
    assert name in err
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("suffix", "module"), [(".jsonl.zst", "zstandard"), (".parquet", "pyarrow")])
def test_what_needs_the_extra_says_how_to_get_it(tmp_path: Path, suffix: str, module: str) -> None:
    (tmp_path / f"a{suffix}").write_bytes(b"x")
    code = f"import sys; sys.modules.update(dict.fromkeys({[module, f'{module}.parquet', 'orjson', 'fsspec', 'tqdm']}))\n"
    code += "from detector.cli import main; sys.exit(main(sys.argv[1:]))"
    for path in (str(tmp_path / f"a{suffix}"), f"memory://a{suffix}"):
        done = subprocess.run(
            [sys.executable, "-c", code, "filter", path, "-o", str(tmp_path / f"b{suffix}")], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "which is not installed: pip install 'consent-text-detector[corpus]'" in done.stderr


def test_text_and_json_lines_need_no_extra(tmp_path: Path) -> None:
    jsonl(tmp_path / "a.jsonl", {"id": 10**30, "text": PAGE}, {"text": ARTICLE})
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress((tmp_path / "a.jsonl").read_bytes()))
    (tmp_path / "c.txt").write_text(PAGE)
    block = (
        "class Refuse:\n  def find_spec(self, name, *_):\n    if name.partition('.')[0] in ('pyarrow', 'orjson', 'zstandard', 'fsspec', 'tqdm'):\n"
    )
    block += "      raise ImportError(name)\nimport sys, importlib.util\nsys.meta_path.insert(0, Refuse())\n"
    block += "found = importlib.util.find_spec\nimportlib.util.find_spec = lambda name: None if name in ('orjson', 'tqdm') else found(name)\n"
    code = block + "from detector.cli import main; sys.exit(main(sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", code, "filter", str(tmp_path), "-o", str(tmp_path / "plain")], check=True, capture_output=True)
    assert main(["filter", str(tmp_path / "*.*"), "-o", str(tmp_path / "with")]) == 0
    assert contents(tmp_path / "plain") == contents(tmp_path / "with")
    assert read_jsonl(tmp_path / "plain" / "a.jsonl")[0] == {"id": 10**30, "text": FILTERED}


@pytest.mark.parametrize("root", ["file://{}", "memory://{}"])
def test_remote_addresses_are_read_and_written(tmp_path: Path, root: str) -> None:
    local = corpus(tmp_path / "in")
    base = root.format(tmp_path)
    if base.startswith("memory"):
        fsspec.filesystem("memory").put(str(local), str(local), recursive=True)
    assert main(["filter", f"{base}/in", "-o", f"{base}/out", "--resume", "--workers", "2"]) == 0
    assert main(["filter", f"{base}/in", "-o", f"{base}/out", "--resume"]) == 0
    assert main(["filter", f"{base}/in/*.jsonl", "-o", f"{base}/globbed"]) == 0
    assert main(["filter", f"{base}/in/a.jsonl", "-o", f"{base}/one.jsonl", "--removed", f"{base}/removed.jsonl"]) == 0
    assert main(["filter", str(local), "-o", str(tmp_path / "local")]) == 0
    system = fsspec.filesystem(base.partition(":")[0])
    names = {path[path.index("/out/") + 5 :] for path in system.find(f"{tmp_path}/out")}
    assert {name for name in names if "/." not in f"/{name}"} == set(contents(tmp_path / "local"))
    for name, raw in contents(tmp_path / "local").items():
        assert system.cat_file(f"{tmp_path}/out/{name}") == raw
    assert system.cat_file(f"{tmp_path}/one.jsonl") == system.cat_file(f"{tmp_path}/globbed/a.jsonl") == (tmp_path / "local" / "a.jsonl").read_bytes()
    assert not [path for path in system.find(str(tmp_path)) if path.endswith((".tmp", ".part"))]


@pytest.mark.parametrize(
    ("inputs", "to", "output", "message"),
    [
        (["a.jsonl"], "b.parquet", "text", "jsonl can't be written as Parquet"),
        (["a.parquet"], "b.jsonl", "text", "Parquet is written as Parquet"),
        (["a.parquet"], "b.parquet", "dolma", "Parquet is written as Parquet"),
        (["a.wet"], "b.wet", "spans", "only filtered WET is written as WET"),
        (["a.jsonl", "deep/a.jsonl"], "out", "text", "two inputs would be written to out/a.jsonl"),
        (["*.none"], "out", "text", "no file of a known name"),
        (["a.txt", "a.jsonl"], "-", "text", "2 inputs need a directory as output"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_anything_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inputs: list[str], to: str, output: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(files.CorpusError, match=message):
        jobs_of(inputs, to, None, output)


def test_a_lost_document_is_an_error(tmp_path: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch) -> None:
    source = jsonl(tmp_path / "a.jsonl", {"text": PAGE}, {"text": ARTICLE})
    monkeypatch.setattr("detector.run.read_units", lambda *a: (unit._replace(n_rows=3) for unit in read_units(*a)))
    with pytest.raises(files.CorpusError, match="3 rows were read, 0 without a document, but"):
        filter_corpus(detector, [*jobs_of([str(source)], str(tmp_path / "b.jsonl"))], Run(Options(), {}))


def test_progress_is_shown_on_a_terminal_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    source = jsonl(tmp_path / "a.jsonl", {"text": PAGE}, {"text": ARTICLE})
    shown: dict[str, str] = {}
    for kind in (io.StringIO, Terminal):
        stderr = kind()
        monkeypatch.setattr(sys, "stderr", stderr)
        assert main(["filter", str(source), "-o", str(tmp_path / "b.jsonl")]) == 0
        shown[kind.__name__] = stderr.getvalue()
    assert "documents/s" not in shown["StringIO"]
    assert "100%" in shown["Terminal"]
    assert f"documents/s, {93 / (len(PAGE) + len(ARTICLE)):.1%} removed" in shown["Terminal"]
