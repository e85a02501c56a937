"""`training.retrain` and ``fit --labelled``: labels are learnt, what got worse is said, and a better model is not written over."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from detector import Detector
from tests.conftest import CASES, DATA
from training import fitting
from training.cli import main
from training.dataset import LabelledDocument, LabelledParagraph, read_documents
from training.evaluate import evaluate
from training.gate import Outcome, outcomes
from training.retrain import Flips, cost, label_rows, retrain, split

TUTORIAL = DATA / "tutorial" / "labels.jsonl"
KNOWN = 20


@pytest.fixture(scope="module")
def parts() -> tuple[list[LabelledDocument], list[LabelledDocument]]:
    """Some documents of a site family, and all others."""
    documents = read_documents([TUTORIAL])
    return documents[:KNOWN], documents[KNOWN:]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    lines = TUTORIAL.read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "mine.jsonl").write_text("".join(lines[:KNOWN]), encoding="utf-8")
    wrong = [json.loads(line) for line in lines[KNOWN : 2 * KNOWN]]
    for p in (p for document in wrong for p in document["paragraphs"]):
        p["label"] = {"article": "boilerplate", "boilerplate": "article"}[p["label"]]
    (folder / "wrong.jsonl").write_text("".join(json.dumps(d) + "\n" for d in wrong), encoding="utf-8")
    return folder


@pytest.fixture
def small_gate(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate of ten validation documents and a line, for tests that are about something else."""
    data, cases = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("cases")
    (data / "validation").mkdir()
    lines = (DATA / "validation" / "en.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (data / "validation" / "en.jsonl").write_text("".join(lines[:10]), encoding="utf-8")
    for name in ("slots.json", "cookies.csv"):
        shutil.copy(DATA / name, data / name)
    (cases / "article.jsonl").write_text('{"text": "The harbour reopens on Monday after the storm.", "note": "plain"}\n')
    monkeypatch.setattr(fitting, "DATA", data)
    monkeypatch.setattr(fitting, "CASES", cases)


def fit(labelled: Path, output: Path, *options: str) -> int:
    return main(["fit", "--labelled", str(labelled), "-o", str(output), "--quiet", *options])


@pytest.mark.parametrize("options", [[], ["--base"]])
def test_twenty_documents_teach_the_wording_of_a_family_of_sites_and_nothing_is_forgotten(
    files: Path, parts: tuple[list[LabelledDocument], list[LabelledDocument]], options: list[str], tmp_path: Path
) -> None:
    assert fit(files / "mine.jsonl", tmp_path / "m.joblib", *options) == 0
    before, after = Detector.load(), Detector.load(tmp_path / "m.joblib")
    assert [source["name"] for source in after.model.card["sources"]] == ["labelled", *["authored"] * len(options)]
    old, new = evaluate(before, parts[1]), evaluate(after, parts[1])
    assert old["recall"] < 0.4
    assert new["recall"] > 0.95
    assert new["false_removals"] == 0
    gate = Flips.of(outcomes(before, DATA, CASES), outcomes(after, DATA, CASES))
    assert gate.n > 10_000
    assert len(gate.worse) <= gate.n / 5_000


def test_the_report_says_what_changed_on_sites_held_out(parts: tuple[list[LabelledDocument], list[LabelledDocument]]) -> None:
    _, report = retrain(Detector.load().model, parts[0])
    assert report.held_out is not None
    before, after = report.held_out
    assert before["recall"] < after["recall"]
    flips = report.flips["held-out documents"]
    assert len(flips.better) == round((after["recall"] - before["recall"]) * after["boilerplate"])
    text = "\n".join(report.lines())
    assert f"{report.n_held_out} documents of {report.n_sites} sites held out" in text
    assert "better: boilerplate found" in text
    assert text.endswith("verdict: nothing got worse")


def test_wrong_labels_get_the_verdict_that_something_got_worse(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(files / "wrong.jsonl", tmp_path / "m.joblib") == 0
    out = capsys.readouterr().out
    assert "worse: article lost: " in out
    assert "that came out right got worse" in out


def test_documents_that_are_given_to_measure_on_are_not_fitted_on(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held_out = read_documents([files / "wrong.jsonl"])
    given = [d for d in read_documents([files / "mine.jsonl"]) if d.group not in {h.group for h in held_out}]
    assert given == []  # the same sites: so a site in both is refused
    assert fit(files / "mine.jsonl", tmp_path / "m.joblib", "--held-out", str(files / "wrong.jsonl")) == 2
    assert "keep a site in one of them" in capsys.readouterr().err


@pytest.mark.usefixtures("small_gate")
def test_a_better_model_is_not_written_over(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "m.joblib"
    assert fit(files / "mine.jsonl", output) == 0
    good = output.read_bytes()
    assert fit(files / "mine.jsonl", output, "--weight", "0.01") == 2
    assert "the model in it does better" in capsys.readouterr().err
    assert output.read_bytes() == good
    assert Detector.load(tmp_path / "m.refused.joblib").model.card["settings"]["weight"] == 0.01
    assert fit(files / "mine.jsonl", output, "--weight", "0.01", "--force") == 0
    assert output.read_bytes() != good
    assert fit(files / "mine.jsonl", output) == 0  # a better one goes over it
    assert output.read_bytes() == good


@pytest.mark.usefixtures("small_gate")
def test_what_is_no_model_is_not_written_over(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "notes.txt"
    output.write_text("dear diary")
    assert fit(files / "mine.jsonl", output) == 2
    assert "it is no model" in capsys.readouterr().err
    assert output.read_text() == "dear diary"


@pytest.mark.usefixtures("small_gate")
def test_a_model_can_be_adapted_again_and_its_card_says_from_what(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(files / "mine.jsonl", tmp_path / "a.joblib") == 0
    assert fit(files / "wrong.jsonl", tmp_path / "b.joblib", "--start", str(tmp_path / "a.joblib")) == 0
    card: Any = Detector.load(tmp_path / "b.joblib").model.card
    assert [source["name"] for source in card["sources"]] == ["labelled"]
    assert card["started_from"]["file"] == "a.joblib"
    assert card["started_from"]["sources"][0]["sha256"].keys() == {"mine.jsonl"}
    assert card["started_from"]["started_from"]["file"] == "consent.joblib"
    assert "It was adapted from a.joblib" in (tmp_path / "b.md").read_text(encoding="utf-8")
    assert main(["evaluate", str(files / "mine.jsonl"), "--model", str(tmp_path / "b.joblib")]) == 0
    assert f"b was fitted on {files / 'mine.jsonl'}" in capsys.readouterr().err


@pytest.mark.usefixtures("small_gate")
def test_the_same_labels_give_the_same_bytes(files: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert fit(files / "mine.jsonl", tmp_path / f"{name}.joblib") == 0
    assert (tmp_path / "a.joblib").read_bytes() == (tmp_path / "b.joblib").read_bytes()


def test_sites_are_held_out_whole_and_only_where_there_are_enough(parts: tuple[list[LabelledDocument], list[LabelledDocument]]) -> None:
    first, out = split(parts[1], 0)
    assert out
    assert not {d.group for d in first} & {d.group for d in out}
    assert sorted(d.id for d in (*first, *out)) == sorted(d.id for d in parts[1])
    one_site = [d for d in parts[1] if d.group == parts[1][0].group]
    assert split(one_site, 0) == (one_site, [])


def test_a_text_counts_once_for_each_label_and_single_words_are_left_out() -> None:
    def document(name: str, *rows: tuple[str, str]) -> LabelledDocument:
        return LabelledDocument(name, "en", "made", name, tuple(LabelledParagraph(text, label) for text, label in rows))

    made = [document(str(i), ("Keep all notes", "boilerplate"), ("Keep", "boilerplate"), ("By Ada", "article"), ("hm", "unsure")) for i in range(3)]
    made.append(document("x", ("Keep all notes", "other")))
    texts, boilerplate, weight = label_rows(made, 3.0)
    assert list(zip(texts, boilerplate.tolist(), weight.tolist(), strict=True)) == [
        ("Keep all notes", False, 0.25),
        ("Keep all notes", True, 2.25),
        ("By Ada", False, 1.0),
    ]


def test_a_lost_article_paragraph_costs_as_much_as_twenty_consent_paragraphs_that_are_left() -> None:
    lost, left = Outcome("a", "t", "article", right=False), Outcome("a", "t", "boilerplate", right=False)
    assert cost([lost]) == cost([left] * 20)
    assert cost([Outcome("a", "t", label, right=True) for label in ("article", "boilerplate")]) == 0


def test_the_tutorial_is_what_its_labels_say() -> None:
    pages = [json.loads(line) for line in (DATA / "tutorial" / "pages.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = read_documents([TUTORIAL])
    assert [page["id"] for page in pages] == [document.id for document in documents]
    for page, document in zip(pages, documents, strict=True):
        assert page["text"] == "\n\n".join(p.text for p in document.paragraphs) + "\n"


def test_the_gate_is_left_out_where_its_cases_are_not_at_hand(files: Path) -> None:
    _, report = retrain(Detector.load().model, read_documents([files / "mine.jsonl"]))
    assert set(report.flips) == {"held-out documents"}
