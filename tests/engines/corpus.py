"""The documents that every engine filters, and what `Detector.filter_batch` makes of them."""

from __future__ import annotations

import json
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

from detector import Detector
from detector.results import removed_spans

ROOT = Path(__file__).parent.parent.parent
BANNER = "We and our 214 partners use cookies to personalise ads and content.\nAccept all cookies\nReject all\n"
STORY = "The harbour reopens on Monday, the council said.\n\nFerries to the islands start an hour later.\n"
ODD = (
    "",
    " ",
    "\n",
    "\n\n \t\n",
    "\r\n\r\n",
    f"\ufeff{STORY}{BANNER}",
    f"\n\n{BANNER}\n\n{STORY}",
    f"{STORY}{BANNER}".replace("\n", "\r\n"),
    f"{STORY.strip()}\u2028{BANNER}",
    f"{STORY.strip()}\x85{BANNER}",
    f"{STORY}\x0b\x0c\x1c\x1d\x1e\n{BANNER}",
    f"{STORY}\x00\n{BANNER}\x00",
    f"{STORY}\u200e\u200f\u202e\u2066\n{BANNER}",
    f"{STORY}e\u0301\u0323 \u1112\u1161\u11ab\n{BANNER}",
    f"{STORY}👩‍👩‍👧‍👦 🇺🇳 𝔘𝔫𝔦 𠀀\n{BANNER}",
    f"{STORY}\ufffd\ufffe\uffff\U0010ffff\ue000\n{BANNER}",
    f"{STORY}\\ \" ' \\u0000 {{}} [] , \t\n{BANNER}",
    STORY.strip() + BANNER,
    "x" * 1_000_000 + f"\n{BANNER}",
    (STORY + BANNER) * 4_000,
    STORY * 8_000,
)
NUMBER = 300


class Expected(NamedTuple):
    """What is to come of a document; spans are (start, end, probability, text)."""

    text: str
    verdict: str
    spans: list[tuple[int, int, float, str]]


@cache
def rows() -> list[dict[str, Any]]:
    """300 documents with an id, a number and a nested column: odd ones, and dialogues, articles and both of our own in all languages."""
    texts = list(ODD)
    paths = sorted((ROOT / "data" / "authored").glob("*.jsonl"))
    columns = [islice(path.read_text(encoding="utf-8").splitlines(), 0, None, 7) for path in paths]
    for lines in cycle(columns):
        line = next(lines, None)
        if len(texts) == NUMBER:
            break
        if line:
            texts.append("".join(p["text"] + "\n" for p in json.loads(line)["paragraphs"]))
    return [{"id": f"doc-{i:03}", "text": text, "number": i, "meta": {"tags": [str(i % 7), ""]}} for i, text in enumerate(texts)]


@cache
def expected() -> dict[str, Expected]:
    """What `filter_batch` makes of them in one process, by id."""
    made = zip(rows(), Detector.load().filter_batch([row["text"] for row in rows()]), strict=True)
    return {row["id"]: Expected(d.text, d.verdict, spans_of(removed_spans(d), d.original)) for row, d in made}


def spans_of(spans: Any, original: str) -> list[tuple[int, int, float, str]]:
    """Spans as tuples, with their text."""
    return [(s["start"], s["end"], s["probability"], original[s["start"] : s["end"]]) for s in spans]
