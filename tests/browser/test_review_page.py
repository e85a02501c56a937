"""What a person does on the page: look, flip, mark, note, search, filter, come back, download; and training reads what comes of it."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from detector import Detector
from tests import labelled
from tests.browser.conftest import Opener
from tests.browser.driving import ReviewPage, log_of, read_rows
from tests.test_cli import ARTICLE, BANNER, PAGE, SENTENCE
from tests.test_review import HOSTILE
from training import cli as training
from training.dataset import read_documents

ACCEPT = "Accept all cookies"
DOUBTFUL = "Our partners"
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "plain", "lang": "en", "site": "a.example", "source": "crawl", "text": PAGE},
    {"id": "two", "site": "b.example", "text": f"{SENTENCE}\n{ARTICLE}\n{SENTENCE}\n"},
    {"id": "only", "text": f"{BANNER}\n{ACCEPT}"},
]


def opened(page: ReviewPage, name: str) -> ReviewPage:
    """Open a document by its name in the list."""
    page.click(f"[data-id='{name}']")
    assert page.title == name
    return page


def test_it_opens_from_disk_without_a_request(review: Opener) -> None:
    page = review(*DOCUMENTS)
    log_of(page.driver, "performance")
    page.driver.refresh()
    page.ready()
    assert sorted(page.shown) == ["only", "plain", "two"]
    opened(page, "plain").click_paragraph(0)
    page.download()
    messages = [json.loads(entry["message"])["message"] for entry in log_of(page.driver, "performance")]
    urls = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert page.driver.current_url in urls
    assert {url for url in urls if not url.startswith("blob:")} == {page.driver.current_url}


@pytest.mark.parametrize(
    ("directive", "script"),
    [
        ("img-src", "new Image().src = 'https://elsewhere.example/x.png'"),
        ("connect-src", "fetch('https://elsewhere.example/').catch(() => 0)"),
        ("script-src-elem", "document.head.append(make('script', {src: 'https://elsewhere.example/x.js'}))"),
        ("script-src-elem", "document.head.append(make('script', {}, 'window.hit = 1'))"),
        ("script-src-attr", "make('p', {onclick: 'window.hit = 1'}).click()"),
        ("style-src-attr", "document.body.append(make('p', {style: 'color: red'}))"),
    ],
)
def test_nothing_can_be_fetched_or_run_that_is_not_its_own(review: Opener, directive: str, script: str) -> None:
    page = review(*DOCUMENTS)
    page.run("addEventListener('securitypolicyviolation', (event) => { document.body.dataset.refused = event.effectiveDirective; })")
    page.run(script)
    assert page.wait(lambda: page.run("return document.body.dataset.refused")) == directive
    assert page.run("return window.hit ?? null") is None
    assert [entry for entry in log_of(page.driver, "browser") if "Content Security Policy" not in entry["message"]] == []


def test_each_document_shows_its_paragraphs_with_label_and_probability(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    rows = page.paragraphs
    assert [(p["text"], p["label"], p["modelLabel"]) for p in rows] == [
        (ARTICLE, "article", "article"),
        (BANNER, "boilerplate", "boilerplate"),
        (ACCEPT, "boilerplate", "boilerplate"),
    ]
    style = "return getComputedStyle(document.querySelector(`[data-paragraph='${arguments[0]}'] .text`)).textDecorationLine"
    assert [page.run(style, i) for i in range(3)] == ["none", "line-through", "line-through"]
    marks = page.run("return [...document.querySelectorAll('#paragraphs .mark')].map((e) => e.textContent.trim())")
    assert marks == [f"{word} {float(p['probability']):.4f}" for word, p in zip(("keep", "remove", "remove"), rows, strict=True)]
    assert int(rows[0]["heat"]) < int(rows[1]["heat"])
    assert page.text("facts") == f"verdict: filtered · site: a.example · language: en · source: crawl · read: {page.downloads.parent / 'in.jsonl'}:1"


def test_a_click_flips_and_the_download_says_so(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.click_paragraph(1)
    assert page.labels == ["article", "article", "boilerplate"]
    assert page.status == f"keep: {BANNER[:59]}…"
    page.click_paragraph(1)
    page.click_paragraph(0)
    page.click("#label-unsure")
    page.click_paragraph(2)
    page.choose("kind", "button")
    assert page.labels == ["unsure", "boilerplate", "boilerplate"]
    page.click("#label-boilerplate")
    assert page.paragraphs[2]["kind"] == "button"
    assert page.text("progress") == "1 of 3 documents reviewed"
    (row,) = read_rows(page.download())
    paragraphs = [{"text": ARTICLE, "label": "unsure"}, {"text": BANNER, "label": "boilerplate"}]
    paragraphs.append({"text": ACCEPT, "label": "boilerplate", "kind": "button"})
    assert row == {"id": "plain", "lang": "en", "source": "crawl", "site": "a.example", "paragraphs": paragraphs}
    assert page.status == "1 document written to review-labelled.jsonl"


def test_what_is_flipped_back_is_not_changed(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.keys(Keys.HOME, "f", "j", "u", "j", "2")
    assert page.text("progress") == "1 of 3 documents reviewed"
    page.keys("0", "k", "u", "k", "f")
    assert page.text("progress") == "0 of 3 documents reviewed"
    page.click("#download")
    assert "No document was reviewed yet" in page.text("notice")


def test_text_that_is_selected_is_not_flipped(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.run("getSelection().selectAllChildren(document.querySelector('[data-paragraph=\"1\"] .text'))")
    page.run("document.querySelector('[data-paragraph=\"1\"]').click()")
    assert page.labels == ["article", "boilerplate", "boilerplate"]


def test_all_is_done_without_a_mouse(review: Opener) -> None:
    page = review(*DOCUMENTS)
    page.keys("/", "ferry", Keys.ESCAPE)
    page.wait_for_documents(["two"])
    assert page.title == "two"
    page.keys(Keys.HOME, "j", "k", Keys.ARROW_DOWN)
    assert page.active == 1
    page.keys("f", "k", Keys.ENTER, Keys.END, Keys.SPACE, "3")
    assert page.labels == ["boilerplate"] * 3
    assert page.paragraphs[2]["kind"] == "button"
    page.keys("0", "k", "u")
    assert [(p["label"], p["kind"]) for p in page.paragraphs] == [("boilerplate", ""), ("unsure", ""), ("boilerplate", "")]
    page.keys("u", "r", "m", "a note; j n p", Keys.ENTER)
    assert page.labels[1] == "article"
    page.keys("/", Keys.BACKSPACE * 5, Keys.ESCAPE)
    page.wait(lambda: len(page.shown) == 3)
    page.keys("d")
    (row,) = read_rows(page.downloaded())
    assert (row["id"], row["note"]) == ("two", "a note; j n p")
    assert [p["label"] for p in row["paragraphs"]] == ["boilerplate", "article", "boilerplate"]
    first = page.shown[0]
    page.keys("p", "p", "p")
    assert (page.title, page.status.strip()) == (first, "This is the first document shown")
    page.keys("n", "n", "n")
    assert (page.title, page.status.strip()) == (page.shown[2], "This is the last document shown")
    page.keys("?")
    assert page.run("return document.getElementById('help').open")
    page.keys("f", Keys.ESCAPE)
    assert not page.run("return document.getElementById('help').open")


def test_arrows_move_in_the_list_of_documents(review: Opener) -> None:
    page = review(*DOCUMENTS)
    page.run("document.querySelector('#documents [tabindex=\"0\"]').focus()")
    page.keys(Keys.ARROW_DOWN)
    assert page.title == page.shown[1]
    page.keys(Keys.END)
    assert page.title == page.shown[2]
    page.keys(Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.HOME)
    assert page.title == page.shown[0]
    page.keys(Keys.ENTER)
    assert page.run("return document.activeElement.dataset.paragraph") == str(page.active)


def test_letters_can_be_switched_off(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.keys("?")
    page.click("#letters")
    page.keys(Keys.ESCAPE)
    page.keys("f", "r", "3")
    assert page.labels == ["article", "boilerplate", "boilerplate"]
    page.driver.refresh()
    page.ready()
    page.keys("f")
    assert page.text("progress") == "0 of 3 documents reviewed"
    page.keys(Keys.TAB)  # the keys that every page has do still
    opened(page, "plain").keys(Keys.HOME, Keys.ENTER)
    assert page.labels == ["boilerplate"] * 3


def test_search_and_filters_choose_documents(review: Opener) -> None:
    page = review(*DOCUMENTS)
    assert page.filter("search", "FERRY") == 1
    marks = page.run("return [...document.querySelectorAll('#paragraphs mark')].map((e) => e.textContent)")
    assert (page.title, marks) == ("two", ["ferry", "ferry"])
    assert page.filter("search", "b.example") == 1
    assert page.filter("search", "cookies (") == 0
    assert page.filter("search", "no such text") == 0
    assert page.filter("search", "") == 3
    for verdict, names in (("clean", ["two"]), ("consent_only", ["only"]), ("filtered", ["plain"])):
        page.choose("verdict", verdict)
        page.wait_for_documents(names)
        assert page.title == names[0]
    page.click("#clear")
    assert len(page.shown) == 3
    probabilities = {name: [p for _, p, _ in rows] for name, rows in page.read("DOCUMENTS.map((d) => [d.id, d.paragraphs])")}
    some = sorted(p for row in probabilities.values() for p in row)
    sizes = set()
    for low, high in ((some[0], some[0]), (some[0], some[3]), (some[2], some[4]), (some[3], some[-1]), (some[-1], some[-1])):
        page.filter("from", str(low))
        page.filter("to", str(high))
        assert set(page.shown) == {name for name, row in probabilities.items() if any(low <= p <= high for p in row)}
        sizes.add(len(page.shown))
    assert len(sizes) > 1
    page.click("#clear")
    page.filter("search", "cookies")
    assert page.filter("to", str(some[0])) == 0  # text and probability are those of one paragraph
    page.click("#clear")
    opened(page, "two").keys("r")
    opened(page, "only").keys("f")
    for state, wanted in (("todo", ["plain"]), ("reviewed", ["two", "only"]), ("changed", ["only"]), ("", ["plain", "two", "only"])):
        page.choose("state", state)
        page.wait_for_documents(wanted)


def test_what_was_done_is_there_after_a_reload(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.keys(Keys.HOME, "f", "j", "1", "r", "m", "later", Keys.ESCAPE)
    page.driver.refresh()
    page.ready()
    opened(page, "plain")
    assert [(p["label"], p["kind"]) for p in page.paragraphs] == [("boilerplate", ""), ("boilerplate", "banner"), ("boilerplate", "")]
    assert page.run("return document.getElementById('note').value") == "later"
    assert page.run("return document.getElementById('reviewed').getAttribute('aria-pressed')") == "true"
    assert page.text("progress") == "1 of 3 documents reviewed"
    other = review(*DOCUMENTS[1:])  # other documents have labels of their own
    assert other.text("progress") == "0 of 2 documents reviewed"


def test_two_tabs_have_the_same_labels(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    first, url = page.driver.current_window_handle, page.driver.current_url
    page.driver.switch_to.new_window("tab")
    page.driver.get(url)
    page.ready()
    opened(page, "only").keys("f")
    page.driver.close()
    page.driver.switch_to.window(first)
    page.wait(lambda: page.text("progress") == "1 of 3 documents reviewed")
    page.click_paragraph(0)
    assert [row["id"] for row in read_rows(page.download())] == [name for name in page.shown if name != "two"]


def test_a_browser_that_keeps_nothing_is_told_of(review: Opener) -> None:
    page = review(*DOCUMENTS)
    script = "Storage.prototype.setItem = () => { throw new DOMException('the quota has been exceeded', 'QuotaExceededError'); }"
    added = page.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    page.driver.refresh()
    page.ready()
    assert "doesn't keep your changes (the quota has been exceeded)" in page.text("storage")
    opened(page, "plain").click_paragraph(0)
    assert page.labels[0] == "boilerplate"
    file = page.download()
    page.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)
    page.driver.refresh()
    page.ready()
    assert page.text("storage") == ""
    page.driver.find_element("id", "load").send_keys(str(file))
    page.wait(lambda: page.text("progress") == "1 of 3 documents reviewed")
    assert page.status.startswith("Labels of 1 document taken; 0 of other documents")


def test_a_note_alone_is_no_review(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "two")
    page.keys("m", "look again", Keys.ESCAPE)
    page.click("#download")
    assert "No document was reviewed yet" in page.text("notice")
    rows = read_rows(page.download("all"))
    assert [(row["id"], row.get("note"), row["reviewed"]) for row in rows] == [
        (name, "look again" if name == "two" else None, False) for name in page.shown
    ]
    assert page.text("notice") == ""


def test_labels_of_a_download_are_taken_back(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.keys(Keys.HOME, "4", "j", "u")
    opened(page, "two").keys("r")
    file = page.download("all")
    with file.open("a") as out:
        out.write('{"id": "other", "paragraphs": []}\n{"id": "plain", "source": "crawl", "paragraphs": [{"text": "x"}]}\n{broken\n7\n')
    page.run("localStorage.clear()")
    page.driver.refresh()
    page.ready()
    page.driver.find_element("id", "load").send_keys(str(file))
    page.wait(lambda: page.status == "Labels of 3 documents taken; 3 of other documents or texts left, 1 lines are no JSON")
    opened(page, "plain")
    assert [(p["label"], p["kind"]) for p in page.paragraphs] == [("boilerplate", "opt_out"), ("unsure", ""), ("boilerplate", "")]
    assert sorted(row["id"] for row in read_rows(page.download())) == ["plain", "two"]


def test_hostile_text_is_shown_as_text_and_comes_back_as_it_was(review: Opener) -> None:
    script = "<img src=x onerror='window.hit = 1'><script>window.hit = 1</script>"
    hostile = [*HOSTILE, script, " spaces  inside\tand tabs ", "İstanbul ß ſ"]
    document = {"id": f"{script}\u202e", "site": "\"'<", "lang": 'en"><b>', "text": "\n".join(hostile)}
    page = review(document, options=("--threshold", "1"))
    assert "".join(p["text"] for p in page.paragraphs) == "".join(hostile)
    assert page.title == document["id"]
    page.keys("r", "m", script, Keys.ESCAPE)
    assert page.filter("search", "i\u0307") >= 0  # a letter that changes its length with its case
    assert page.filter("search", "window.hit = 1") == 1
    assert "".join(p["text"] for p in page.paragraphs) == "".join(hostile)
    assert page.run("return window.hit ?? null") is None
    file = page.download()
    (row,) = read_rows(file)
    assert len(file.read_text(encoding="utf-8").splitlines()) == 1  # no reader ends a line where there is none
    assert "".join(p["text"] for p in row["paragraphs"]) == "".join(hostile)
    assert (row["id"], row["site"], row["lang"], row["note"]) == (document["id"], document["site"], document["lang"], script)
    (read,) = read_documents([file])
    assert "".join(p.text for p in read.paragraphs) == "".join(hostile)


def test_texts_labelled_both_ways_are_written_as_unsure_and_listed(review: Opener) -> None:
    text = f"{SENTENCE}\n{ARTICLE}\n{SENTENCE} Again.\n"
    page = review(*({"id": name, "text": text} for name in ("a", "b", "c")))
    opened(page, "a").click_paragraph(1)
    labels = {row["id"]: row["paragraphs"][1]["label"] for row in read_rows(page.download("all"))}
    assert labels == {"a": "boilerplate", "b": "unsure", "c": "unsure"}  # nobody looked at b and c
    assert page.text("notice") == ""
    assert "2 paragraphs as unsure, because the same text" in page.status
    opened(page, "b").keys("r")
    file = page.download("all")
    assert {row["id"]: row["paragraphs"][1]["label"] for row in read_rows(file)} == {"a": "unsure", "b": "unsure", "c": "unsure"}
    assert len(read_documents([file])) == 3
    page.click("#notice button")
    assert (page.title, page.active) == ("a", 1)
    page.keys("f")
    file = page.download("all")
    assert {p["label"] for row in read_rows(file) for p in row["paragraphs"]} == {"article"}
    assert page.text("notice") == ""


def test_training_fits_on_a_download(review: Opener, tmp_path: Path) -> None:
    rows = labelled.documents(24)
    for row in rows:  # what `labelled` calls neither is not for a person to choose
        row["paragraphs"] = [p for p in row["paragraphs"] if p["label"] in {"article", "boilerplate"}]
    records = [{**{k: row[k] for k in ("id", "site", "lang", "source")}, "text": "\n".join(p["text"] for p in row["paragraphs"])} for row in rows]
    page = review(*records, *records[:1], name="mine", options=("--threshold", "0.5"))
    truth = {row["id"]: [p["label"] for p in row["paragraphs"]] for row in rows} | {"d0 (2)": [p["label"] for p in rows[0]["paragraphs"]]}
    for _ in truth:
        wanted = truth[page.title]
        for i, label in enumerate(page.labels):
            if label != wanted[i]:
                page.click_paragraph(i)
        assert page.labels == wanted
        page.keys("r", "n")
    file = page.download()
    assert file.name == "mine-labelled.jsonl"
    documents = read_documents([file])
    assert {d.id: [p.label for p in d.paragraphs] for d in documents} == truth
    assert {(d.id, d.lang, d.source, d.group) for d in documents if d.id != "d0 (2)"} == {(r["id"], r["lang"], r["source"], r["site"]) for r in rows}
    model, adapted = tmp_path / "mine.joblib", tmp_path / "adapted.joblib"
    scratch = ["--from-scratch", "--folds", "3", "--bits", "12"]
    assert training.main(["fit", "--no-authored", "--labelled", str(file), "-o", str(model), "--quiet", *scratch]) == 0
    assert training.main(["fit", "--labelled", str(file), "-o", str(adapted), "--quiet"]) == 0
    texts = ["We use cookies to measure visits on river.example"] * 2
    assert all(Detector.load(path).predict(texts).tolist() == ["boilerplate"] * 2 for path in (model, adapted))


def test_two_thousand_documents_open_and_flip_at_once(review: Opener) -> None:
    rng = random.Random(1)
    lines = [f"{SENTENCE} {rng.choice(labelled.WORDS)} {i}" for i in range(200)] + [f"{text} {i}" for text in labelled.CONSENT for i in range(9)]
    page = review(*({"id": f"document {i}", "text": "\n".join(rng.sample(lines, 30))} for i in range(2000)))
    begun = time.monotonic()
    page.driver.refresh()
    page.ready()
    assert time.monotonic() - begun < 10.0  # half a second, on a machine with nothing else to do
    assert len(page.shown) == 2000
    assert page.run("return document.querySelectorAll('[data-paragraph]').length") == 30  # only what is open is made
    measured = page.run(
        """const times = [];
        for (const act of [flip, () => step(1), toggleRight, () => { $("search").value = "tram"; applyFilters(); }]) {
          const begun = performance.now();
          act();
          document.body.offsetHeight; // laid out
          times.push(performance.now() - begun);
        }
        return times;"""
    )
    assert max(measured) < 1000.0, measured
    page.filter("search", "")
    page.keys(Keys.TAB, "n", "f", "r")
    assert page.text("progress") == "2 of 2,000 documents reviewed"
    assert len(read_documents([page.download("all")])) == 2000


@pytest.mark.parametrize("texts", [[], [""]])
def test_a_page_without_documents_says_so(review: Opener, texts: list[str]) -> None:
    page = review(*({"text": text} for text in texts))
    page.keys("j", "n", "f", "r", Keys.ARROW_DOWN, "d")
    assert page.text("empty") == "No documents with text: nothing to review."
    assert page.text("progress") == "0 of 0 documents reviewed"
    page.click("#download")
    assert "No document was reviewed" in page.text("notice")
