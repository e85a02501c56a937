"""`training.gate`: a model is held against floors, and floors fall only when someone says so."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from detector import Detector
from tests import labelled
from tests.conftest import CASES, DATA
from training import cli
from training.gate import Floors, compare, is_right, measure

MADE = (
    ("article", {"text": "The harbour reopens on Monday after the storm.", "note": "plain"}),
    ("boilerplate", {"text": "We use cookies to personalise content and ads.", "note": "plain"}),
    (
        "documents",
        {
            "name": "a",
            "note": "both",
            "lines": [["a", "The harbour reopens on Monday."], ["b", "We use cookies to personalise ads."], ["b", "Accept all"]],
        },
    ),
    ("known_failures", {"of": "article", "text": "We use cookies to personalise content and ads.", "note": "wrong on purpose"}),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A data folder and a folder of cases, both small."""
    data, cases = tmp_path / "data", tmp_path / "cases"
    (data / "validation").mkdir(parents=True)
    cases.mkdir()
    labelled.write(data / "validation" / "en.jsonl", 30)
    for name in ("slots.json", "cookies.csv"):
        shutil.copy(DATA / name, data / name)
    for name, case in MADE:
        (cases / f"{name}.jsonl").write_text(json.dumps(case) + "\n", encoding="utf-8")
    return data, cases


def run(data: Path, cases: Path, *options: str) -> int:
    return cli.main(["gate", "--data", str(data), "--cases", str(cases), *options])


def test_the_shipped_model_is_above_every_floor() -> None:
    assert compare(measure(Detector.load(), DATA, CASES), Floors.read(DATA / "floors.json")) == []


def test_known_failures_count_with_what_they_are_cases_of(folders: tuple[Path, Path]) -> None:
    figures = measure(Detector.load(), *folders).figures
    assert (figures["article_cases_right"], figures["boilerplate_cases_right"], figures["documents_cases_right"]) == (0.5, 1.0, 1.0)


def test_floors_are_pinned_and_then_hold(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*folders) == 2
    assert "there are no floors; pin them with consent-training gate --update" in capsys.readouterr().err
    assert run(*folders, "--update") == 0
    assert run(*folders) == 0


def test_a_figure_below_its_floor_fails_and_falls_only_with_the_flag(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    run(*folders, "--update")
    path = folders[0] / "floors.json"
    pinned = Floors.read(path)
    higher = Floors(pinned.digests, {**pinned.figures, "article_cases_right": 0.9})
    path.write_text(higher.to_json(), encoding="utf-8")
    assert run(*folders) == 1
    assert "below the gate: article_cases_right: 0.500, its floor is 0.900" in capsys.readouterr().err
    assert run(*folders, "--update") == 1
    assert Floors.read(path) == higher
    assert run(*folders, "--update", "--lower") == 0
    assert Floors.read(path) == pinned
    assert run(*folders, "--lower") == 2


def test_floors_of_other_cases_do_not_count(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    run(*folders, "--update")
    with open(folders[1] / "article.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(MADE[0][1]) + "\n")
    assert run(*folders) == 1
    assert "1 files are not those that the floors were pinned on: cases/article.jsonl" in capsys.readouterr().err
    assert run(*folders, "--update") == 0
    assert run(*folders) == 0


def test_a_document_is_right_when_exactly_the_articles_lines_are_kept() -> None:
    detector = Detector.load()
    lines = MADE[2][1]["lines"]
    assert is_right(detector, "documents", {"lines": lines})
    assert not is_right(detector, "documents", {"lines": [["a", line] for _, line in lines]})


@pytest.mark.parametrize("text", ["{", "[]", '{"floors": {}}', '{"measured_on": {}, "floors": {"a": "b"}}'])
def test_a_file_that_holds_no_floors_is_an_error(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str], text: str) -> None:
    (folders[0] / "floors.json").write_text(text, encoding="utf-8")
    assert run(*folders) == 2
    assert "not a floors file" in capsys.readouterr().err
