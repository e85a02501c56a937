"""Labels of annotation tools: what is taken, what is left, and what is a defect. The files in cases/annotations were written by the tools."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import annotated
from tests.annotated import DOCUMENT, EXPECTED, EXPORTS, OF_DOCUMENT, SPANS, TEXTS, annotation, choice, tasks
from training.cli import main
from training.dataset import LABELS, LabelledDocument, read_documents
from training.marks import Mark, paragraphs_of

Rows = list[tuple[str, str]]


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def imported(folder: Path, text: str, *options: str, name: str = "export.jsonl") -> list[LabelledDocument]:
    """What is read of a file after it was imported: `read_documents` has nothing against it."""
    (folder / name).write_text(text, encoding="utf-8", newline="")
    assert main(["import", str(folder / name), "-o", str(folder / "out.jsonl"), *options]) == 0
    return read_documents([folder / "out.jsonl"])


def labels(documents: list[LabelledDocument]) -> list[Rows]:
    return [[(p.text, p.label) for p in document.paragraphs] for document in documents]


def defects(folder: Path, text: str, capsys: pytest.CaptureFixture[str], *options: str, name: str = "export.jsonl") -> list[str]:
    """The lines of the error, once it is clear that nothing was written."""
    (folder / name).write_text(text, encoding="utf-8", newline="")
    assert main(["import", str(folder / name), "-o", str(folder / "out.jsonl"), *options]) == 2
    assert not (folder / "out.jsonl").exists()
    return capsys.readouterr().err.replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize("name", ["label_studio.json", "label_studio_min.json", "label_studio.csv", "doccano.jsonl", "doccano.json", "doccano.csv"])
def test_tasks_come_back_from_the_tools_with_their_neighbours(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", str(EXPORTS / name), "-o", str(tmp_path / "out.jsonl")]) == 0
    documents = read_documents([tmp_path / "out.jsonl"])
    candidates = annotated.candidates()
    assert [d.id for d in documents] == [candidates[i].task for i in EXPECTED]
    for document, i in zip(documents, EXPECTED, strict=True):
        around = [*candidates[i].before, *candidates[i].after]
        middle = document.paragraphs[len(candidates[i].before)]
        assert (middle.text, middle.label, middle.kind) == (TEXTS[i][0], *EXPECTED[i])
        assert [p.text for p in document.paragraphs if p is not middle] == around
        assert {p.label for p in document.paragraphs if p is not middle} == {"unsure"}
        assert (document.group, document.lang) == (candidates[i].site, candidates[i].lang or "und")
    out = capsys.readouterr().out
    assert f"{'csv' if 'csv' in name else 'label-studio' if 'label' in name else 'doccano'}, 6 tasks" in out
    assert "5 documents; labelled paragraphs: 1 article, 2 boilerplate, 2 unsure" in out
    if "min" not in name and name != "label_studio.csv":  # which don't hold what was cancelled
        assert f"left out: 1 {'cancelled' if 'label' in name else 'without a label'}" in out


def test_a_fasttext_file_of_doccano_is_read_as_csv_where_it_has_quotes(tmp_path: Path) -> None:
    documents = imported(tmp_path, (EXPORTS / "doccano.txt").read_text(encoding="utf-8"), name="export.txt")
    assert labels(documents) == [[(TEXTS[i][0], EXPECTED[i][0])] for i in EXPECTED]
    assert documents[-1].paragraphs[0].kind == "button"


@pytest.mark.parametrize("name", ["label_studio_spans.json", "label_studio_spans_min.json", "label_studio_spans.csv", "doccano_spans.jsonl"])
def test_spans_label_lines_and_cut_those_that_they_mark_in_part(name: str, tmp_path: Path) -> None:
    assert labels(imported(tmp_path, (EXPORTS / name).read_text(encoding="utf-8"), name=name)) == [OF_DOCUMENT]


def spans_of(*spans: tuple[int, int, str]) -> list[dict[str, Any]]:
    return [{"start": a, "end": b, "label": name} for a, b, name in spans]


PRODIGY = {"_input_hash": 7, "_task_hash": 8, "_session_id": "s", "answer": "accept"}


@pytest.mark.parametrize(
    ("records", "expected", "said"),
    [
        ([{"label": "boilerplate"}], "boilerplate", ""),
        ([{"label": "boilerplate", "answer": "reject"}], "article", "1 rejected labels taken as the other class"),
        ([{"label": "article", "answer": "reject"}], "boilerplate", "1 rejected labels taken as the other class"),
        ([{"label": "Consent", "answer": "reject"}], "article", "rejected"),
        ([{"label": "boilerplate", "answer": "ignore"}], None, "1 ignored"),
        ([{"label": "banner", "answer": "reject"}], None, "1 rejected, which names no other class"),
        ([{"label": "unsure", "answer": "reject"}], None, "1 rejected, which names no other class"),
        ([{"label": "boilerplate", "answer": None}], None, "1 not annotated"),
        ([{"options": [{"id": "article"}, {"id": "boilerplate"}], "accept": ["boilerplate"]}], "boilerplate", ""),
        ([{"options": [{"id": 1, "text": "article"}, {"id": 2, "text": "button"}], "accept": [2]}], "boilerplate", ""),
        ([{"options": [{"id": "article"}], "accept": []}], None, "1 without a label"),
        ([{"options": [{"id": "article"}], "accept": ["article"], "answer": "reject"}], None, "1 rejected, which names no other class"),
        ([{"label": "boilerplate", "spans": spans_of((0, 2, "PATTERN"))}], "boilerplate", ""),
        ([{"label": "boilerplate"}, {"label": "boilerplate"}, {"label": "article"}], "boilerplate", "1 texts with several annotations that disagree"),
        ([{"label": "boilerplate"}, {"label": "boilerplate", "answer": "reject"}], "unsure", "that disagree"),
        ([{"label": "boilerplate"}, {"label": "article", "answer": "reject"}], "boilerplate", "1 texts with several annotations that agree"),
        ([{"label": "boilerplate"}, {"label": "boilerplate", "answer": "ignore"}], "boilerplate", "1 ignored"),
    ],
)
def test_prodigy(records: list[dict[str, Any]], expected: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = lines({**PRODIGY, "_input_hash": 1, "text": "Other", "label": "article"}, *({**PRODIGY, "text": "Save my choices", **r} for r in records))
    found = labels(imported(tmp_path, text, "--map", "Consent=boilerplate"))
    assert found == [[("Other", "article")], *([[("Save my choices", expected)]] if expected else [])]
    assert said in capsys.readouterr().out


def test_prodigy_spans_over_a_document(tmp_path: Path) -> None:
    task = {**PRODIGY, "text": DOCUMENT, "spans": spans_of(*SPANS), "_view_id": "spans_manual"}
    empty = {**PRODIGY, "_input_hash": 9, "text": "The ferry runs.\nTickets", "spans": []}
    rejected = {**PRODIGY, "_input_hash": 10, "text": "We use cookies", "spans": spans_of((0, 14, "boilerplate")), "answer": "reject"}
    nothing = [("The ferry runs.", "article"), ("Tickets", "article")]
    assert labels(imported(tmp_path, lines(task, empty, rejected))) == [OF_DOCUMENT, nothing]


def test_prodigy_tasks_come_back_with_their_neighbours(tmp_path: Path) -> None:
    answers = ("accept", "reject", "reject", "ignore", "accept", "accept")
    made = [{**json.loads(task), "answer": a, "_input_hash": 3} for task, a in zip(tasks("prodigy").splitlines(), answers, strict=True)]
    documents = imported(tmp_path, lines(*made))
    candidates = annotated.candidates()
    assert [d.id for d in documents] == [candidates[i].task for i in (0, 1, 2, 4, 5)]
    assert [[p.label for p in d.paragraphs if p.label != "unsure"] for d in documents] == [["boilerplate"], ["article"], ["article"]] + [
        ["boilerplate"]
    ] * 2
    assert [p.text for p in documents[1].paragraphs] == ["OK", "More"]


def task(*annotations: dict[str, Any], text: str = "Save my choices", **more: object) -> dict[str, Any]:
    return {"id": 1, "data": {"text": text}, "annotations": list(annotations), **more}


@pytest.mark.parametrize(
    ("one", "expected", "said"),
    [
        (task(annotation(1, [choice("boilerplate")])), "boilerplate", ""),
        (task(annotation(1, [choice("boilerplate")], was_cancelled=True)), None, "1 cancelled"),
        (task(annotation(1, [choice("boilerplate")], skipped=True)), None, "1 cancelled"),
        (task(), None, "1 not annotated"),
        (task(predictions=[{"result": [choice("boilerplate")]}]), None, "1 not annotated"),
        (task(annotation(1, [])), None, "1 without a label"),
        (task(*(annotation(i, [choice(x)]) for i, x in enumerate(["boilerplate", "article", "article"]))), "article", "disagree"),
        (task(*(annotation(i, [choice(x)]) for i, x in enumerate(["boilerplate", "article"]))), "unsure", "disagree"),
        (task(annotation(1, [choice("article")]), annotation(2, [choice("boilerplate")], ground_truth=True)), "boilerplate", "overrules"),
        (
            task(annotation(1, [choice("article")]), annotation(2, [choice("boilerplate")], was_cancelled=True)),
            "article",
            "1 cancelled annotations beside others",
        ),
        (task(annotation(1, [choice("article"), choice("boilerplate")])), "unsure", ""),
        (task(annotation(1, [choice("boilerplate"), choice("button")])), "boilerplate", ""),
        (task(annotation(1, [choice("advert"), choice("article")])), "article", "1 labels ignored"),
        (task(annotation(1, [{"from_name": "stars", "type": "rating", "value": {"rating": 3}}, choice("article")])), "article", "1 results of other"),
        ({"id": 1, "data": {"text": "Save my choices"}, "completions": [annotation(1, [choice("article")])]}, "article", ""),
    ],
)
def test_label_studio(one: dict[str, Any], expected: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = json.dumps([task(annotation(1, [choice("article")]), text="Other", id=2), one], indent=1)
    found = labels(imported(tmp_path, text, "--map", "advert=ignore", name="export.json"))
    assert found == [[("Other", "article")], *([[("Save my choices", expected)]] if expected else [])]
    assert said in capsys.readouterr().out


def test_offsets_in_utf_16_are_told_by_the_text_of_the_span(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = "\U0001f36a\U0001f36a The fair.\nWe use cookies"
    start = text.index("We") + 2
    value = {"start": start, "end": start + 14, "text": "We use cookies", "labels": ["boilerplate"]}
    one = task(annotation(1, [{"from_name": "label", "type": "labels", "value": value}]), text=text)
    assert labels(imported(tmp_path, json.dumps([one]))) == [[("\U0001f36a\U0001f36a The fair.", "article"), ("We use cookies", "boilerplate")]]
    assert "1 spans counted in UTF-16" in capsys.readouterr().out


def test_annotators_of_spans_vote_on_each_character() -> None:
    text = "We use cookies. The fair opens.\nOK"
    marks = [[Mark("boilerplate", None, 0, 15), Mark("boilerplate", None, 32, 34)], [Mark("boilerplate", "banner", 0, 15)], [Mark("boilerplate")]]
    assert paragraphs_of(text, marks)[0] == [
        {"text": "We use cookies.", "label": "boilerplate", "kind": "banner"},
        {"text": "The fair opens.", "label": "article"},
        {"text": "OK", "label": "boilerplate"},
    ]


@pytest.mark.parametrize(
    ("unmarked", "marked", "expected"),
    [("auto", "boilerplate", "article"), ("auto", "article", "unsure"), ("other", "boilerplate", "other"), ("unsure", "boilerplate", "unsure")],
)
def test_what_is_unmarked(unmarked: str, marked: str, expected: str, tmp_path: Path) -> None:
    text = lines({"text": "First line\nSecond line", "label": [[0, 10, marked]]})
    assert labels(imported(tmp_path, text, "--unmarked", unmarked)) == [[("First line", marked), ("Second line", expected)]]


def test_csv_with_all_columns_makes_documents_of_neighbouring_rows(tmp_path: Path) -> None:
    text = (
        "\ufefftext;label;document;lang;site;kind\r\n"
        '"We use ""cookies""; fine?";boilerplate;a;en;ash.example;banner\r\n'
        '"Two lines\r\n\r\nof an article";Content;a;en;ash.example;\r\n'
        "OK;;a;en;ash.example;\r\n"
        "Later;article;b;de;oak.example;\r\n"
        "Again;other;a;en;ash.example;\r\n"
    )
    documents = imported(tmp_path, text, "--map", "Content=article", name="export.csv")
    assert labels(documents) == [
        [('We use "cookies"; fine?', "boilerplate"), ("Two lines\r", "article"), ("of an article", "article")],
        [("Later", "article")],
        [("Again", "other")],
    ]
    assert documents[0].paragraphs[0].kind == "banner"
    assert [(d.id.partition(" ")[0], d.lang, d.group) for d in documents] == [
        ("a", "en", "ash.example"),
        ("b", "de", "oak.example"),
        ("a", "en", "ash.example"),
    ]


def test_columns_and_language_can_be_named(tmp_path: Path) -> None:
    documents = imported(tmp_path, "body\tclass\nOK\tboilerplate\n", "--text-field", "body", "--label-field", "class", "--lang", "fr", name="a.tsv")
    assert (labels(documents), documents[0].lang) == ([[("OK", "boilerplate")]], "fr")


def test_plain_fasttext_and_compressed_files(tmp_path: Path) -> None:
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"__label__boilerplate We use cookies\n__label__1 The fair\n\nno label\n"))
    assert main(["import", str(tmp_path / "a.txt.gz"), "-o", str(tmp_path / "out.jsonl.gz"), "--map", "1=article"]) == 0
    assert labels(read_documents([tmp_path / "out.jsonl.gz"])) == [[("We use cookies", "boilerplate")], [("The fair", "article")]]


def test_votes_are_counted_over_several_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, label in (("a", "boilerplate"), ("b", "boilerplate"), ("c", "article")):
        (tmp_path / f"{name}.jsonl").write_text(lines({"id": 4, "text": "Save my choices", "label": [label]}))
    files = [str(tmp_path / f"{name}.jsonl") for name in "abc"]
    assert main(["import", *files, "-o", str(tmp_path / "out.jsonl")]) == 0
    assert labels(read_documents([tmp_path / "out.jsonl"])) == [[("Save my choices", "boilerplate")]]
    assert "1 texts with several annotations that disagree" in capsys.readouterr().out


def test_the_same_text_between_the_same_neighbours_labelled_both_ways_is_unsure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    around = {"before": "The harbour reopens on Monday after a winter of repairs. " * 2, "after": "More"}
    rows = [{"text": "Save my choices", "label": [label], "task": f"t{i}", **around} for i, label in enumerate(["boilerplate", "article"])]
    assert [[p.label for p in d.paragraphs] for d in imported(tmp_path, lines(*rows))] == [["unsure"] * 3] * 2
    assert "2 paragraphs unsure because another task contradicts them" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "text", "options", "expected"),
    [
        (
            "a.jsonl",
            lines({"text": "OK", "label": ["Consent"]}, {"text": 3, "label": ["article"]}, {"label": ["article"]}, {"text": "OK"}) + "{\n[1]\n",
            [],
            [
                "6 defects in the labelled data",
                "a.jsonl:1: label 'Consent', expected one of article, boilerplate",
                "a.jsonl:2: 'text' is int, expected str",
                "a.jsonl:3: no field 'text', only 'label'; name the text's field with --text-field",
                "a.jsonl:4: no field 'label', only 'text'; name it with --label-field",
                "a.jsonl:5: no JSON:",
                "a.jsonl:6: a list, expected an object",
            ],
        ),
        (
            "a.json",
            json.dumps([task(annotation(1, [choice("Consent")])), 3, {"id": 2, "data": {"text": "OK"}, "annotations": [17]}]),
            [],
            ["a.json, task 1: label 'Consent'", "a.json, task 2: a int, expected an object", "a.json, task 3: 'annotations' is no list of objects"],
        ),
        (
            "a.jsonl",
            lines({"text": "OK", "label": [[0, 9, "article"]]}),
            [],
            ["a.jsonl:1: the span 0 to 9 ends after the text, which has 2 characters"],
        ),
        ("a.jsonl", lines({"text": "OK", "label": [["0", 2, "article"]]}), [], ["a.jsonl:1: a span from '0' to 2, expected two offsets"]),
        (
            "a.json",
            json.dumps([task(annotation(1, [{"value": {"start": 0, "end": 4, "text": "Gave", "labels": ["article"]}}]))]),
            [],
            ["a.json, task 1: the span 0 to 4 is 'Save', but its text 'Gave'"],
        ),
        ("a.jsonl", lines({**PRODIGY, "text": "OK", "label": "article", "answer": "yes"}), [], ["a.jsonl:1: answer 'yes', expected accept"]),
        (
            "a.csv",
            "text,label,kind\nOK,article,\nOK,boilerplate,popup\nWe, you,boilerplate,\n",
            [],
            ["a.csv:3: kind 'popup', expected one of banner", "a.csv:4: more columns than the first line names"],
        ),
        ("a.csv", "text,class\nOK,article\n", [], ["a.csv:2: no column 'label', only 'text', 'class'; name it with --label-field"]),
        ("a.csv", "body,class\nOK,article\n", [], ["a.csv: can't tell what wrote this (starts with 'body,class'); name it with --format"]),
        ("a.json", '[{"a": 1}, ', [], ["a.json: not JSON ("]),
        ("a.csv", "text,label\nOK,article\n", ["--format", "prodigy"], ["a.csv: not JSON (starts with 'text,label"]),
        ("a.jsonl", lines({"paragraphs": []}), [], ["a.jsonl: these are labelled documents already; give them to consent-training fit --labelled"]),
        ("a.jsonl", lines({"text": "OK", "label": []}), [], ["no labels in a.jsonl (1 without a label); nothing was written"]),
        ("a.csv", "", [], ["a.csv: can't tell what wrote this"]),
        ("a.csv", "text,label\n", [], ["no labels in a.csv (no tasks); nothing was written"]),
        ("a.csv", "text,label\nOK,article\n", ["--map", "x=y"], ["--map x=y: expected NAME=LABEL with one of article"]),
        ("absent/../a.csv", "text,label\nOK,article\n", ["--format", "csv"], ["No such file"]),
    ],
)
def test_defects_are_said_with_their_place_and_nothing_is_written(
    name: str, text: str, options: list[str], expected: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    assert main(["import", str(tmp_path / name), "-o", str(tmp_path / "out.jsonl"), *options]) == 2
    assert not (tmp_path / "out.jsonl").exists()
    error = capsys.readouterr().err.replace(f"{tmp_path}/", "")
    for line in expected:
        assert line in error


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_bytes("text,label\nKäse,article\n".encode("latin-1"))
    assert main(["import", str(tmp_path / "a.csv"), "-o", str(tmp_path / "out.jsonl")]) == 2
    assert "a.csv: not UTF-8 (byte 12 is 0xe4); convert it" in capsys.readouterr().err


names = st.sampled_from(
    ["text", "label", "labels", "data", "annotations", "result", "value", "choices", "start", "end", "answer", "spans", "options"]
)
names |= st.sampled_from(
    ["accept", "meta", "entities", "id", "annotation_id", "task", "before", "document", "_input_hash", "globalOffsets", "was_cancelled"]
)
values = st.sampled_from([None, True, 0, 3, 1.5, "", "OK", "We use\ncookies", "article", "boilerplate", "accept", "reject", "ignore", "\ud800"])
shapes = st.recursive(values, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=12)
base = st.fixed_dictionaries({"text": st.sampled_from(["OK", "We use\ncookies"])})
records = st.builds(lambda more, text: {**text, **more}, st.dictionaries(names, shapes, max_size=6), base)


@settings(max_examples=60, deadline=None)  # each makes files
@given(st.sampled_from(["auto", "label-studio", "doccano", "prodigy"]), st.lists(records, min_size=1, max_size=4))
def test_whatever_a_file_holds_it_is_read_or_refused(form: str, made: list[dict[str, Any]]) -> None:
    with TemporaryDirectory() as folder:
        path, out = Path(folder) / "a.jsonl", Path(folder) / "out.jsonl"
        path.write_text(lines(*made))
        code = main(["import", str(path), "-o", str(out), "--format", form])
        assert code == (0 if out.exists() else 2)
        if out.exists():
            assert read_documents([out])


spans = st.lists(st.builds(Mark, st.sampled_from(LABELS), st.none(), st.integers(0, 20), st.integers(0, 40)), max_size=4)
texts = st.text(st.sampled_from("ab \n.é漢\U0001f36a\r\u2028"), min_size=1, max_size=30)


@given(texts, st.lists(spans, min_size=1, max_size=3))
def test_whatever_is_marked_no_text_is_lost_and_none_is_blank(text: str, votes: list[list[Mark]]) -> None:
    paragraphs, _ = paragraphs_of(text, votes)
    assert "".join("".join(p["text"].split()) for p in paragraphs) == "".join(text.split())
    assert all(p["text"].strip() and "\n" not in p["text"] and p["label"] in LABELS for p in paragraphs)
    assert len(paragraphs) >= sum(not line.isspace() and line != "" for line in text.split("\n"))
    assert paragraphs_of(text, votes * 2)[0] == paragraphs
