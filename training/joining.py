"""Join lines of labelled documents, as extractors do: consent text and sentences of the article in one line, or a whole page in one.

What was joined is known, so each character of a joined line has a label. Draws come from a generator for each document, so a document gives the
same joined lines whatever others there are.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import detector.sentences
from detector.sentences import CLOSES, find_edges
from training.dataset import LabelledDocument, LabelledParagraph

MOST_CONSENT: Final = 5
"""Consent paragraphs that are joined with article text, at most."""
MOST_SENTENCES: Final = 8
"""Sentences of the article that are joined with them, at most."""
SPACED: Final = 0.6
"""Share of joined lines whose parts have a space between."""
STOPPED: Final = 0.5
"""Share of joined lines whose parts keep their last full stop."""
SENTENCE_BYTES: Final = 30
"""An article paragraph with less UTF-8 is not joined, nor one that doesn't end a sentence: headings and captions stay lines of their own."""
STOPS: Final = ".\u3002\u0964\u1362\uff0e"
ENDS: Final = tuple(detector.sentences.STOPS + detector.sentences.WIDE_STOPS)


@dataclass(frozen=True, slots=True)
class JoinedLine:
    """A line and the labelled parts that it was joined of; ``text[ends[i - 1]:ends[i]]`` is part i with the space before it."""

    text: str
    parts: tuple[LabelledParagraph, ...]
    ends: tuple[int, ...]

    def characters(self, start: int, end: int) -> tuple[int, int, int]:
        """Characters from start to end that are boilerplate, that are article, and that have any label but "unsure"."""
        boilerplate = article = known = 0
        begin = 0
        for part, stop in zip(self.parts, self.ends, strict=True):
            begin += self.glue(begin, stop)
            overlap = max(0, min(end, stop) - max(start, begin))
            boilerplate += overlap * (part.label == "boilerplate")
            article += overlap * (part.label == "article")
            known += overlap * (part.label != "unsure")
            begin = stop
        return boilerplate, article, known

    def glue(self, begin: int, end: int) -> int:
        """Characters of white space at the beginning of a part: they glue two parts, and are of neither."""
        text = self.text[begin:end]
        return len(text) - len(text.lstrip())


@dataclass(frozen=True, slots=True)
class JoinedDocument:
    """A document some of whose lines were joined."""

    id: str
    lang: str
    group: str
    lines: tuple[JoinedLine, ...]

    @property
    def text(self) -> str:
        """The document as an extractor would give it."""
        return "\n".join(line.text for line in self.lines)


def unjoined(document: LabelledDocument) -> JoinedDocument:
    """A document as it is, in the same form."""
    return JoinedDocument(document.id, document.lang, document.group, tuple(JoinedLine(p.text, (p,), (len(p.text),)) for p in document.paragraphs))


def join_all(document: LabelledDocument, seed: int = 0) -> JoinedDocument:
    """A whole document in one line."""
    rng = random.Random(f"{seed} all {document.id}")
    line = _join(document.paragraphs, rng, sentences=False)
    return JoinedDocument(document.id, document.lang, document.group, (line,))


def join_some(document: LabelledDocument, seed: int = 0, hosts: Sequence[LabelledDocument] = ()) -> JoinedDocument | None:
    """A document, one of whose runs of consent text is joined with sentences of its article.

    Parameters
    ----------
    document : LabelledDocument
    seed : int
    hosts : sequence of LabelledDocument
        Articles to take sentences from where the document has none.

    Returns
    -------
    JoinedDocument or None
        None without consent text or article text.
    """
    rng = random.Random(f"{seed} some {document.id}")
    paragraphs = document.paragraphs
    consent = [i for i, p in enumerate(paragraphs) if p.label == "boilerplate"]
    host = document if any(map(_is_prose, paragraphs)) else rng.choice(hosts) if hosts else None
    if not consent or host is None:
        return None
    first = rng.choice(consent)
    most = rng.randint(1, MOST_CONSENT)
    last = first
    while last + 1 < len(paragraphs) and last - first + 1 < most and paragraphs[last + 1].label == "boilerplate":
        last += 1
    prose = [i for i, p in enumerate(host.paragraphs) if _is_prose(p)]
    start = rng.randrange(len(prose))
    wanted = rng.randint(1, MOST_SENTENCES)
    sentences: list[LabelledParagraph] = []
    taken = set(range(first + 1, last + 1))
    for i in prose[start:]:
        if len(sentences) >= wanted:
            break
        p = host.paragraphs[i]
        sentences += [replace(p, text=text) for text in _sentences(p.text)]
        if host is document:
            taken.add(i)
    sentences = sentences[:wanted]
    where = rng.choice(("before", "after", "between"))
    cut = {"before": len(sentences), "after": 0, "between": rng.randint(0, len(sentences))}[where]
    joined = _join([*sentences[:cut], *paragraphs[first : last + 1], *sentences[cut:]], rng, sentences=True)
    lines = [joined if i == first else JoinedLine(p.text, (p,), (len(p.text),)) for i, p in enumerate(paragraphs) if i not in taken]
    return JoinedDocument(document.id, document.lang, document.group, tuple(lines))


def hosts_by_language(documents: Sequence[LabelledDocument]) -> dict[str, list[LabelledDocument]]:
    """Documents without consent text that have prose, by language."""
    hosts: dict[str, list[LabelledDocument]] = defaultdict(list)
    for document in documents:
        if all(p.label != "boilerplate" for p in document.paragraphs) and any(map(_is_prose, document.paragraphs)):
            hosts[document.lang].append(document)
    return hosts


def _is_prose(paragraph: LabelledParagraph) -> bool:
    """Whether it is an article paragraph of whole sentences."""
    text = paragraph.text.rstrip(CLOSES)
    return paragraph.label == "article" and text.endswith(ENDS) and len(text.encode()) >= SENTENCE_BYTES


def _sentences(text: str) -> Iterator[str]:
    offsets, strong = find_edges(text)
    edges = [0, *offsets[strong].tolist(), len(text)]
    yield from (text[a:b].strip() for a, b in pairwise(edges))


def _join(parts: Sequence[LabelledParagraph], rng: random.Random, *, sentences: bool) -> JoinedLine:
    """Join parts with or without a space, with or without their full stops; neighbouring sentences of an article keep their space."""
    space = " " if rng.random() < SPACED else ""
    stopped = rng.random() < STOPPED
    text, ends = "", []
    for i, part in enumerate(parts):
        own = part.text if stopped or i + 1 == len(parts) else part.text.rstrip(STOPS)
        if i:
            text += " " if sentences and parts[i - 1].label == part.label == "article" else space
        text += own
        ends.append(len(text))
    return JoinedLine(text, tuple(parts), tuple(ends))
