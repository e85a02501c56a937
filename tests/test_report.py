"""The report of ``consent-training evaluate``: one page that stands alone, says what was measured, and can be read by everyone."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from detector import Detector
from tests import labelled
from training.cli import main
from training.dataset import LabelledDocument, LabelledParagraph, digest, read_documents
from training.examples import examples, lost, missed
from training.fit import Table
from training.measured import Measured, differences, flips, measure
from training.plots import COLOURS, GRID, label, plots
from training.sources import Source

VOID = {"meta", "br", "path", "use", "rect"}
HOSTILE = '<script>alert(1)</script> $title & "quotes" \ud800 \x00 \u202e 日本語'
DIGESTS = {"held-out.jsonl": "0" * 64}


class Page(HTMLParser):
    """What a reader, and a reader of the page by ear, can find in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.ids: list[str] = []
        self.wanted: list[str] = []
        self.outside: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - HTMLParser's
        self.tags[tag] += 1
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            self._attribute(name, value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - HTMLParser's
        self.tags[tag] += 1
        for name, value in attrs:
            self._attribute(name, value or "")

    def _attribute(self, name: str, value: str) -> None:
        if name == "id":
            self.ids.append(value)
        if name in {"aria-labelledby", "aria-describedby"}:
            self.wanted += value.split()
        if name in {"href", "xlink:href", "src"}:
            (self.wanted if value.startswith("#") else self.outside).append(value.removeprefix("#"))
        self.wanted += re.findall(r"url\(#([^)]+)\)", value)
        assert not name.startswith("on")

    def handle_endtag(self, tag: str) -> None:  # noqa: D102 - HTMLParser's
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:  # noqa: D102 - HTMLParser's
        self.words.append(data)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two parts of made documents with a hostile one, and a model that was fitted on the first."""
    folder = tmp_path_factory.mktemp("report")
    labelled.write(folder / "all.jsonl", 60)
    assert main(["split", str(folder / "all.jsonl"), "-o", str(folder), "--seed", "1"]) == 0
    options = ["--no-authored", "--labelled", str(folder / "part-0.jsonl.gz"), "--folds", "3", "--bits", "12", "--quiet"]
    assert main(["fit", *options, "-o", str(folder / "_日本$x$.joblib")]) == 0
    hostile = [{"text": HOSTILE, "label": "boilerplate", "kind": "banner"}, {"text": "The council met.", "label": "article"}]
    record = {"id": "h", "lang": "<日>", "site": "<b>日本", "source": "made", "paragraphs": hostile}
    (folder / "hostile.jsonl").write_text(json.dumps(record) + "\n")
    return folder


def report(folder: Path, *options: str) -> str:
    files = [str(folder / name) for name in ("part-1.jsonl.gz", "hostile.jsonl")]
    output = folder / "report.html"
    assert main(["evaluate", *files, "--report", str(output), *options]) == 0
    return output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def two(folder: Path) -> str:
    return report(folder, "--model", "shipped", str(folder / "_日本$x$.joblib"))


def test_the_page_stands_alone_and_its_parts_are_well_formed(two: str) -> None:
    page = Page(two)
    assert page.outside == []
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == 0
    assert "@import" not in two
    assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", two)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.wanted) <= set(page.ids)


def test_what_is_drawn_is_said_in_words_too(two: str) -> None:
    page = Page(two)
    assert page.tags["svg"] == page.tags["figure"] == page.tags["figcaption"] == page.tags["desc"] == 6
    assert two.count('role="img"') == 6
    assert page.tags["table"] == page.tags["caption"] == page.tags["thead"]
    assert "prefers-color-scheme: dark" in two
    assert not [colour for colour in (*COLOURS, GRID, "#000000", '#ffffff;"') if colour in two.partition("</style>")[2]]


def test_a_report_says_what_was_measured_with_what_and_how_to_make_it_again(folder: Path, two: str) -> None:
    for name in ("part-1.jsonl.gz", "hostile.jsonl", "_日本$x$.joblib"):
        assert digest(folder / name) in two
    words = " ".join("".join(Page(two).words).split())
    assert "31 documents of 31 sites" in words
    assert "consent-training evaluate" in words
    assert "--threshold precision --examples 20 --report" in words
    assert "Card of shipped" in words
    assert digest(folder / "part-0.jsonl.gz") in words  # what the second was fitted on
    for part in ("Figures", "Plots", "Worst sites", "What goes wrong", "What flipped", "Models and files", "How it was made"):
        assert f">{part}</h2>" in two


def test_text_of_documents_is_text_of_the_page(folder: Path, two: str) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt; $title &amp; &quot;quotes&quot; \ufffd \ufffd" in two
    assert '<bdi lang="en">' in report(folder, "--threshold", "1.0")
    assert "&lt;b&gt;日本" in two


def test_the_same_inputs_give_the_same_bytes_whatever_the_users_settings_and_pyplot_holds_nothing(folder: Path) -> None:
    import matplotlib.pyplot as plt  # noqa: PLC0415 - what the displays of scikit-learn import too

    page = report(folder)
    with plt.rc_context({"axes.facecolor": "red", "font.size": 20, "text.usetex": True, "svg.fonttype": "path"}):
        assert report(folder) == page
    assert plt.get_fignums() == []


def test_one_model_has_no_flips(folder: Path) -> None:
    page = report(folder)
    assert "What flipped" not in page
    assert "What goes wrong" in page


@pytest.mark.parametrize(("most", "shown"), [(0, 0), (1, 1)])
def test_examples_are_as_many_as_wanted(folder: Path, most: int, shown: int) -> None:
    page = report(folder, "--model", "shipped", "--threshold", "1.0", "--examples", str(most))
    assert page.count('<span class="paragraph">') == shown
    assert "consent paragraphs missed: " in page


def test_a_model_is_warned_of_that_was_fitted_on_what_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(folder / "_日本$x$.joblib")
    assert main(["evaluate", str(folder / "part-0.jsonl.gz"), "--model", model, "--report", str(folder / "own.html")]) == 0
    assert "_日本$x$ was fitted on" in capsys.readouterr().err
    assert '<p class="warn"><strong>_日本$x$ was fitted on' in (folder / "own.html").read_text(encoding="utf-8")
    assert 'class="warn"' not in report(folder, "--model", model)


def test_without_matplotlib_a_report_is_refused_before_anything_is_measured_and_figures_are_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    files = [str(folder / "part-1.jsonl.gz")]
    assert main(["evaluate", *files, "--report", str(folder / "none.html")]) == 2
    out, error = capsys.readouterr()
    assert "pip install 'consent-text-detector[plots]'" in error
    assert out == ""
    assert not (folder / "none.html").exists()
    assert main(["evaluate", *files, "--card", str(folder / "card.md")]) == 0


@pytest.mark.parametrize(("name", "shown"), [("mine", "mine"), ("_mine", "(_mine)"), ("日本", r"\u65e5\u672c"), ("a$b$", "a$b$")])
def test_names_are_drawn_with_letters_that_the_font_has(name: str, shown: str) -> None:
    assert label(name) == shown


def document(name: str, *rows: tuple[str, str]) -> LabelledDocument:
    return LabelledDocument(name, "en", "made", f"{name}.example", tuple(LabelledParagraph(text, label) for text, label in rows))


def measured(probability: list[float], documents: list[LabelledDocument], detector: Detector) -> tuple[Measured, Table]:
    table = Table.of([Source("made", documents, {}, measured=True)])
    return Measured("made", Path("made"), "", Detector(detector.model, 0.5), np.array(probability), {}, {}, []), table


def test_examples_keep_their_neighbours_in_the_document_and_fold_copies(detector: Detector) -> None:
    documents = [
        document("a", ("The end", "article"), ("OK", "boilerplate"), ("x" * 500, "article")),
        document("b", ("OK", "boilerplate"), ("Cookies", "article")),
    ]
    model, table = measured([0.6, 0.2, 0.9, 0.1, 0.1], documents, detector)
    wrong = examples(lost(model, table), [model], table, 9)
    assert [(e.text, e.before, e.after, e.copies, e.probabilities, e.site) for e in wrong] == [
        ("x" * 399 + "…", "OK", "", 1, [0.9], "a.example"),
        ("The end", "", "OK", 1, [0.6], "a.example"),
    ]
    kept = examples(missed(model, table), [model], table, 9)
    assert [(e.text, e.before, e.after, e.copies, e.site) for e in kept] == [("OK", "", "Cookies", 2, "b.example")]


def test_flips_go_four_ways(detector: Detector) -> None:
    rows = [
        ("one", "boilerplate"),
        ("two", "boilerplate"),
        ("three", "article"),
        ("four", "article"),
        ("five", "other"),
        ("six", "unsure"),
        ("seven", "article"),
    ]
    before, table = measured([0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1], [document("a", *rows)], detector)
    after, _ = measured([0.9, 0.1, 0.1, 0.9, 0.9, 0.9, 0.2], [document("a", *rows)], detector)
    ways = flips(before, after, table)
    assert {name: [table.texts[i] for i in found] for name, found in ways.items()} == {
        "found": ["one"],
        "missed": ["two"],
        "saved": ["three"],
        "lost": ["four"],
    }


def test_flips_add_up_to_the_difference(folder: Path) -> None:
    table, (first, second) = measure(["shipped", str(folder / "_日本$x$.joblib")], read_documents([folder / "part-1.jsonl.gz"]), DIGESTS, 0.99)
    flipped = {name: len(rows) for name, rows in flips(first, second, table).items()}
    change = differences(first, second)
    assert flipped["found"] > 0
    assert flipped["found"] - flipped["missed"] == round(change["recall"]["difference"] * first.figures["boilerplate"])
    assert flipped["lost"] - flipped["saved"] == second.figures["false_removals"] - first.figures["false_removals"]
    assert 0 < change["recall"]["interval"][0] < change["recall"]["difference"] < change["recall"]["interval"][1]
    assert all(value["difference"] == 0 for value in differences(first, first).values())


def test_many_models_are_drawn_in_one_plot(folder: Path) -> None:
    """More models than colours: lines are told apart by their dashes."""
    table, (model,) = measure(["shipped"], read_documents([folder / "part-1.jsonl.gz"]), DIGESTS, "precision")
    drawn = plots([model] * 8, table)
    assert [plot.name for plot in drawn] == ["precision-recall", "calibration", "threshold", "by-kind", "by-language", "by-site"]
    assert "stroke-dasharray" in drawn[0].svg
