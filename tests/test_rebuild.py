"""`training.rebuild` and `training.facts`: labelled texts again, from the files of public repositories."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from training import cli
from training.facts import page_facts, string_facts
from training.rebuild import page_lines, rebuild_pages, rebuild_strings

PAGE = """<html><head><title>no</title><script>no()</script></head><body><nav><ul><li><a href=/>Home</a></li><li>News</li></ul></nav>
<h1>Harbour<br>reopens</h1><p>It <b>opened</b>
 on <i>Monday</i>.</p><!-- no --><table><tr><td>Tide</td><td>2 m</td></tr></table><div>We use cookies.<button>OK</button> Bye</div></body></html>"""
LINES = ["Home", "News", "Harbour reopens", "It opened on Monday .", "Tide", "2 m", "We use cookies.", "OK", "Bye"]


@pytest.fixture
def labelled() -> dict[str, Any]:
    label: list[dict[str, Any]] = [{"label": "other"}, {"label": "other"}, {"label": "article"}, {"label": "article", "hard": True}]
    label += [{"label": "article"}, {"label": "article"}]
    label += [{"label": "boilerplate", "kind": "banner"}, {"label": "boilerplate", "kind": "button"}, {"label": "unsure"}]
    rows = [{"text": text, **row} for text, row in zip(LINES, label, strict=True)]
    return {"source": "trafilatura", "page": "tests/a.html", "site": "a.example", "lang": "en", "paragraphs": rows}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "repository" / "tests").mkdir(parents=True)
    (tmp_path / "repository" / "tests" / "a.html").write_text(PAGE, encoding="utf-8")
    return tmp_path / "repository"


def test_a_line_is_a_run_of_text_between_block_elements() -> None:
    assert page_lines(PAGE.encode()) == LINES
    assert page_lines(gzip.compress(PAGE.encode())) == LINES
    assert page_lines(b"") == []


def test_a_page_that_is_word_for_word_the_same_gets_its_labels_back(labelled: dict[str, Any], checkout: Path) -> None:
    pages, counts = rebuild_pages([page_facts(labelled)], {"adbar/trafilatura": checkout})
    assert counts == {"rebuilt": 1, "missing": 0, "changed": 0}
    assert pages == [{**labelled, "source": "adbar/trafilatura"}]


def test_a_page_that_changed_is_missing_or_lies_elsewhere_is_counted(labelled: dict[str, Any], checkout: Path) -> None:
    fact = page_facts(labelled)
    facts = [{**fact, "sha256": "0"}, {**fact, "page": "tests/b.html"}, {**fact, "page": "../secret.html"}, {**fact, "repository": "x/y"}]
    (checkout.parent / "secret.html").write_text(PAGE, encoding="utf-8")
    assert rebuild_pages(facts, {"adbar/trafilatura": checkout}) == ([], {"rebuilt": 0, "missing": 2, "changed": 1})


def test_strings_are_found_by_their_digest_in_any_file(tmp_path: Path) -> None:
    (tmp_path / "de.json").write_text('{"a": "Wir nutzen <b>Kekse</b>", "b": {"c": "Ganz etwas anderes"}}', encoding="utf-8")
    (tmp_path / "broken.json").write_text('{"a": ', encoding="utf-8")
    (tmp_path / "messages.php").write_text("<?php return ['ok' => 'x', title = 'Deine Wahl'];", encoding="utf-8")
    rows: list[dict[str, Any]] = [
        {"text": "Wir nutzen Kekse", "label": "boilerplate", "kind": "banner", "lang": "de", "source": "forum"},
        {"text": "Deine Wahl", "label": "boilerplate", "kind": "button", "lang": "de", "source": "forum", "generic": True},
        {"text": "Nirgends zu finden", "label": "article", "lang": "de", "source": "forum"},
        {"text": "Wir nutzen Kekse", "label": "article", "lang": "de", "source": "elsewhere"},
    ]
    assert rebuild_strings(map(string_facts, rows), {"forum": tmp_path}) == (rows[:2], {"rebuilt": 2, "missing": 1})


def test_the_command_writes_what_fit_reads(labelled: dict[str, Any], checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "pages.jsonl").write_text(json.dumps(labelled), encoding="utf-8")
    facts, out = tmp_path / "facts.jsonl.gz", tmp_path / "again.jsonl"
    assert cli.main(["facts", str(tmp_path / "pages.jsonl"), "-o", str(facts)]) == 0
    assert cli.main(["sources", "pages", "--checkout", f"adbar/trafilatura={checkout}", "--facts", str(facts), "-o", str(out)]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["paragraphs"] == labelled["paragraphs"]
    assert f"{out}: 1 rebuilt, 0 missing, 0 changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("checkouts", "message"),
    [
        (["adbar/trafilatura"], "expected NAME=DIR with an existing folder"),
        (["adbar/trafilatura=nowhere"], "expected NAME=DIR with an existing folder"),
        (["a/b=."], "has no facts of it; there are adbar/trafilatura"),
        (["adbar/trafilatura=."], "nothing could be rebuilt (0 rebuilt, 1 missing, 0 changed)"),
    ],
)
def test_a_checkout_that_is_none_is_refused_with_the_next_step(
    labelled: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], checkouts: list[str], message: str
) -> None:
    facts = tmp_path / "facts.jsonl.gz"
    facts.write_bytes(gzip.compress(json.dumps(page_facts(labelled)).encode()))
    assert cli.main(["sources", "pages", "--checkout", *checkouts, "--facts", str(facts), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()


def test_a_file_that_holds_no_facts_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "facts.jsonl.gz").write_bytes(b"hello")
    assert cli.main(["sources", "strings", "--checkout", "a=.", "--facts", str(tmp_path / "facts.jsonl.gz"), "-o", str(tmp_path / "o")]) == 2
    assert "can't be read as facts" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "name"), [("pages", "adbar/trafilatura"), ("strings", "trafilatura")])
def test_a_missing_extra_is_an_error_and_not_a_missing_text(
    labelled: dict[str, Any],
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    name: str,
) -> None:
    fact = page_facts(labelled) if kind == "pages" else string_facts({"text": "Home", "label": "article", "lang": "en", "source": name})
    facts = tmp_path / "facts.jsonl.gz"
    facts.write_bytes(gzip.compress(json.dumps(fact).encode()))
    monkeypatch.setitem(sys.modules, "lxml", None)
    arguments = ["sources", kind, "--checkout", f"{name}={checkout}", "--facts", str(facts), "-o", str(tmp_path / "out.jsonl")]
    assert cli.main(arguments) == 2
    assert "install the extra: pip install 'consent-text-detector[sources]'" in capsys.readouterr().err
