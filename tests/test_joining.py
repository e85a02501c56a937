"""`training.joining` and `training.joined`: lines are joined as extractors do, and every character keeps its label."""

from __future__ import annotations

import pytest

from detector import Detector
from training.dataset import LabelledDocument, LabelledParagraph
from training.joined import _cumulative, joined_figures
from training.joining import JoinedDocument, join_all, join_some, unjoined

ROWS = (
    ("article", "Ferry sold"),
    ("article", "The ferry was sold on Monday. Its captain will stay, the owner said. Fares are the same."),
    ("boilerplate", "We use cookies to measure visits and to personalise ads."),
    ("boilerplate", "Accept all"),
    ("other", "Home | News"),
    ("article", "The new owner wants to sail at night, too. The village is not so sure."),
    ("unsure", "Protected by a captcha"),
)


def document(name: str = "page", rows: tuple[tuple[str, str], ...] = ROWS, lang: str = "en") -> LabelledDocument:
    return LabelledDocument(name, lang, "made", name, tuple(LabelledParagraph(text, label) for label, text in rows))


def parts_of(joined: JoinedDocument) -> list[tuple[str, str]]:
    """Text and label of each part, read from the line."""
    found = []
    for line in joined.lines:
        assert line.ends[-1] == len(line.text)
        begin = 0
        for part, end in zip(line.parts, line.ends, strict=True):
            found.append((part.label, line.text[begin:end].strip()))
            begin = end
    return found


@pytest.mark.parametrize("seed", range(30))
def test_one_line_joins_consent_text_with_sentences_of_the_article(seed: int) -> None:
    joined = join_some(document(), seed)
    assert joined is not None
    mixed = [line for line in joined.lines if len(line.parts) > 1]
    assert len(mixed) == 1
    labels = [part.label for part in mixed[0].parts]
    assert 1 <= labels.count("boilerplate") <= 2
    assert 1 <= labels.count("article") <= 8
    assert set(labels) == {"article", "boilerplate"}
    sentences = [part.text for part in mixed[0].parts if part.label == "article"]
    assert all(any(sentence in text for _, text in ROWS) for sentence in sentences)
    assert joined == join_some(document(), seed)


def test_spaces_and_full_stops_are_sometimes_lost() -> None:
    lines = [join_all(document(), seed).text for seed in range(40)]
    assert any("Ferry sold The ferry" in line for line in lines)
    assert any("Ferry soldThe ferry" in line for line in lines)
    assert any("personalise ads. Accept" in line for line in lines)
    assert any("personalise adsAccept" in line for line in lines)


def test_a_whole_document_in_one_line_keeps_every_part() -> None:
    joined = join_all(document())
    assert [label for label, _ in parts_of(joined)] == [label for label, _ in ROWS]
    assert [text.rstrip(".") for _, text in parts_of(joined)] == [text.rstrip(".") for _, text in ROWS]


def test_what_a_document_gives_does_not_depend_on_other_documents() -> None:
    alone = join_some(document("b"), 3)
    assert [join_some(d, 3) for d in (document("a"), document("b"))][1] == alone


def test_without_consent_text_or_article_nothing_is_joined() -> None:
    assert join_some(document(rows=ROWS[:2])) is None
    assert join_some(document(rows=ROWS[2:5])) is None
    host = document("host", rows=ROWS[:2])
    assert join_some(document(rows=ROWS[2:5]), hosts=[host]) is not None


@pytest.mark.parametrize(("start", "end", "expected"), [(0, 10, (0, 10, 10)), (0, 0, (0, 0, 0)), (5, 1000, None)])
def test_characters_are_counted_by_label(start: int, end: int, expected: tuple[int, int, int] | None) -> None:
    line = join_all(document(), 1).lines[0]
    total = _cumulative(join_all(document(), 1))
    end = min(end, len(line.text))
    counted = tuple(int(n) for n in total[end] - total[start])
    assert line.characters(start, end) == (counted[0], counted[1], sum(counted[:3]))
    if expected:
        assert line.characters(start, end) == expected


def test_lines_that_were_not_joined_do_not_count() -> None:
    assert _cumulative(unjoined(document()))[-1, :3].sum() == 0


def test_figures_say_what_was_found_and_lost() -> None:
    figures = joined_figures(Detector.load(), [document(), document("other")])
    assert set(figures) == {"joined", "in one line"}
    for found in figures.values():
        assert found["boilerplate"] > 0
        assert found["article"] > 0
        assert 0 <= found["recall_at_1e-4"] <= found["recall_at_1e-3"] <= found["recall_at_1e-2"] <= 1
        assert found["precision"]["recall"] <= found["balanced"]["recall"] <= found["recall"]["recall"]
        assert set(found["by_language"]) == {"en"}
