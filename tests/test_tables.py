"""`training.tables`: cookie tables in the layouts of preference centres."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.conftest import DATA
from training.compose import Slots
from training.dataset import DatasetError
from training.tables import LISTS, TABLES, cookie_tables, read_tables

WORDS = {name: [f"{name}{i}" for i in range(3)] for name in LISTS}
COOKIES = [{"name": "_ga_*", "provider": "Google", "purpose": "tells visitors apart", "duration": "2 years"}]


def test_every_row_has_a_real_cookie_and_no_placeholder() -> None:
    for document in cookie_tables({"fi": WORDS}, COOKIES, random.Random(0)):
        lines = [p.text for p in document.paragraphs]
        assert sum("_ga_" in line for line in lines) >= 3
        assert not any("*" in line or "{" in line or "\n" in line or not line.strip() for line in lines)
        assert {(p.label, p.kind) for p in document.paragraphs} == {("boilerplate", "preference")}


def test_tables_of_a_language_are_one_group_and_a_seed_gives_the_same() -> None:
    made = cookie_tables({"fi": WORDS, "sv": WORDS}, COOKIES, random.Random(3))
    assert len(made) == 2 * TABLES
    assert {d.group for d in made} == {"authored/fi-tables", "authored/sv-tables"}
    assert made == cookie_tables({"sv": WORDS, "fi": WORDS}, COOKIES, random.Random(3))


def test_rows_come_in_one_line_and_in_several_with_labels_and_without() -> None:
    tables = [table for seed in range(20) for table in cookie_tables({"fi": WORDS}, COOKIES, random.Random(seed))]
    made = [[p.text for p in table.paragraphs] for table in tables]
    assert any(any(line.startswith("_ga_") and "Google" in line for line in lines) for lines in made)
    assert any("Google" in lines for lines in made)
    assert any(any(line.startswith("name") and "_ga_" in line for line in lines) for lines in made)


def test_a_line_without_a_cookies_name_or_purpose_is_generic() -> None:
    rows = [p for d in cookie_tables({"fi": WORDS}, COOKIES, random.Random(1)) for p in d.paragraphs]
    assert any(p.generic for p in rows)
    assert not any(p.generic for p in rows if "_ga_" in p.text or "purposes" in p.text or "vendor" in p.text)
    assert all(p.generic for p in rows if p.text in WORDS["durations"])


def test_english_tables_tell_the_facts_of_the_cookie() -> None:
    texts = [p.text for d in cookie_tables({"en": WORDS}, COOKIES, random.Random(0)) for p in d.paragraphs]
    assert any("tells visitors apart" in text for text in texts)
    assert any("purposes" in text for text in texts)


def test_the_committed_words_are_whole() -> None:
    tables = read_tables(DATA / "tables.json")
    assert len(tables) >= 36
    assert cookie_tables(tables, Slots.read(DATA).cookies, random.Random(0))


def test_a_language_without_a_list_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tables.json").write_text(json.dumps({"fi": {**WORDS, "vendor": []}}), encoding="utf-8")
    with pytest.raises(DatasetError, match="'fi' has no words for vendor"):
        read_tables(tmp_path / "tables.json")
