"""`detector.sentences`: where a line may be cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from detector.sentences import find_edges, find_units


def cut(text: str, *, weak: bool) -> list[str]:
    offsets, strong = find_edges(text)
    return [text[a:b] for a, b in pairwise([0, *(offsets if weak else offsets[strong]).tolist(), len(text)])]


SENTENCES = {
    "full stops": ["The ferry is late. ", "It will sail at noon."],
    "question and exclamation marks": ["Who pays? ", "We do! ", "And gladly."],
    "an ellipsis": ["She waited… ", "Nobody came."],
    "a closing quotation mark": ["“We are done.” ", "He left the room."],
    "a bracket after the full stop": ["The shop opens early (at six.) ", "Bring a bag."],
    "a full stop that is glued to the next sentence": ["The mayor thanked them.", "We use cookies on this site."],
    "a title": ["Dr. Weiss met Mrs. Hall. ", "They agreed."],
    "initials": ["J. R. Quill wrote it. ", "It sold well."],
    "a decimal": ["It costs 3.50 a litre. ", "Last year it was 2.10."],
    "a German ordinal": ["Am 3. Mai beginnt der Umbau. ", "Er dauert ein Jahr."],
    "German abbreviations": ["Das gilt z. B. für Äpfel, Birnen usw. auch im Mai. ", "Danach nicht."],
    "a French colon and quotes": ["Il a dit : « Non. » ", "Puis il est parti."],
    "Spanish opening marks": ["El tren llega tarde. ", "¿Quién paga?"],
    "Russian": ["Мост закрыт до мая. ", "Паром ходит каждый час."],
    "Russian abbreviations": ["Он живёт на ул. Садовой в г. Тула. ", "Там тихо."],
    "Greek question mark": ["Ποιος πληρώνει\u037e ", "Κανείς."],
    "Chinese": ["港口周一开放。", "我们使用 Cookie。", "是否同意？", "请选择。"],
    "Japanese quotes": ["「もう帰る。」", "彼は言った。"],
    "Japanese labels with spaces": ["すべて許可 ", "拒否 ", "設定"],
    "Hindi": ["बाज़ार सोमवार को खुलेगा। ", "टिकट मुफ़्त है।"],
    "Arabic question mark": ["من سيدفع؟ ", "لا أحد."],
    "Urdu full stop": ["بازار بند ہے۔ ", "کل کھلے گا۔"],
    "Armenian full stop": ["Նավը ուշանում է։ ", "Սպասեք։"],
    "Thai spaces": ["เปิดวันจันทร์ ", "เข้าชมฟรี"],
    "bullets": ["Three rules ", "• Be early ", "• Bring water"],
    "pipes": ["Home ", "| News ", "| Cookie settings"],
    "a tab": ["Name\t", "Duration"],
    "a wide gap": ["Opening hours   ", "Monday to Friday"],
    "a line separator": ["The tide turns.\u2028", "Boats leave."],
}


@pytest.mark.parametrize("sentences", SENTENCES.values(), ids=SENTENCES)
def test_sentences_end_where_a_reader_ends_them(sentences: list[str]) -> None:
    assert cut("".join(sentences), weak=False) == sentences


LABELS = {
    "glued labels": ["Accept all", "Reject all", "Settings"],
    "a label glued to a sentence without a full stop": ["We store cookies", "The council met"],
    "labels with spaces": ["Reject ", "Accept ", "Save and close"],
    "Cyrillic": ["Принять все", "Отклонить"],
    "Hebrew words": ["אישור ", "דחייה"],
    "a colon": ["Provider: ", "Northwind"],
    "a name with a capital inside": ["Watch on ", "YouTube and ", "GitHub"],
    "a name with a prefix": ["Old ", "McDonald had a farm"],
    "initials and numbers in one word": ["version iOS17 of the app"],
}


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_labels_may_begin_without_a_mark(labels: list[str]) -> None:
    assert cut("".join(labels), weak=True) == labels


@given(st.one_of(st.text(st.sampled_from('aB Cé.!?…。 \t|•»")(1漢א्।\u2028\ud800'), max_size=40), st.text(max_size=60)))
def test_edges_are_in_order_and_something_visible_begins_at_each(text: str) -> None:
    offsets, strong = find_edges(text)
    assert len(offsets) == len(strong)
    assert all(a < b for a, b in pairwise([0, *offsets.tolist(), len(text)])) or not len(offsets)
    assert not any(text[offset].isspace() for offset in offsets.tolist())


@given(st.lists(st.text(st.sampled_from('aB Cé.!?。)" \t|•(1漢\u200b\u200e\ufeff\u00ad\u2028\x1f\x00\x01'), max_size=12), max_size=4))
@example(["One.", "\ufeffTwo"])
def test_a_line_has_the_same_edges_beside_other_lines(lines: list[str]) -> None:
    line, offset, strong = find_units(lines)
    for i, text in enumerate(lines):
        _, alone, strong_alone = find_units([text])
        assert (offset[line == i].tolist(), strong[line == i].tolist()) == (alone.tolist(), strong_alone.tolist())


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_an_edge_is_never_between_two_small_letters(text: str) -> None:
    assert not any(text[i - 1].islower() and text[i].islower() for i in find_edges(text)[0].tolist())
