"""`detector.Detector`: what it keeps, what it removes, and what holds for any input."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import detector.filtering
import detector.model
from detector import Detector
from detector.filtering import CutLine, _compose
from tests.conftest import DATA, SHARED, cases, joined_lines
from training.compose import Slots
from training.dataset import read_documents
from training.gate import is_right

LINES = st.one_of(
    st.sampled_from(
        [
            "We use cookies to improve your experience on our website.",
            "Accept all",
            "Do not sell or share my personal information",
            "The council met on Tuesday.",
            "Wir verwenden Cookies und ähnliche Technologien.",
            "Alle akzeptieren",
            "このサイトではクッキーを使用しています。",
            "",
            " ",
            "OK",
            "×",
            "***",
            "\ud800",
            "\ufeffWe use cookies to measure visits.",
        ]
    ),
    st.sampled_from(joined_lines()),
    st.text(max_size=20),
)
DOCUMENTS = st.lists(LINES, max_size=8).map("\n".join)


def results(document: detector.FilteredDocument) -> tuple[Any, ...]:
    return document.text, document.verdict, document.paragraphs


@given(DOCUMENTS)
@settings(max_examples=150, deadline=None)
def test_kept_text_is_made_of_untouched_slices(text: str) -> None:
    document = SHIPPED.filter(text)
    assert "".join(p.text for p in document.paragraphs) == text
    assert all(text[p.start : p.end] == p.text for p in document.paragraphs)
    assert document.text == "".join(p.text for p in document.paragraphs if p.label == "article")
    assert document.removed == [p for p in document.paragraphs if p.label == "boilerplate"]
    assert all(0 <= p.probability <= 1 for p in document.paragraphs)
    if not document.removed:
        assert document.text is text


@given(st.lists(DOCUMENTS, max_size=6), st.integers(1, 80))
@settings(max_examples=150, deadline=None)
def test_a_batch_gives_what_its_documents_give_one_by_one(texts: list[str], chunk: int) -> None:
    alone = [results(SHIPPED.filter(text)) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(detector.filtering, "CHUNK", chunk)
        patch.setattr(detector.model, "BLOCK", chunk % 7 + 1)
        assert [results(document) for document in SHIPPED.filter_batch(texts)] == alone
        assert [results(document) for document in SHIPPED.filter_stream(iter(texts))] == alone
    assert [results(document) for document in SHIPPED.filter_batch(texts[::-1])] == alone[::-1]


SHIPPED = Detector.load()


@pytest.mark.parametrize("text", ["", " ", "\n", "\n\n \n", "\u2028", "\u3000\n"])
def test_nothing_is_a_value(text: str) -> None:
    document = SHIPPED.filter(text)
    assert document.text is text
    assert document.verdict == "clean"
    assert document.removed == []
    assert [p.label for p in document.paragraphs] == ["article"] * bool(text)


def test_no_documents_give_no_results() -> None:
    assert SHIPPED.filter_batch([]) == []
    assert list(SHIPPED.filter_stream([])) == []
    assert SHIPPED.predict_proba([]).shape == (0, 2)
    assert SHIPPED.predict([]).shape == (0,)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: d.filter(b"text"), r'text must be str, got bytes; decode it first, for example text\.decode\("utf-8"\)'),
        (lambda d: d.filter(None), 'text must be str, got NoneType; put "" where a document has no text'),
        (lambda d: d.filter_batch(["a", b"b"]), r"texts\[1\] must be str, got bytes"),
        (lambda d: d.filter_batch("one document"), r"texts must be a sequence of str, got one str; use filter\(text\)"),
        (lambda d: list(d.filter_stream("one document")), "texts must be an iterable of str, got one str"),
        (lambda d: list(d.filter_stream(["a", 3])), r"texts\[1\] must be str, got int"),
        (lambda d: d.predict("one paragraph"), "paragraphs must be a sequence of str, got one str; put it into a list"),
        (lambda d: d.predict_proba(["a", None]), r"paragraphs\[1\] must be str, got NoneType"),
    ],
)
def test_what_is_not_text_is_refused_with_the_next_step(call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(SHIPPED)


@pytest.mark.parametrize("threshold", ["Precision", "", -0.1, 1.1, float("nan"), None, True])
def test_an_unknown_threshold_is_refused(threshold: Any) -> None:
    with pytest.raises(ValueError, match="threshold must be one of precision, balanced, recall, or a number from 0 to 1"):
        Detector.load(threshold=threshold)


def test_named_thresholds_remove_more_from_precision_to_recall() -> None:
    values = [Detector.load(threshold=name).threshold for name in ("precision", "balanced", "recall")]
    assert values == sorted(values, reverse=True)
    assert Detector.load(threshold=0.25).threshold == 0.25


def test_a_stream_is_read_lazily() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield "The council met on Tuesday."

    stream = SHIPPED.filter_stream(endless())
    assert next(stream).verdict == "clean"
    assert read <= detector.filtering.STREAM_DOCUMENTS


def test_predictions_follow_the_probabilities() -> None:
    texts = ["We use cookies to personalise content and ads.", "The council met on Tuesday.", "two\nlines"]
    probability = SHIPPED.predict_proba(texts)
    assert probability.shape == (3, 2)
    assert np.allclose(probability.sum(axis=1), 1)
    assert SHIPPED.classes_.tolist() == ["article", "boilerplate"]
    assert SHIPPED.predict(texts).tolist() == ["boilerplate" if p >= SHIPPED.threshold else "article" for p in probability[:, 1]]
    assert SHIPPED.predict(texts)[:2].tolist() == ["boilerplate", "article"]


def test_a_text_alone_is_one_paragraph_whatever_line_ends_it_has() -> None:
    assert SHIPPED.predict_proba(["We use\ncookies"])[0, 1] == SHIPPED.predict_proba(["We use cookies"])[0, 1]


def test_consent_text_alone_gets_its_verdict() -> None:
    document = SHIPPED.filter("\nWe use cookies to personalise content and ads.\n\nAccept all cookies\n")
    assert document.verdict == "consent_only"
    assert document.text.strip() == ""


@pytest.mark.parametrize("case", cases("documents"), ids=lambda case: case["name"])
def test_documents(case: dict[str, Any]) -> None:
    text = "\n".join(line for _, line in case["lines"])
    kept = "\n".join(line for label, line in case["lines"] if label == "a" and line.strip())
    document = SHIPPED.filter(text)
    assert [line for line in document.text.split("\n") if line.strip()] == kept.split("\n") if kept else not document.text.strip()


@pytest.mark.parametrize("case", cases("joined"), ids=lambda case: case["name"])
def test_of_a_joined_line_the_article_stays(case: dict[str, Any]) -> None:
    assert is_right(SHIPPED, "joined", case)


def test_a_cut_line_keeps_its_line_end() -> None:
    article = "The lighthouse keeper retired in May after forty years on the rock. "
    banner = "We use cookies to measure visits and to show you personalised ads."
    following = "\n\nThe lamp is now in the town museum.\n"
    document = SHIPPED.filter(article + banner + following)
    assert document.text == article + following
    assert [p.text for p in document.removed] == [banner]
    assert [(p.start, p.end) for p in document.removed] == [(len(article), len(article + banner))]
    assert document.share_removed == len(banner) / len(document.original)
    assert document.verdict == "filtered"


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("Cookie preferences ", "The keeper counted forty ships before the fog came in that evening."),
        ("Accept Reject ", "The pottery course ran for nine weeks in the old fire station, and most of the bowls survived the kiln."),
    ],
)
def test_a_sentence_amid_a_dialogue_with_a_label_glued_to_it_stays(label: str, sentence: str) -> None:
    before = "We use cookies to measure visits and to show you personalised ads.\nStrictly necessary cookies\nAlways active\n"
    after = "\nThese cookies are needed for the site to work and can't be switched off.\nSave my choices"
    document = SHIPPED.filter(f"{before}{label}{sentence}{after}")
    assert document.text == f"{sentence}\n"
    assert document.text == "".join(p.text for p in document.paragraphs if p.label == "article")


def test_a_document_of_next_to_nothing_but_consent_text_is_consent_only() -> None:
    banner = "We use cookies and similar technologies to personalise content and ads and to analyse our traffic. You can accept or reject them.\n"
    assert SHIPPED.filter(banner * 4 + "Accept all cookies\nLog in\n").verdict == "consent_only"
    article = "The lighthouse keeper retired in May after forty years on the rock.\n"
    assert SHIPPED.filter(article + banner * 8).verdict == "filtered"


@pytest.mark.parametrize("label", ["boilerplate", "article"])
def test_paragraphs_alone(label: str) -> None:
    texts = [case["text"] for case in cases(label)]
    assert [text for text, found in zip(texts, SHIPPED.predict(texts), strict=True) if found != label] == []


@pytest.mark.parametrize("case", cases("known_failures"), ids=lambda case: case.get("name") or case["text"][:40])
def test_known_failures(case: dict[str, Any], request: pytest.FixtureRequest) -> None:
    request.node.add_marker(pytest.mark.xfail(reason=case["note"], strict=True))
    assert is_right(SHIPPED, case["of"], case)


def test_every_case_says_what_it_is_a_case_of() -> None:
    rows = [case for name in ("article", "boilerplate", "documents", "joined", "known_failures") for case in cases(name)]
    assert len(rows) >= 300
    assert all(case["note"].strip() for case in rows)


def test_filtering_twice_is_filtering_once_but_for_one_document_in_a_thousand() -> None:
    slots, rng = Slots.read(DATA), random.Random(0)
    documents = [slots.fill(document, rng) for document in read_documents(sorted((DATA / "authored").glob("*.jsonl")))]
    texts = ["\n".join(p.text for p in document.paragraphs) for document in documents]
    texts += ["\n".join(line for _, line in case["lines"]) for case in [*cases("documents"), *cases("known_failures")] if "lines" in case]
    once = [document.text for document in SHIPPED.filter_batch(texts)]
    changed = [text for text, again in zip(once, SHIPPED.filter_batch(once), strict=True) if again.text != text]
    assert len(changed) <= len(texts) / 1000, changed


def test_results_are_the_same_bytes_in_every_process() -> None:
    code = (
        "from detector import Detector\n"
        "d = Detector.load().filter('Hello there\\n\\nWe use cookies.\\nAccept all\\nOK\\n')\n"
        "print([(p.start, p.end, p.probability.hex(), p.label) for p in d.paragraphs])"
    )
    runs = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True).stdout
        for seed in "012"
    }
    assert len(runs) == 1


def test_prediction_needs_neither_scikit_learn_nor_scipy() -> None:
    code = "import sys; from detector import Detector; Detector.load().filter('We use cookies.'); print([m for m in ('sklearn', 'scipy', 'pandas') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.skipif(not (SHARED / "example").is_dir(), reason="the example's text is not part of this project")
def test_every_line_of_the_example_comes_out_right() -> None:
    lines = (SHARED / "example" / "document.txt").read_text(encoding="utf-8").split("\n")
    labels = dict(row.split("\t") for row in (SHARED / "example" / "labels.tsv").read_text(encoding="utf-8").splitlines())
    assert len(labels) == 52
    document = SHIPPED.filter("\n".join(lines))
    starts = {p.start: p.label for p in document.paragraphs}
    offset, wrong = 0, []
    for number, line in enumerate(lines):
        if str(number) in labels and starts[offset] != labels[str(number)]:
            wrong.append(line)
        offset += len(line) + 1
    assert not wrong


@st.composite
def cut_lines_of(draw: st.DrawFn, length: int) -> CutLine:
    starts = [0, *sorted(draw(st.sets(st.integers(1, length - 1), max_size=5)))] if length > 1 else [0]
    first = draw(st.booleans())
    removed = [(i % 2 == 0) == first for i in range(len(starts))]
    return CutLine(3, length, starts, [float(i) for i in range(len(starts))], removed)


def left_of(text: str, line: CutLine) -> str:
    ends = [*line.starts[1:], line.length]
    return "".join(text[a:b] for a, b, gone in zip(line.starts, ends, line.removed, strict=True) if not gone)


@given(st.data())
def test_a_line_cut_again_keeps_what_both_cuts_keep(data: st.DataObject) -> None:
    text = "".join(map(chr, range(97, 97 + data.draw(st.integers(1, 24)))))
    first = data.draw(cut_lines_of(len(text)))
    left = left_of(text, first)
    if not left:
        return
    second = data.draw(cut_lines_of(len(left)))
    both = _compose(first, second)
    assert left_of(text, both) == left_of(left, second)
    assert both.starts == sorted(set(both.starts))
    assert both.starts[0] == 0
    assert all(a != b for a, b in pairwise(both.removed))
