"""The compiled scoring gives what numpy gives, to the bit, and its absence changes nothing but the time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import detector.native
from detector import Detector
from detector.features import utf8
from detector.model import Model
from detector.native import COMPILED, LIBRARY, SWITCH
from tests.golden import texts
from tests.test_features import TEXTS
from tests.test_persistence import small_model

SMALL = small_model()
WANTED = os.environ.get(SWITCH) != "0" and shutil.which((os.environ.get("CC") or "cc").split()[0]) is not None
WORDS = ("cookies", "the", "accept", "harbour", "我们", "ก", "zustimmung", "a", "x" * 40, "Ünïcödé", "한국어로", "...")
TEXT = "The harbour reopens on Monday.\nWe use cookies to improve your visit.\nAccept all cookies\n"
compiled = pytest.mark.skipif(not WANTED, reason="no C compiler, or numpy is asked for")
TOLD = "from detector import Detector; d = Detector.load(); print(d.model.compiled is not None, repr(d.filter({text!r}).text))"


def assert_same(model: Model, text: str) -> None:
    assert model.compiled is not None
    for name, one, other in zip(
        ("log-odds", "suspect", "words", "blank", "newlines"), model.score_lines(utf8(text)), scored(model, text), strict=True
    ):
        assert np.array_equal(one, other), f"{name}: {one} compiled, {other} by numpy"
    assert np.array_equal(model.sums_of_lines(utf8(text)), by_numpy(model).sums_of_lines(utf8(text)))


def by_numpy(model: Model) -> Model:
    """The same without the library."""
    other = replace(model)
    other.__dict__["compiled"] = None
    return other


def scored(model: Model, text: str) -> tuple[NDArray[np.generic], ...]:
    return tuple(model.score_lines_by_numpy(utf8(text)))


def test_the_scoring_is_compiled_where_there_is_a_compiler() -> None:
    assert (COMPILED is not None) == WANTED, "install the package anew: pip install --editable ."


@compiled
@given(TEXTS)
@example("")
@example("\n\u00ad\n\u3000 \u00ad\n x \n")
@example("\ud800İıŞ\u00ad" * 9)
@settings(max_examples=500, deadline=None)
def test_any_text_has_the_scores_that_numpy_gives(text: str) -> None:
    assert_same(SMALL, text)


@compiled
@given(st.lists(st.lists(st.tuples(st.sampled_from(WORDS), st.integers(1, 90)), max_size=8), max_size=5), st.sampled_from((" ", "", "\u3000")))
@settings(max_examples=300, deadline=None)
def test_long_lines_of_few_words_have_the_scores_that_numpy_gives(lines: list[list[tuple[str, int]]], space: str) -> None:
    # many tokens that are hashed in several goes, buckets that are hot many times, words of 16, 32 and 64 bytes on all places
    assert_same(SMALL, "\n".join(space.join(space.join([word] * n) for word, n in line) for line in lines))


@compiled
def test_our_documents_have_the_scores_that_numpy_gives(detector: Detector) -> None:
    found = texts()
    for text in (*found, "\n".join(found), " ".join("\n".join(found).split())):
        assert_same(detector.model, text)


@compiled
def test_our_documents_are_filtered_as_numpy_does_it(detector: Detector) -> None:
    found = [*texts(), "\n".join(texts())]
    pairs = zip(detector.filter_batch(found), Detector(by_numpy(detector.model), detector.threshold).filter_batch(found), strict=True)
    for one, other in pairs:
        assert (one.text, one.paragraphs, one.cuts) == (other.text, other.paragraphs, other.cuts)


@compiled
@given(st.lists(st.lists(st.tuples(st.floats(-30, 30), st.integers(0, 500)), max_size=40), min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_paragraphs_of_any_documents_have_the_log_odds_that_numpy_gives(documents: list[list[tuple[float, int]]]) -> None:
    own = np.array([value for document in documents for value, _ in document], np.float64)
    n_tokens = np.array([n for document in documents for _, n in document], np.intp)
    bounds = np.append(0, np.cumsum([len(document) for document in documents]))
    found = SMALL.log_odds_in_context(own, n_tokens, bounds)
    assert np.array_equal(found, by_numpy(SMALL).log_odds_in_context(own, n_tokens, bounds))


@compiled
@pytest.mark.parametrize("bits", [1, 2, 17, 22])
def test_models_of_any_size_do(bits: int) -> None:
    rng = np.random.default_rng(bits)
    n = 1 << bits
    model = Model(
        **{name: getattr(SMALL, name) for name in ("alone", "context", "context_bias", "pieces", "pieces_bias", "thresholds")},
        bits=bits,
        weights=rng.normal(size=n).astype(np.float32),
        idf=rng.uniform(1, 5, n).astype(np.float32),
        hot=rng.random(n) < 0.3,
        bias=0.5,
    )
    for text in texts()[:40]:
        assert_same(model, text)


@pytest.mark.parametrize("content", [b"", b"no library", None], ids=["empty", "text", "of another version"])
def test_what_is_no_library_of_ours_is_left_alone(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scoring.so"
    if content is not None:
        path.write_bytes(content)
    elif WANTED:
        shutil.copyfile(LIBRARY, path)
        monkeypatch.setattr(detector.native, "VERSION", 0)
    monkeypatch.setattr(detector.native, "LIBRARY", path)
    assert detector.native._library() is None  # noqa: SLF001


@pytest.mark.parametrize("switch", ["0", "1"])
def test_numpy_does_the_same_where_it_is_asked_for(switch: str) -> None:
    environment = {**os.environ, SWITCH: switch}
    run = subprocess.run([sys.executable, "-c", TOLD.format(text=TEXT)], env=environment, capture_output=True, text=True, check=True)
    is_compiled = switch == "1" and LIBRARY.exists()
    assert run.stdout == f"{is_compiled} {'The harbour reopens on Monday.' + chr(10)!r}\n"
