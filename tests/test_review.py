"""The page of ``consent-detector review``: what it holds, in which order, and that nothing in a document can break out of its data."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import sys
import tracemalloc
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from detector import Detector
from detector.cli import main
from detector.corpus import Record
from detector.filtering import FilteredDocument
from detector.persistence import SHIPPED
from detector.review import doubt_of, embedded, most_doubtful, page_of
from tests.test_cli import ARTICLE, BANNER, PAGE, jsonl
from training.dataset import CONTEXT_CHARACTERS, KINDS

SCRIPTS = Path(__file__).parent.parent / "detector" / "page"
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "]]>&lt;&amp;'\"`\\ {{data}} ${x}",
    "\u2028\u2029\x85\x0b\x0c\r\x00\x7f\ufeff\ufffe\uffff\ufdd0",
    "lone \ud800 and \udfff",
    "\u202eעברית العربية 👩‍👩‍👧",
    "x" * 10_000,
]


class Page(HTMLParser):
    """Elements of a page that hold text, and its content security policy."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.policy = ""
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: D102 - HTMLParser's
        self.elements.append((tag, dict(attrs), ""))
        if dict(attrs).get("http-equiv") == "Content-Security-Policy":
            self.policy = dict(attrs)["content"] or ""

    def handle_data(self, data: str) -> None:  # noqa: D102
        if self.elements:
            tag, attributes, text = self.elements[-1]
            self.elements[-1] = (tag, attributes, text + data)

    def handle_endtag(self, tag: str) -> None:  # noqa: D102
        self.elements.append((f"/{tag}", {}, ""))

    @property
    def data(self) -> Any:
        """What the scripts read."""
        (text,) = [text for _, attributes, text in self.elements if attributes.get("id") == "data"]
        return json.loads(text)


def review(*argv: str | Path, out: Path) -> dict[str, Any]:
    assert main(["review", *map(str, argv), "-o", str(out)]) == 0
    data = Page(out.read_text(encoding="utf-8")).data
    assert isinstance(data, dict)
    return data


def pairs_of(detector: Detector, texts: list[str]) -> Iterator[tuple[Record, FilteredDocument]]:
    for i, text in enumerate(texts):
        yield Record(f"file.jsonl:{i}", text, i, b"{}", {"id": f"d{i}"}), detector.filter(text)


def joined(text: str) -> str:
    """What JSON makes of surrogates that follow each other."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(st.recursive(st.text(st.characters(codec=None)), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_any_data_come_out_of_the_page_as_they_went_in(data: Any) -> None:
    text = embedded(data)
    assert not set("<>&\u2028\u2029\x00\r\n") & set(text)
    assert text.encode().decode() == text
    assert json.loads(text) == json.loads(json.dumps(data))


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\n"), min_size=1).filter(str.strip), min_size=1), max_size=5))
def test_any_documents_come_out_of_the_html_as_they_went_in(texts: list[list[str]]) -> None:
    documents = [{"id": "a", "paragraphs": [[text, 0.5, 0] for text in document]} for document in texts]
    data = Page("".join(page_of(documents, 0.5, "x"))).data
    assert [[p[0] for p in d["paragraphs"]] for d in data["documents"]] == [[joined(text) for text in document] for document in texts]


def test_hostile_text_stays_in_the_data(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "plain.jsonl", {"id": "<img src=x onerror=alert(1)>", "text": PAGE})
    plain = Page((review(source, out=tmp_path / "plain.html"), (tmp_path / "plain.html").read_text())[1])
    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "</title><script>", "site": "'\"><b>", "text": "\n".join(HOSTILE)}))
    data = review(tmp_path / "in.jsonl", out=tmp_path / "out.html")
    page = Page((tmp_path / "out.html").read_text(encoding="utf-8"))
    assert [(tag, attributes) for tag, attributes, _ in page.elements if tag != "body"] == [
        (tag, attributes) for tag, attributes, _ in plain.elements if tag != "body"
    ]
    (document,) = data["documents"]
    assert (document["id"], document["site"]) == ("</title><script>", "'\"><b>")
    assert "".join(text for text, _, _ in document["paragraphs"]) == "".join(HOSTILE)


def test_the_policy_allows_its_own_style_and_scripts_and_nothing_else(tmp_path: Path) -> None:
    review(jsonl(tmp_path / "in.jsonl", {"text": PAGE}), out=tmp_path / "out.html")
    html = (tmp_path / "out.html").read_text()
    page = Page(html)
    own = [text for tag, attributes, text in page.elements if tag in {"script", "style"} and attributes.get("type") != "application/json"]
    digests = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in own}
    assert len(digests) == 4
    rules = dict(rule.strip().split(" ", 1) for rule in page.policy.split(";"))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert {source for sources in rules.values() for source in sources.split()} == digests
    assert rules.keys() == {"style-src", "script-src"}
    assert not re.search(r"https?:|//[a-z]+\.|\b(src|href|on[a-z]+|style)\s*=", html.partition('id="data"')[0])
    assert page.elements[[tag for tag, _, _ in page.elements].index("meta") + 1][1].get("http-equiv") == "Content-Security-Policy"


@pytest.mark.parametrize(
    ("probabilities", "threshold", "expected"),
    [
        ([0.5], 0.5, 0.0),
        ([0.9, 0.1], 0.5, 2.1972),
        ([0.999], 0.9, 4.7095),
        ([0.0, 1.0], 1.0, 0.0),
        ([0.0], 0.0, 0.0),
        ([0.5], 0.0, 20.7233),
        ([], 0.5, float("inf")),
    ],
)
def test_doubt_is_the_least_distance_in_log_odds(probabilities: list[float], threshold: float, expected: float) -> None:
    assert doubt_of(probabilities, threshold) == pytest.approx(expected, abs=1e-4)


TEXTS = st.lists(
    st.sampled_from([PAGE, ARTICLE, BANNER, "", "\n \n", "OK", "Accept all cookies", f"{ARTICLE} {BANNER}", "Our partners"]), max_size=12
)


@given(texts=TEXTS, limit=st.integers(0, 14), threshold=st.sampled_from([0.0, 0.3, 0.9, 1.0]))
def test_the_most_doubtful_of_the_whole_input_are_chosen_in_order(detector: Detector, texts: list[str], limit: int, threshold: float) -> None:
    documents, counts = most_doubtful(pairs_of(detector, texts), threshold, limit)
    doubts = {
        i: doubt_of((p.probability for p in detector.filter(t).paragraphs if p.text.strip()), threshold) for i, t in enumerate(texts) if t.strip()
    }
    expected = sorted(doubts, key=lambda i: (doubts[i], i))[:limit]
    assert [d["id"] for d in documents] == [f"d{i}" for i in expected]
    paragraphs = [p for i in expected for p in detector.filter(texts[i]).paragraphs if p.text.strip()]
    assert [p[0] for d in documents for p in d["paragraphs"]] == [p.text.rstrip("\n ") if p.text.endswith("\n") else p.text for p in paragraphs]
    assert counts == (len(texts), len(doubts), len(expected), len(paragraphs), sum(p.label == "boilerplate" for p in paragraphs))


def test_documents_that_are_not_chosen_are_not_held(detector: Detector) -> None:
    texts = (f"{n} {ARTICLE} {'word ' * 20_000}" for n in range(300))  # 30 MB in all
    records = ((Record(f"f:{n}", text, n, b"", None), document) for n, (text, document) in enumerate((t, detector.filter(t)) for t in texts))
    tracemalloc.start()
    documents, counts = most_doubtful(records, 0.5, 5)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(documents), counts.read) == (5, 300)
    assert peak < 15_000_000


def test_the_command_counts_and_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = jsonl(tmp_path / "in.jsonl", *({"id": i, "text": PAGE if i % 3 else ""} for i in range(9)))
    data = review(source, "--limit", "4", out=tmp_path / "out.html")
    assert [d["id"] for d in data["documents"]] == ["1", "2", "4", "5"]
    assert capsys.readouterr().err == (
        "9 documents read, 4 on the page (2 less doubtful ones left out, --limit 4; 3 without text); 8 of their 12 paragraphs would be removed\n"
    )
    review(source, out=tmp_path / "out.html")
    assert "9 documents read, 6 on the page (3 without text); 12 of their 18" in capsys.readouterr().err


def test_paragraphs_are_those_of_the_detector_without_blank_ones(tmp_path: Path, detector: Detector) -> None:
    text = f"\n\n{ARTICLE}\n \n{BANNER}\nAccept all cookies\n"
    (document,) = review(jsonl(tmp_path / "in.jsonl", {"text": text}), out=tmp_path / "out.html")["documents"]
    assert [(t, gone) for t, _, gone in document["paragraphs"]] == [(ARTICLE, 0), (BANNER, 1), ("Accept all cookies", 1)]
    assert [p for _, p, _ in document["paragraphs"]] == [round(p.probability, 6) for p in detector.filter(text).paragraphs if p.text.strip()]
    assert (document["id"], document["place"], document["verdict"]) == ("in.jsonl:1", f"{tmp_path / 'in.jsonl'}:1", "filtered")


def test_fields_are_carried_along(tmp_path: Path) -> None:
    rows = [{"id": 12345678901234567890123, "text": PAGE, "lang": "en", "site": "a.example", "source": "crawl", "url": "x"}]
    rows += [{"id": None, "text": PAGE, "lang": None, "site": 7, "source": ["x"]}, {"id": "", "text": PAGE, "site": ""}]
    documents = review(jsonl(tmp_path / "in.jsonl", *rows), out=tmp_path / "out.html")["documents"]
    carried = [{key: value for key, value in d.items() if key not in {"place", "verdict", "paragraphs"}} for d in documents]
    expected = {"id": "12345678901234567890123", "lang": "en", "source": "crawl", "site": "a.example"}
    assert carried == [expected, {"id": "in.jsonl:2", "site": "7"}, {"id": "in.jsonl:3"}]
    table = pa.table({"id": [5], "site": ["b.example"], "lang": [None], "body": [PAGE]})
    parquet.write_table(table, tmp_path / "in.parquet")
    (document,) = review(tmp_path / "in.parquet", "--text-field", "body", out=tmp_path / "out.html")["documents"]
    assert (document["id"], document["site"], "lang" in document) == ("5", "b.example", False)


def test_identifiers_that_come_again_are_numbered_where_training_would_refuse_them(tmp_path: Path) -> None:
    rows = [("a", "x"), ("a", "y"), ("a", "x"), ("b", None), ("b", None), ("b (2)", None), ("b", "x"), ("a", None)]
    source = jsonl(tmp_path / "in.jsonl", *({"id": name, "source": origin, "text": PAGE} for name, origin in rows))
    documents = review(source, out=tmp_path / "out.html")["documents"]
    assert [d["id"] for d in documents] == ["a", "a", "a (2)", "b", "b (2)", "b (2) (2)", "b (3)", "a (3)"]


def test_text_files_are_called_by_their_names_and_all_inputs_make_one_page(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "page.txt").write_text(PAGE)
    (tmp_path / "more.jsonl.gz").write_bytes(gzip.compress(json.dumps({"id": "m", "text": PAGE}).encode()))
    data = review(tmp_path / "one", str(tmp_path / "tw*" / "*.txt"), tmp_path / "more.jsonl.gz", out=tmp_path / "mine.html")
    assert [d["id"] for d in data["documents"]] == ["page.txt", "page.txt (2)", "m"]
    assert data["name"] == "mine"


def test_wet_and_standard_input(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    body = PAGE.encode()
    head = f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Record-ID: <urn:uuid:1>\r\nContent-Length: {len(body)}\r\n\r\n"
    (tmp_path / "in.wet").write_bytes(head.encode() + body + b"\r\n\r\n")
    assert [d["id"] for d in review(tmp_path / "in.wet", out=tmp_path / "out.html")["documents"]] == ["<urn:uuid:1>"]
    capsys.readouterr()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps({"id": "s", "text": PAGE}).encode())))
    stored = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(stored, encoding="utf-8"))
    assert main(["review", "-", "--format", "jsonl", "-o", "-"]) == 0
    data = Page(stored.getvalue().decode()).data
    assert (data["name"], [d["id"] for d in data["documents"]]) == ("review", ["s"])


def test_threshold_and_model_are_those_given(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "in.jsonl", {"text": PAGE})
    model = tmp_path / "copy.joblib"
    model.write_bytes(SHIPPED.read_bytes())
    for threshold, removed in (("0", [1, 1, 1]), ("1", [0, 0, 0]), ("0.9", [0, 1, 1])):
        data = review(source, "--threshold", threshold, "--model", model, out=tmp_path / "out.html")
        assert [gone for _, _, gone in data["documents"][0]["paragraphs"]] == removed
        assert data["threshold"] == float(threshold)
    assert review(source, "--threshold", "balanced", out=tmp_path / "out.html")["threshold"] == Detector.load(threshold="balanced").threshold
    assert main(["review", str(source), "-o", str(tmp_path / "out.html"), "--model", str(source)]) == 2


def test_no_documents_make_a_page_too(tmp_path: Path) -> None:
    assert review(jsonl(tmp_path / "in.jsonl"), out=tmp_path / "out.html")["documents"] == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-o", "out.jsonl"], "review writes an HTML page, got 'out.jsonl'"),
        (["-o", "out.html", "--text-field", "body"], "no field 'body'"),
        (["-o", "missing/out.html"], "can't be written"),
    ],
)
def test_what_can_not_be_done_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    jsonl(tmp_path / "in.jsonl", {"text": PAGE})
    assert main(["review", "in.jsonl", *options]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize("options", [[], ["-o", "x.html", "--limit", "0"], ["-o", "x.html", "--limit", "many"]])
def test_wrong_options_are_refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["review", "in.jsonl", *options])
    assert re.search("required: -o/--to|expected a number of documents, 1 or more", capsys.readouterr().err)


def test_the_page_knows_the_kinds_and_the_context_of_training() -> None:
    script = (SCRIPTS / "review_labels.js").read_text()
    kinds = re.search(r"const KINDS = (\[.*\]);", script)
    context = re.search(r"const CONTEXT_CHARACTERS = (\d+);", script)
    assert kinds
    assert context
    assert tuple(json.loads(kinds[1])) == KINDS
    assert int(context[1]) == CONTEXT_CHARACTERS
