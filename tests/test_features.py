"""`detector.features` against the plain reference, on arbitrary text."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from detector.features import hash_lines
from tests.reference import features, fold
from training.pipeline import count_ngrams

BITS = 18
SCRIPTS = st.sampled_from(
    "aZ9_ .,-'’|×X\u00ad\u00a0\u2028\x85\x0c\r\té́ßẞİıIŞğÀÿŽжЖЇґΣςσΆώΐ٣۵०९।؟مرحباשלוםאこんクッキー々。・漢字가각힣한국어เราใช้คุกกี้ລາວမြန်ខ្មែរ👍🏽ﬁＡ９ｱ\ud800\U00020000𝒜\x00Ⅷ®™—…"
)
TEXTS = st.one_of(st.text(SCRIPTS, max_size=60), st.text(max_size=60), st.text(st.characters(), max_size=40))


def counts_of(text: str, bits: int) -> list[dict[int, int]]:
    """Counts of each bucket of each line, as training sees them."""
    counts, _ = count_ngrams(text.split("\n"), bits)
    return [dict(zip(row.indices.tolist(), row.data.astype(int).tolist(), strict=True)) for row in counts]


@given(TEXTS)
@example("We use cookies to improve your experience. 2024, 12 months")
@example("ΠΡΟΣΩΠΙΚΑ ΔΕΔΟΜΕΝΑ προσωπικά δεδομένα τους")
@example("ÇEREZLERİ KABUL ET çerezleri kabul et ısı")
@example("このサイトではCookieを使用します。同意する")
@example("쿠키를 사용합니다 개인정보처리방침")
@example("Einwilligungsverwaltung\u00adsystem Datenschutzerklärungen")
@example("\n\n a \n")
@settings(max_examples=400, deadline=None)
def test_vectorised_features_equal_the_reference(text: str) -> None:
    assert counts_of(text, BITS) == [dict(features(line, BITS)) for line in text.split("\n")]


@given(st.lists(TEXTS, max_size=6))
@settings(max_examples=100, deadline=None)
def test_a_line_has_the_same_features_among_other_lines(lines: list[str]) -> None:
    lines = [line.replace("\n", " ") for line in lines]
    assert counts_of("\n".join(lines), BITS) == [counts_of(line, BITS)[0] for line in (lines or [""])]


@given(TEXTS)
@settings(max_examples=200, deadline=None)
def test_blank_lines_are_those_of_white_space_alone(text: str) -> None:
    # a soft hyphen is deleted before anything is looked at
    assert hash_lines(text, BITS).blank.tolist() == [not line.replace("\u00ad", "").strip() for line in text.split("\n")]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Accept ALL Cookies", "accept all cookies"),
        ("ПРИНЯТЬ ВСЕ", "принять все"),
        ("ΑΠΟΔΟΧΗ ΌΛΩΝ", "Αποδοχή όλων"),
        ("ÉNERGIE ÜBER Ő Ž", "énergie über ő ž"),
        ("KIŞ İÇİN", "kış için"),
        ("12 months, 365 days", "24 months, 730 days"),
        ("Daten\u00adschutz", "Datenschutz"),
        ("١٢ شهر", "٢٤ شهر"),
    ],
)
def test_case_digits_and_soft_hyphens_do_not_count(one: str, other: str) -> None:
    assert counts_of(one, BITS) == counts_of(other, BITS)


@pytest.mark.parametrize(("one", "other"), [("1 day", "12 days"), ("_ga", "ga"), ("accept all", "all accept"), ("クッキー", "クキッー")])
def test_what_means_something_else_has_other_features(one: str, other: str) -> None:
    assert counts_of(one, BITS) != counts_of(other, BITS)


def test_folding_keeps_the_number_of_lines() -> None:
    text = "".join(map(chr, range(0x3000))) + "\n" + "".join(map(chr, range(0xA000, 0xD800)))
    assert len(hash_lines(text, BITS).blank) == text.count("\n") + 1 == fold(text).count("\n") + 1


def test_hashes_do_not_depend_on_the_process() -> None:
    code = "from detector.features import hash_lines; print(hash_lines('Wir verwenden Cookies 漢字', 18).token_buckets.tolist())"
    runs = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout for seed in "01"
    ]
    assert runs[0] == runs[1] == f"{hash_lines('Wir verwenden Cookies 漢字', 18).token_buckets.tolist()}\n"


def test_hashes_are_those_of_every_release() -> None:
    # a model file holds weights by bucket: were a hash to change, every model ever saved would be wrong
    hashed = hash_lines("We use cookies", 18)
    assert hashed.token_buckets[0].tolist() == GOLDEN
    assert hashed.token_buckets.dtype == np.int64


GOLDEN = [113471, 66784, 232248]
