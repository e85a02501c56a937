"""A new user retrains: the six commands of README.md as they stand, in a folder of their own, and a person at the page, played by a script."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.browser.driving import ReviewPage
from tests.conftest import DATA
from training.dataset import LabelledDocument, read_documents
from training.fitting import REFUSED

README = Path(__file__).parents[2] / "README.md"
REVIEWED = 20


@dataclass(frozen=True)
class Loop:
    """What the six commands left behind."""

    folder: Path
    reviewed: set[str]
    reports: dict[str, str]

    def outcome(self, file: str) -> tuple[float, int]:
        """Share of the consent paragraphs removed, and article paragraphs lost, of the documents that were not reviewed."""
        found = missed = lost = 0
        for row, truth in zip(rows(self.folder / file), answers().values(), strict=True):
            if truth.id in self.reviewed:
                continue
            kept = row["text"].splitlines()
            for p in truth.paragraphs:
                found += p.label == "boilerplate" and p.text not in kept
                missed += p.label == "boilerplate" and p.text in kept
                lost += p.label == "article" and p.text not in kept
        return found / (found + missed), lost


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers() -> dict[str, LabelledDocument]:
    """What a person knows of the documents."""
    return {document.id: document for document in read_documents([DATA / "tutorial" / "labels.jsonl"])}


def commands() -> list[str]:
    """The commands of the README's part on retraining."""
    part = README.read_text(encoding="utf-8").partition("\n## Retrain it on your own labels\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", part, re.DOTALL)
    return [line.partition("#")[0].strip() for line in block.splitlines()]


def run(command: str, folder: Path) -> str:
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}  # where the commands are installed
    done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S602 - as a user types it
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def review(page: ReviewPage) -> None:
    """Click each paragraph whose label is wrong, and mark each document as right."""
    known = answers()
    for name in page.shown:
        page.click(f"[data-id='{name}']")
        labels = {p.text: p.label for p in known[name].paragraphs}
        for i, p in enumerate(page.paragraphs):
            if p["label"] != labels[p["text"]]:
                page.click_paragraph(i)
        page.keys("r")
        assert page.labels == [p.label for p in known[name].paragraphs]


@pytest.fixture(scope="module")
def loop(driver: Chrome, tmp_path_factory: pytest.TempPathFactory) -> Loop:
    folder = tmp_path_factory.mktemp("loop")
    (folder / "data").symlink_to(DATA)
    reports = {}
    for command in commands():
        reports[" ".join(command.split()[:2])] = run(command, folder)
        if command.startswith("consent-detector review"):
            page = ReviewPage(driver, folder / command.split()[-1], folder / "downloads")
            review(page)
            shutil.move(page.download(), folder)
    reviewed = {row["id"] for row in rows(folder / "look.jsonl")}
    assert len(reviewed) == REVIEWED
    return Loop(folder, reviewed, reports)


def test_there_are_six_commands() -> None:
    assert [" ".join(command.split()[:2]) for command in commands()] == [
        "consent-detector filter",
        "consent-training suggest",
        "consent-detector review",
        "consent-training fit",
        "consent-training evaluate",
        "consent-detector filter",
    ]


def test_the_shipped_model_misses_most_of_the_family(loop: Loop) -> None:
    recall, lost = loop.outcome("before.jsonl")
    assert recall <= 0.4
    assert lost == 0


def test_twenty_reviewed_documents_teach_the_others(loop: Loop) -> None:
    recall, lost = loop.outcome("clean.jsonl")
    assert recall >= 0.95
    assert lost == 0


def test_the_same_labels_beside_our_documents_teach_the_others_too(loop: Loop) -> None:
    labelled = next(loop.folder.glob("*labelled.jsonl"))
    run(f"consent-training fit --labelled {labelled.name} --base -o based.joblib", loop.folder)
    run("consent-detector filter data/tutorial/pages.jsonl --model based.joblib -o based.jsonl", loop.folder)
    recall, lost = loop.outcome("based.jsonl")
    assert recall >= 0.95
    assert lost == 0
    run("consent-training gate --model based.joblib", loop.folder)


def test_the_gate_holds(loop: Loop) -> None:
    run("consent-training gate --model mine.joblib", loop.folder)
    assert not list(loop.folder.glob(f"*{REFUSED}*"))


def test_the_person_is_told_what_got_better(loop: Loop) -> None:
    report = loop.reports["consent-training fit"]
    assert "better: boilerplate found" in report
    assert "the gate: of " in report
    assert "mine" in loop.reports["consent-training evaluate"]
