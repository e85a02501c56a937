"""`detector.persistence`: model files are data, and what is wrong with one is said."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from detector import Detector, ModelError
from detector.context import FEATURES
from detector.model import Alone, Model, idf_on_grid, weights_on_grid
from detector.persistence import SHIPPED, load_model, save_model
from detector.pieces import PIECE_FEATURES
from tests.torture.hostile_models import Hostile, hostile_models
from tests.torture.loading import faults_of, load_all

BITS = 6


def small_model() -> Model:
    rng = np.random.default_rng(0)
    n = 1 << BITS
    idf, hot = idf_on_grid(rng.uniform(1, 5, n)), rng.random(n) < 0.1
    return Model(
        bits=BITS,
        weights=weights_on_grid(rng.normal(size=n), idf, hot).astype(np.float32),
        idf=idf.astype(np.float32),
        hot=hot,
        bias=-1.5,
        alone=Alone(0.5, 0.9, 0.1, 0.8, 0.2),
        context=rng.normal(size=(2, len(FEATURES))),
        context_bias=np.array([-2.0, -1.0]),
        pieces=rng.normal(size=(2, len(PIECE_FEATURES))),
        pieces_bias=np.array([-0.5, 0.5]),
        thresholds={"precision": 0.9, "balanced": 0.5, "recall": 0.1},
        card={"name": "small", "nested": [{"a": 1.5}, "b"]},
    )


def record_of(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = joblib.load(path)
    return record


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small.joblib"
    save_model(small_model(), path)
    return path


def test_a_model_comes_back_as_it_was_saved(path: Path) -> None:
    model, loaded = small_model(), load_model(path)
    for name in ("weights", "idf", "hot", "context", "context_bias", "pieces", "pieces_bias"):
        saved, read = getattr(model, name), getattr(loaded, name)
        assert saved.dtype == read.dtype
        assert np.array_equal(saved, read)
    assert (loaded.bits, loaded.bias, loaded.alone) == (model.bits, model.bias, model.alone)
    assert (loaded.thresholds, loaded.card) == (model.thresholds, model.card)


def test_the_same_model_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    save_model(small_model(), tmp_path / "other.joblib")
    assert (tmp_path / "other.joblib").read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["other.joblib", "small.joblib"]


def test_the_shipped_model_is_small() -> None:
    assert SHIPPED.stat().st_size <= 5_000_000


def test_the_shipped_model_is_read_from_a_package_in_an_archive(tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "package"), "zip", SHIPPED.parents[2], "detector")
    code = "import sys; sys.path.insert(0, sys.argv[1]); import detector; print(detector.__file__, detector.Detector.load().threshold)"
    out = subprocess.run([sys.executable, "-c", code, archive], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert out.split() == [f"{archive}/detector/__init__.py", str(Detector.load().threshold)]


class Gadget:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


GADGETS: dict[str, Callable[[Any], Any]] = {
    "in a field": lambda gadget: {"format": "consent-text-detector", "card": gadget},
    "as the whole file": lambda gadget: gadget,
    "in an object array": lambda gadget: {"evidence": np.array([gadget], dtype=object)},
    "in a nested object array": lambda gadget: {"evidence": np.array([np.array([gadget, 1], dtype=object), 1], dtype=object)},
}


@pytest.mark.parametrize("place", GADGETS)
def test_nothing_that_a_file_names_is_run(place: str, tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "hostile.joblib"
    joblib.dump(GADGETS[place](Gadget(marker)), path, compress=("zlib", 3))
    with pytest.raises(ModelError, match="is no usable model file"):
        load_model(path)
    assert not marker.exists()
    joblib.load(path)  # the gadget works: joblib itself runs it
    assert marker.exists()


@pytest.mark.parametrize(
    "name", ["builtins.eval", "os.system", "numpy.load", "joblib.load", "numpy.core.multiarray._reconstruct", "functools.partial"]
)
def test_names_that_a_model_has_no_use_for_are_refused(name: str, tmp_path: Path) -> None:
    module, _, attribute = name.rpartition(".")
    path = tmp_path / "hostile.joblib"
    path.write_bytes(zlib.compress(b"\x80\x04c" + f"{module}\n{attribute}\n".encode() + b"."))
    with pytest.raises(ModelError, match=f"names {name}, which a model has no use for"):
        load_model(path)


def test_a_file_cut_anywhere_is_refused(path: Path, tmp_path: Path) -> None:
    raw = path.read_bytes()
    cut = tmp_path / "cut.joblib"
    for share in range(100):
        cut.write_bytes(raw[: len(raw) * share // 100])
        with pytest.raises(ModelError, match="is no usable model file"):
            load_model(cut)


def test_an_array_larger_than_the_file_is_refused(path: Path, tmp_path: Path) -> None:
    raw = zlib.decompress(path.read_bytes())
    forged = raw.replace(pickle.dumps((1 << BITS,), 4)[11:-1], b"\x8a\x05\x00\x00\x00\x00\x10\x85", 1)
    assert forged != raw
    (tmp_path / "bomb.joblib").write_bytes(zlib.compress(forged))
    with pytest.raises(ModelError):
        load_model(tmp_path / "bomb.joblib")


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another format": (lambda r: r.update(format="other"), "does not say that it is a consent-text-detector model"),
    "a newer version": (lambda r: r.update(version=99), "it has format version 99, this release reads 4"),
    "short evidence": (lambda r: r.update(evidence=r["evidence"][:-1]), r"'evidence' is <i4 of shape \(63,\), expected <i4 of shape \(64,\)"),
    "evidence of another type": (lambda r: r.update(evidence=r["evidence"].astype("<f8")), "'evidence' is <f8"),
    "a NaN in the context": (lambda r: r["context"].__setitem__((0, 0), np.nan), "'context' has values that are not finite"),
    "evidence that is no array": (lambda r: r.update(evidence=[1.0]), "'evidence' is list, expected an array"),
    "no evidence": (lambda r: r.pop("evidence"), "'evidence' is NoneType, expected an array"),
    "no IDF": (lambda r: r["squares"].__setitem__(0, 0), "'squares' has values that are not from 1 to 8191"),
    "a grid of nothing": (lambda r: r.update(grid=0.0), r"'grid' is 0.0, expected 1e-09 to 1e\+09"),
    "integer arrays": (lambda r: r.update(context_bias=np.zeros(2, np.int64)), "has an array of dtype|names the dtype"),
    "infinite bias": (lambda r: r.update(bias=float("inf")), "'bias' is inf, expected a finite number"),
    "bits of another size": (lambda r: r.update(bits=7), r"expected <u2 of shape \(128,\)"),
    "huge bits": (lambda r: r.update(bits=60), "'bits' is 60, expected 1 to 24"),
    "other context features": (lambda r: r.update(context_features=["own"]), "its context features are not those of this release"),
    "a missing threshold": (lambda r: r["thresholds"].pop("recall"), "'thresholds' is .*, expected precision, balanced, recall"),
    "a threshold above 1": (lambda r: r["thresholds"].update(recall=1.5), "threshold 'recall' is 1.5, expected 0 to 1"),
    "a card that is a list": (lambda r: r.update(card=[]), "'card' is list, expected a dict"),
    "one number in alone": (lambda r: r.update(alone=[1.0]), "'alone' is .*, expected 5 numbers"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_defect_is_refused_with_its_reason(change: str, path: Path) -> None:
    alter, message = CHANGES[change]
    record = record_of(path)
    alter(record)
    joblib.dump(record, path, compress=("zlib", 3), protocol=4)
    with pytest.raises(ModelError, match=message):
        load_model(path)


@pytest.mark.parametrize("raw", [b"", b"hello", b"PK\x03\x04", zlib.compress(b""), zlib.compress(b"\x80\x04N."), zlib.compress(b"garbage" * 9)])
def test_other_files_are_refused(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.joblib").write_bytes(raw)
    with pytest.raises(ModelError, match="Make one with `consent-training fit`"):
        load_model(tmp_path / "other.joblib")


def test_one_bad_file_of_each_kind_is_refused_or_gives_finite_results(path: Path, tmp_path: Path) -> None:
    # the short form of tests/torture/test_models.py, which has thousands
    marker = tmp_path / "ran"
    first: dict[str, Hostile] = {}
    for hostile in hostile_models(path, str(marker), random.Random(0), flips=1):
        first.setdefault(hostile.kind, hostile)
    assert len(first) >= 150
    assert faults_of(list(first.values()), load_all(tmp_path, path, list(first.values()))) == []
    assert not marker.exists()


def test_a_file_is_loaded_only_if_it_has_the_digest(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert Detector.load(path, sha256=digest).model.bits == Detector.load(path, sha256=digest.upper()).model.bits == BITS
    other = "0" * 64
    with pytest.raises(ModelError, match=f"is another model file: its SHA-256 is {digest}, expected {other}; get the file again"):
        Detector.load(path, sha256=other)
    with pytest.raises(ModelError, match=f"expected {other}"):
        Detector.load(sha256=other)
    assert Detector.load(sha256=hashlib.sha256(SHIPPED.read_bytes()).hexdigest()).threshold == Detector.load().threshold
    with pytest.raises(ValueError, match="sha256 must be 64 hexadecimal digits, got 'abc'; sha256sum FILE prints them"):
        Detector.load(path, sha256="abc")


def test_of_a_file_with_a_digest_what_was_digested_is_what_is_loaded(path: Path, tmp_path: Path) -> None:
    # it is opened once, and not decoded before its digest is known: a bad file with another digest is told from a damaged one
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    code = (
        "import sys\nfrom detector.persistence import load_model\nopened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(args[0]) if event == 'open' and args[0] == sys.argv[1] else None)\n"
        "load_model(sys.argv[1], sys.argv[2])\nprint(len(opened))\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path), digest], capture_output=True, text=True, check=True).stdout == "1\n"
    (tmp_path / "bad.joblib").write_bytes(b"bad")
    with pytest.raises(ModelError, match="is another model file"):
        load_model(tmp_path / "bad.joblib", digest)


def test_a_model_that_could_not_be_read_again_is_not_written(path: Path) -> None:
    before = path.read_bytes()
    cards: list[dict[Any, Any]] = [{"name": "x" * 600_000}, {"name": {1, 2}}, {1: "name"}]
    for card in cards:
        with pytest.raises(ModelError, match="is no usable model file"):
            save_model(replace(small_model(), card=card), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_card_may_hold_a_value_twice(path: Path) -> None:
    part = {"a": [1, 2]}
    save_model(replace(small_model(), card={"one": part, "two": part}), path)
    assert load_model(path).card == {"one": part, "two": part}


def test_what_is_no_regular_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ModelError, match=f"{place} is no usable model file: it is a directory, a pipe or a device"):
            load_model(place)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        Detector.load(tmp_path / "absent.joblib")


def test_a_failed_write_leaves_the_old_model(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        save_model(small_model(), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_importing_and_loading_opens_no_other_file_of_ours(tmp_path: Path) -> None:
    # import does no work: no model is read before it is asked for
    code = (
        "import sys\nopened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "import detector\nprint([p for p in opened if p.endswith('.joblib')])\n"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_an_open_file_is_no_path() -> None:
    with pytest.raises(TypeError):
        load_model(io.BytesIO())  # type: ignore[arg-type]
