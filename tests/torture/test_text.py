"""Bad texts: what holds for any text holds for these too, and the time grows with the text and no faster."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from detector import Detector
from tests.conftest import cases, joined_lines
from tests.torture.conftest import Tried
from tests.torture.families import UNITS, text_of
from tests.torture.invariants import check_document

SHIPPED = Detector.load()
EXAMPLES = 1500
SIZES = (25_000, 400_000)
EXPLAINED_SIZES = (1_500, 24_000)
RATIO = 64
"""By which 16 times the text may take longer, at most: 16 if time is linear, more where the larger one leaves the cache, 256 if it is quadratic."""
TRIES = 4

ANY = st.text(st.characters(exclude_categories=()), max_size=60)
"""Every code point, lone surrogates and those that stand for nothing included."""
ODD = st.text(
    st.sampled_from(
        "\n\n\r\t\v\f\x1c\x1d\x1e\x1f\x00\x01\x7f\x85\xa0\xad\u00df\u0130\u0131\u0300\u0301\u0345\u034f\u0600\u061c\u070f\u115f\u1680\u180e\u2000\u200b"
        "\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\u3000\u3164\ud800\udbff\udc00\udfff\ufb01\ufe0f\ufeff\uffa0\ufff9\ufffd\uffff"
        "\U0001d7ce\U0001f36a\U000e0001\U000e0020\U0010ffff\u0e33\u1e9e\u03a3\u03c2\u1fb3.!?\u3002|\u2022:;\"')(]}\u00bb aAbBzZ019_-"
    ),
    max_size=80,
)
KNOWN = st.one_of(st.sampled_from(joined_lines()), st.sampled_from([case["text"] for case in [*cases("boilerplate"), *cases("article")]]))
REPEATED = st.builds(lambda part, n: part * n, st.one_of(ANY, ODD, KNOWN), st.integers(1, 12))
CUT = st.builds(lambda line, place, odd: line[: place % len(line)] + odd + line[place % len(line) :], KNOWN, st.integers(0, 999), ODD)
LINES = st.lists(st.one_of(ANY, ODD, KNOWN, REPEATED, CUT), max_size=7)
DOCUMENTS = st.builds(str.join, st.sampled_from(["\n", "\n\n", "", " ", "\u2028", "\r\n"]), LINES)


def test_what_holds_for_any_text_holds_for_all_of_unicode(tried: Tried) -> None:
    tested = 0

    @given(DOCUMENTS)
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    def check(text: str) -> None:
        nonlocal tested
        check_document(SHIPPED, text)
        tested += 1

    check()
    tried("documents of all of Unicode, by Hypothesis", tested)


def test_every_code_point_is_input(tried: Tried) -> None:
    # 64 to a line, so that each has neighbours of its kind
    for start in range(0, 0x110000, 1 << 14):
        text = "".join(chr(code) + ("\n" if code % 64 == 63 else " " if code % 4 == 3 else "") for code in range(start, start + (1 << 14)))
        check_document(SHIPPED, text, explained=False)
    tried("code points, each in a line and beside others", 0x110000)


def seconds(call: Callable[[str], object], text: str, n: int) -> float:
    """Of the processor, the least of n calls."""
    found = []
    for _ in range(n):
        start = time.process_time()
        call(text)
        found.append(time.process_time() - start)
    return min(found)


def ratio(call: Callable[[str], object], family: str, sizes: tuple[int, int]) -> float:
    """By how much the larger text takes longer, the least of some tries."""
    best = float("inf")
    small, large = (text_of(family, size) for size in sizes)
    for _ in range(TRIES):
        best = min(best, seconds(call, large, 1) / seconds(call, small, 3))
        if best <= RATIO:
            break
    return best


def use(text: str) -> None:
    """Filter a text and ask for all that is known of it."""
    document = SHIPPED.filter(text)
    assert document.verdict
    assert document.text == "".join(p.text for p in document.paragraphs if p.label == "article")


CALLS: dict[str, tuple[Callable[[str], object], tuple[int, int]]] = {
    "filter": (use, SIZES),
    "explain": (SHIPPED.explain, EXPLAINED_SIZES),
    "predict_proba": (lambda text: SHIPPED.predict_proba(text.split("\n")), SIZES),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_time_grows_with_the_text_and_no_faster(name: str, tried: Tried) -> None:
    call, sizes = CALLS[name]
    call(text_of("joined lines", 1000))
    found = {family: ratio(call, family, sizes) for family in UNITS}
    assert {family: value for family, value in found.items() if value > RATIO} == {}
    tried(f"families of repetitive texts in {name}: 16 times the text takes {max(found.values()):.0f} times as long at most", len(found))


@pytest.mark.parametrize("family", ["short words", "one long word", "banners and news in one line", "nothing but spaces", "Chinese without spaces"])
def test_a_line_of_many_megabytes_is_input(family: str, tried: Tried) -> None:
    text = text_of(family, 100_000_000 if family != "Chinese without spaces" else 30_000_000)
    document = SHIPPED.filter(text)
    assert document.text in {text, ""}
    assert document.n_removed == (not document.text)
    tried("lines of 90 and 100 MB", 1)


def test_ten_million_empty_lines_are_input(tried: Tried) -> None:
    text = "\n" * 5_000_000 + "We use cookies to personalise content and ads.\nAccept all cookies\n" + "\n" * 5_000_000
    document = SHIPPED.filter(text)
    assert document.text == "\n" * 5_000_000
    assert document.n_removed == 2
    tried("documents of 10 million empty lines", 1)
