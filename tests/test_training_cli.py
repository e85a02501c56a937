"""The command ``consent-training``, run as a user runs it."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from detector import Detector
from tests import labelled
from training.card import to_markdown
from training.cli import main
from training.dataset import read_documents

SCRATCH = ("--from-scratch", "--no-authored")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    labelled.write(folder / "all.jsonl", 60)
    assert main(["split", str(folder / "all.jsonl"), "-o", str(folder), "--seed", "1"]) == 0
    return folder


def fit(files: Path, output: Path, *options: str) -> int:
    return main(
        ["fit", *SCRATCH, "--labelled", str(files / "part-0.jsonl.gz"), "-o", str(output), "--folds", "3", "--bits", "12", "--quiet", *options]
    )


def test_split_keeps_a_site_in_one_part(files: Path) -> None:
    parts = [read_documents([files / f"part-{k}.jsonl.gz"]) for k in (0, 1)]
    assert [len(part) for part in parts] == [30, 30]
    assert not {d.group for d in parts[0]} & {d.group for d in parts[1]}


def test_split_makes_the_folder_of_its_parts_and_says_where_it_can_not(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["split", str(files / "all.jsonl"), "-o", str(tmp_path / "new" / "parts"), "--seed", "1"]) == 0
    assert (tmp_path / "new" / "parts" / "part-0.jsonl.gz").read_bytes() == (files / "part-0.jsonl.gz").read_bytes()
    capsys.readouterr()
    assert main(["split", str(files / "all.jsonl"), "-o", str(files / "all.jsonl")]) == 2
    assert "consent-training: error: " in capsys.readouterr().err


def test_a_model_is_fitted_with_its_card_and_measured(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = tmp_path / "mine.joblib"
    assert fit(files, model, "--held-out", str(files / "part-1.jsonl.gz")) == 0
    out = capsys.readouterr().out
    assert "out of fold, by site:" in out
    assert "held out:" in out
    card = Detector.load(model).model.card
    assert card["sources"][0]["documents"] == 30
    assert set(card["sources"][0]["sha256"]) == {"part-0.jsonl.gz"}
    assert card["held_out"]["documents"] == 30
    assert card["versions"]["scikit-learn"]
    page = (tmp_path / "mine.md").read_text()
    assert card["sources"][0]["sha256"]["part-0.jsonl.gz"] in page
    assert "| average_precision |" in page
    assert main(["evaluate", str(files / "part-1.jsonl.gz"), "--model", str(model), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert measured["recall"] == card["held_out"]["recall"]
    assert set(measured["by_kind"]) == {"banner", "button"}
    assert set(measured["by_language"]) == {"de", "en"}
    assert len(measured["by_site"]) == 30
    assert main(["evaluate", str(files / "part-1.jsonl.gz"), "--model", str(model), "--threshold", "recall"]) == 0
    assert "average_precision" in capsys.readouterr().out


@pytest.fixture(scope="module")
def model(files: Path) -> Path:
    assert fit(files, files / "mine.joblib", "--held-out", str(files / "part-1.jsonl.gz")) == 0
    return files / "mine.joblib"


def tables(page: str, heading: str) -> list[str]:
    """Lines of the tables below a heading of a Markdown page."""
    return [line for line in page.partition(heading)[2].partition("\n## ")[0].splitlines() if line.startswith("|")]


def test_the_card_that_fit_writes_and_that_of_evaluate_say_the_same(
    files: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(files / "part-1.jsonl.gz"), "--model", str(model), "--card", str(tmp_path / "card.md"), "--json"]) == 0
    of_fit = tables(model.with_suffix(".md").read_text(), "## Figures on held-out sites")
    assert tables((tmp_path / "card.md").read_text(), "## mine: figures at the threshold") == of_fit
    figures = json.loads(capsys.readouterr().out)
    low, high = figures["intervals"]["recall"]
    assert f"| recall | {figures['recall']:.5f} | {low:.5f} to {high:.5f} |" in of_fit
    assert {name: value for name, value in figures.items() if name != "by_site"} == Detector.load(model).model.card["held_out"]
    assert Detector.load(model).model.card["sources"][0]["sha256"]["part-0.jsonl.gz"] not in (tmp_path / "card.md").read_text()


def test_cards_of_older_models_have_no_intervals_and_are_written_as_they_were(detector: Detector) -> None:
    card = detector.model.card
    old = {**card, "out_of_fold": {name: value for name, value in card["out_of_fold"].items() if name != "intervals"}}
    assert "| figure | value |\n|---|---|\n| documents |" in to_markdown(old)


def test_several_models_stand_side_by_side(files: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["evaluate", str(files / "part-1.jsonl.gz"), "--model", "shipped", str(model), "--threshold", "0.99"]
    assert main([*asked, "--json"]) == 0
    both = json.loads(capsys.readouterr().out)
    assert list(both["models"]) == ["shipped", "mine"]
    assert both["against"] == "shipped"
    assert both["flips"]["mine"]["found"] > 0
    assert main([*asked[:2], "--model", str(model), "--threshold", "0.99", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == both["models"]["mine"]
    assert main(asked) == 0
    lines = [re.split("  +", line) for line in capsys.readouterr().out.splitlines()]
    shipped, mine = both["models"]["shipped"], both["models"]["mine"]
    assert ["figure", "shipped", "mine"] in lines
    assert ["article paragraphs lost", f"0 of {shipped['article']}", f"{mine['false_removals']} of {mine['article']}"] in lines
    recall = [f"{m['recall']:.3f} [{m['intervals']['recall'][0]:.3f}, {m['intervals']['recall'][1]:.3f}]" for m in (shipped, mine)]
    assert ["recall at the threshold", *recall] in lines
    better = [name for name, site in mine["by_site"].items() if site["boilerplate"] and site["recall"] > shipped["by_site"][name]["recall"]]
    assert ["consent paragraphs newly removed", f"{both['flips']['mine']['found']} on {len(better)} sites"] in lines
    assert [line[0] for line in lines if line[0].startswith(("banner", "button", "de ", "en "))] == [
        *["button (42 on 21 sites)", "banner (21 on 21 sites)"] * 2,
        "en (42 on 14 sites)",
        "de (21 on 7 sites)",
    ]


def test_files_may_stand_behind_the_models(files: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures = []
    for asked in (
        ["--model", str(model), str(files / "part-1.jsonl.gz"), "--json"],
        [str(files / "part-1.jsonl.gz"), "--json", "--model", str(model)],
    ):
        assert main(["evaluate", *asked]) == 0
        figures.append(capsys.readouterr().out)
    assert figures[0] == figures[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "shipped"], "no labelled documents; give files whose names end in .jsonl or .jsonl.gz"),
        (["absent.jsonl"], "absent.jsonl: can't be read"),
        (["part-1.jsonl.gz", "--model", "mine.joblib", "mine.joblib"], "the model mine.joblib is given twice"),
        (["part-1.jsonl.gz", "--model", "shipped", "shipped"], "is given twice; give each once (without --model it is the shipped one"),
        (["part-1.jsonl.gz", "--model", "absent.joblib"], "absent.joblib"),
        (["part-1.jsonl.gz", "--report", "absent/r.html"], "absent/r.html: its folder does not exist"),
        (["part-1.jsonl.gz", "--card", "absent/r.md"], "absent/r.md: its folder does not exist"),
    ],
)
def test_what_cannot_be_evaluated_is_said(
    files: Path, model: Path, options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(model.parent)
    before = sorted(files.iterdir())
    assert main(["evaluate", *options]) == 2
    assert message in capsys.readouterr().err
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "value", "expected"), [("--threshold", "1.5", "a number from 0 to 1"), ("--examples", "-1", "a whole number from 0")]
)
def test_an_option_that_has_no_such_value_says_what_it_takes(option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "a.jsonl", f"{option}={value}"])
    assert expected in capsys.readouterr().err


def test_the_same_inputs_and_seed_give_the_same_file(files: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert fit(files, tmp_path / f"{name}.joblib", *(["--jobs", "2"] if name == "b" else [])) == 0
    assert (tmp_path / "a.joblib").read_bytes() == (tmp_path / "b.joblib").read_bytes()
    assert fit(files, tmp_path / "c.joblib", "--seed", "5") == 0
    assert (tmp_path / "c.joblib").read_bytes() != (tmp_path / "a.joblib").read_bytes()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-authored"], "no training data; give --labelled or --pages"),
        (["--data", "absent"], "absent/authored holds no .jsonl file"),
        ([*SCRATCH, "--labelled", "absent.jsonl"], "absent.jsonl: can't be read"),
        ([*SCRATCH, "--labelled", "part-0.jsonl.gz", "--held-out", "all.jsonl"], "is in the held-out data and in the training data"),
        ([*SCRATCH, "--labelled", "part-0.jsonl.gz", "-o", "absent/m.joblib"], "absent/m.joblib: its folder does not exist"),
        (["--labelled", "absent.jsonl"], "absent.jsonl: can't be read"),
        (["--labelled", "part-0.jsonl.gz", "--held-out", "all.jsonl"], "is in the held-out data and in the labelled data"),
        (["--labelled", "part-0.jsonl.gz", "--start", "absent.joblib"], "absent.joblib"),
        (["--labelled", "part-0.jsonl.gz", "--bits", "12"], "--bits is for a fit from scratch; give --from-scratch too"),
        (["--labelled", "part-0.jsonl.gz", "--no-authored"], "--no-authored is for a fit from scratch"),
        ([*SCRATCH, "--labelled", "part-0.jsonl.gz", "--base"], "--base is for adapting a model"),
        (["--labelled", "part-0.jsonl.gz", "--base", "--data", "absent"], "absent/authored holds no .jsonl file"),
        (["--labelled", "unsure.jsonl"], "hold no paragraph to learn from"),
    ],
)
def test_what_cannot_be_fitted_is_said_and_nothing_written(
    files: Path, options: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    (files / "unsure.jsonl").write_text('{"text": "perhaps", "label": "unsure"}\n')
    before = sorted(files.iterdir())
    assert main(["fit", "-o", "new.joblib", "--quiet", *options]) == 2
    assert message in capsys.readouterr().err
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("option", "value"), [("bits", 10), ("C", 1.0), ("hot_share", 0.5), ("context_c", 1.0), ("context_weight", 0.5), ("passes", 1)]
)
def test_hyper_parameters_can_be_set(files: Path, tmp_path: Path, option: str, value: float) -> None:
    assert fit(files, tmp_path / "set.joblib", f"--{option.replace('_', '-')}", str(value)) == 0
    model = Detector.load(tmp_path / "set.joblib").model
    assert model.card["settings"][option] == value
    assert (model.bits, len(model.context)) == (value if option == "bits" else 12, value if option == "passes" else 2)


def test_strings_and_authored_documents_are_taken_along(files: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "authored").mkdir(parents=True)
    (data / "slots.json").write_text('{"und": {}, "en": {"site": ["ash.example"]}}')
    (data / "cookies.csv").write_text("name,provider,purpose,duration\n_ga,Google,counts visits,2 years\n")
    (data / "tables.json").write_text("{}")
    dialogue = [{"text": "We use cookies on {site}, is that all right with you?", "label": "boilerplate", "kind": "banner"}] * 2
    (data / "authored" / "en.jsonl").write_text(json.dumps({"id": "en-1", "lang": "en", "source": "authored", "paragraphs": dialogue}) + "\n")
    rows: list[dict[str, Any]] = [
        {"text": f"Prose number {i} of a\nproject.", "label": "article", "lang": "en", "source": "essays"} for i in range(20)
    ]
    rows += [{"text": "We store cookies", "label": "boilerplate", "kind": "banner", "lang": "en", "source": "notices"}]
    rows += [{"text": "Learn more", "label": "boilerplate", "kind": "button", "lang": "en", "source": "notices", "generic": True}]
    (tmp_path / "strings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    output = tmp_path / "m.joblib"
    options = [
        "--from-scratch",
        "--data",
        str(data),
        "--strings",
        str(tmp_path / "strings.jsonl"),
        "--labelled",
        str(files / "part-0.jsonl.gz"),
        "--folds",
        "3",
        "--bits",
        "12",
    ]
    assert main(["fit", *options, "-o", str(output), "--quiet"]) == 0
    sources = {source["name"]: source for source in Detector.load(output).model.card["sources"]}
    assert (sources["strings"]["documents"], sources["strings"]["paragraphs"], sources["strings"]["boilerplate"]) == (1 + 1 + 5, 21, 1)
    assert sources["authored"]["documents"] == 2 + 5 + 1  # two copies filled, five spliced into prose, one whole page
    assert set(sources["authored"]["sha256"]) == {"en.jsonl", "slots.json", "cookies.csv", "tables.json"}


def test_facts_hold_labels_and_digest_but_no_text(tmp_path: Path) -> None:
    page = {"source": "trafilatura", "page": "a/b.html", "site": "a.example", "lang": "en"}
    rows = [("Menu", "other"), ("Top", "other"), ("The council met.", "article"), ("We use cookies", "boilerplate")]
    record: dict[str, Any] = {**page, "paragraphs": [{"text": text, "label": label} for text, label in rows]}
    record["paragraphs"][3]["kind"] = "banner"
    record["paragraphs"][2]["hard"] = True
    (tmp_path / "pages.jsonl").write_text(json.dumps(record) + "\n")
    assert main(["facts", str(tmp_path / "pages.jsonl"), "-o", str(tmp_path / "facts.jsonl.gz")]) == 0
    raw = gzip.decompress((tmp_path / "facts.jsonl.gz").read_bytes()).decode()
    facts = json.loads(raw)
    assert (facts["repository"], facts["page"], facts["labels"]) == ("adbar/trafilatura", "a/b.html", "2o 1a! 1b.banner")
    assert len(facts["sha256"]) == 64
    assert not any(text in raw for text, _ in rows)


@pytest.mark.parametrize("argv", [["--help"], ["fit", "--help"], ["evaluate", "--help"], ["split", "--help"], ["facts", "--help"], ["--version"]])
def test_help_teaches(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(argv)
    assert len(capsys.readouterr().out) > 10


def test_describe_counts_distinct_texts_by_language_kind_and_family(files: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        ("We use cookies", "boilerplate", "banner"),
        ("OK", "boilerplate", "button"),
        ("OK", "boilerplate", "button"),
        ("The end.", "article", None),
    ]
    record = {"id": "a", "lang": "en", "family": "news", "paragraphs": [{"text": t, "label": k, "kind": v} for t, k, v in rows]}
    (tmp_path / "a.jsonl").write_text(json.dumps(record) + "\n")
    capsys.readouterr()
    assert main(["describe", str(tmp_path / "a.jsonl")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "| en | 1 | 2 | 1 | 0 | 1 | 0 | 0 | 0 | 0 | 1 | 0 |" in lines
    assert "| news | 1 | 3 | 1 |" in lines
    assert main(["describe", str(files / "all.jsonl")]) == 0
    assert "| de | 30 |" in capsys.readouterr().out
