"""`training.compose`: slots are filled, dialogues are spliced into articles, by a seed."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conftest import DATA
from training.compose import SLOT, Slots, compose, glue, is_article, is_dialogue, join
from training.dataset import DatasetError, LabelledDocument, LabelledParagraph, read_documents

COOKIES = [{"name": "_ga_*", "provider": "Google", "purpose": "counts visits", "duration": "2 years"}]
SLOTS = Slots({"und": {"service": ["YouTube"]}, "en": {"company": ["Ash Ltd", "Oak Ltd"], "site": ["ash.example", "oak.example"]}}, COOKIES)


def document(name: str, *rows: tuple[str, str], lang: str = "en") -> LabelledDocument:
    paragraphs = tuple(LabelledParagraph(text, "boilerplate" if kind else "article", kind or None) for text, kind in rows)
    return LabelledDocument(name, lang, "authored", f"authored/{name}", paragraphs, f"authored.jsonl:{name}")


DIALOGUE = document(
    "dialogue",
    ("{company} and its {partners} partners use cookies on {site}, such as {cookie} by {provider}.", "banner"),
    ("This is {company} speaking.", "preference"),
    ("Accept all", "button"),
    ("Reject all", "button"),
)
ARTICLE = document("article", ("The council met.", ""), ("{company} was fined.", ""), ("It will appeal.", ""))


def test_every_slot_is_filled_and_a_company_stays_the_same_in_a_document() -> None:
    for composed in compose([DIALOGUE, ARTICLE], SLOTS, seed=0):
        texts = [p.text for p in composed.paragraphs]
        assert not any(SLOT.search(text) for text in texts)
        assert len({name for name in ("Ash Ltd", "Oak Ltd") for text in texts if name in text and "fined" not in text}) <= 1


def test_a_cookie_keeps_its_provider_and_gets_a_name_without_wildcard() -> None:
    filled = SLOTS.fill(DIALOGUE, __import__("random").Random(0))
    assert "by Google." in filled.paragraphs[0].text
    assert "_ga_*" not in filled.paragraphs[0].text
    assert "_ga_" in filled.paragraphs[0].text


def test_a_slot_without_values_is_named() -> None:
    with pytest.raises(DatasetError, match=r"authored.jsonl:x: no values for the slot \{city\} in 'en'; add them to slots.json"):
        compose([document("x", ("Welcome to {city}.", ""))], SLOTS, seed=0)


def test_spliced_documents_hold_an_article_and_belong_to_the_dialogue() -> None:
    spliced = [d for d in compose([DIALOGUE, ARTICLE], SLOTS, seed=3) if "+" in d.id]
    assert spliced
    for composed in spliced:
        assert composed.group == "authored/dialogue"
        assert {p.label for p in composed.paragraphs} == {"article", "boilerplate"}
        kept = [p.text for p in composed.paragraphs if p.label == "article"]
        whole = ["The council met.", next((t for t in kept if "fined" in t), ""), "It will appeal."]
        assert any(kept == whole[a:b] for a in range(3) for b in range(a + 1, 4))


def test_a_seed_gives_the_same_documents() -> None:
    assert compose([DIALOGUE, ARTICLE], SLOTS, seed=1) == compose([DIALOGUE, ARTICLE], SLOTS, seed=1)
    assert compose([DIALOGUE, ARTICLE], SLOTS, seed=1) != compose([DIALOGUE, ARTICLE], SLOTS, seed=2)


def test_buttons_are_glued_and_dialogues_joined() -> None:
    assert [p.text for p in glue(DIALOGUE.paragraphs)][2:] == ["Accept allReject all"]
    assert [p.text for p in join(DIALOGUE.paragraphs[2:])] == ["Accept all Reject all"]


def test_documents_of_one_label_are_told_apart() -> None:
    assert (is_dialogue(DIALOGUE), is_article(DIALOGUE)) == (True, False)
    assert (is_dialogue(ARTICLE), is_article(ARTICLE)) == (False, True)


def test_all_authored_documents_compose() -> None:
    documents = read_documents(sorted((DATA / "authored").glob("*.jsonl")))
    composed = compose(documents, Slots.read(DATA), seed=0)
    assert not any(SLOT.search(p.text) for d in composed for p in d.paragraphs)
    positions = Counter(
        ("start" if d.paragraphs[0].label == "boilerplate" else "later", "end" if d.paragraphs[-1].label == "boilerplate" else "before")
        for d in composed
        if "+" in d.id
    )
    assert positions["later", "end"] > max(positions["later", "before"], positions["start", "before"]) > 0


def test_slot_values_are_filled_in_text_only_once() -> None:
    values = json.loads((DATA / "slots.json").read_text(encoding="utf-8"))
    assert not [v for slots in values.values() for choices in slots.values() for v in choices if SLOT.search(v) or not v.strip()]


def test_the_cookie_table_has_facts_of_many_cookies() -> None:
    cookies = Slots.read(DATA).cookies
    assert len({cookie["name"] for cookie in cookies}) == len(cookies) >= 250
    assert all(value and value.strip() for cookie in cookies for value in cookie.values())
    assert Path(DATA / "cookies.csv").exists()


def test_whole_pages_are_several_documents_with_little_consent_text_or_none() -> None:
    hosts = [document(f"a{i}", *[(f"Line {n} of article {i}.", "") for n in range(12)]) for i in range(6)]
    pages = [d for seed in range(30) for d in compose([DIALOGUE, *hosts], SLOTS, seed=seed) if d.id.endswith("#")]
    assert pages
    assert {d.group for d in pages} == {"authored/dialogue"}
    assert all(sum(p.label == "article" for p in d.paragraphs) >= 24 for d in pages)
    boilerplate = [sum(p.label == "boilerplate" for p in d.paragraphs) for d in pages]
    assert 0 in boilerplate
    assert 0 < sum(boilerplate) < sum(len(d.paragraphs) for d in pages) / 10


def test_a_button_stands_alone_only_where_its_family_means_something_alone() -> None:
    def alone(family: str) -> set[str]:
        dialogue = replace(document("d", ("Cookie settings", "button"), ("OK", "button")), family=family)
        spliced = [d for seed in range(20) for d in compose([dialogue, ARTICLE], SLOTS, seed=seed) if "+" in d.id]
        runs = [[p.text for p in d.paragraphs if p.label == "boilerplate"] for d in spliced]
        return {run[0] for run in runs if run in (["Cookie settings"], ["OK"])}

    assert alone("footer")
    assert not alone("onetrust")
