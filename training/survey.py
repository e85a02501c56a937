"""Go through an unlabelled corpus and keep, in bounded memory, the paragraphs and documents that a model is uncertain of."""

from __future__ import annotations

import re
from math import exp, log, log2
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from detector import Detector, Paragraph
from detector.corpus import Record, json_line
from training.tasks import Candidate

SPREAD: Final = 1.0
"""Log-odds by which the slope of the logistic curve is stretched. A model of 50 of our English documents picked 100 paragraphs of 350 more: average
precision on the others rose from .779 to .818, with 2 to .809, with 100 paragraphs by chance to .785 (mean of eight runs)."""
REACH: Final = 6.0
"""Paragraphs further from the threshold are no candidates, and no occurrences of one; their uncertainty is below .01."""
POOL: Final = 20_000
"""So many candidates are kept, those of best score, and twice as many held, so that memory doesn't grow with the corpus. One that was forgotten is
counted from 1 when it comes again."""
MOST_CHARACTERS: Final = 2000
"""A longer paragraph isn't suggested, for nobody reads it, and neighbours are shown up to here."""
DOCUMENTS_AT_ONCE: Final = 500
CHARACTERS_AT_ONCE: Final = 4_000_000
"""Documents that are filtered at once stay under both."""
OF_DOCUMENT: Final = 10
"""So many candidates of a document count for it, those of which the model is most uncertain."""
SITE_FIELDS: Final = ("site", "domain", "host")
URL_FIELDS: Final = ("url", "source_url", "uri")
DIGIT: Final = re.compile(r"\d")


def uncertainty(distance: float) -> float:
    """How uncertain a decision is, from 0 to 1, by its distance to the threshold in log-odds: the slope of a logistic curve.

    Examples
    --------
    >>> uncertainty(0.0), round(uncertainty(-2.0), 2), round(uncertainty(REACH), 2)
    (1.0, 0.42, 0.01)
    """
    tail = exp(-abs(distance) / SPREAD)
    return 4 * tail / (1 + tail) ** 2


def folded(text: str) -> str:
    """A paragraph as it is compared with others: without capitals, digits as zeros, white space as a space.

    Examples
    --------
    >>> folded("We and our 214  Partners")
    'we and our 000 partners'
    """
    return DIGIT.sub("0", " ".join(text.casefold().split()))


def site_of(fields: dict[str, Any]) -> str | None:
    """The site that a document names, by its fields or those of its metadata.

    Examples
    --------
    >>> site_of({"url": "https://www.ash.example/a?b"}), site_of({"metadata": {"domain": "oak.example"}}), site_of({"id": 3})
    ('www.ash.example', 'oak.example', None)
    """
    metadata = fields.get("metadata")
    for place in (fields, metadata if isinstance(metadata, dict) else {}):
        named = [place[name] for name in SITE_FIELDS if isinstance(place.get(name), str)]
        named += [_host(place[name]) for name in URL_FIELDS if isinstance(place.get(name), str)]
        site = next(filter(None, named), None)
        if site:
            return str(site)
    return None


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:  # brackets that hold no address
        return None


class UncertainDocument(NamedTuple):
    """A document, as a line of JSON, and the folded paragraphs of which the model is most uncertain."""

    line: str
    site: str
    keys: tuple[str, ...]
    value: float


class Survey:
    """What was found in a corpus.

    Parameters
    ----------
    detector : Detector
    context : int
        Neighbours to keep on each side.
    documents : int
        How many documents to keep; 0 for none.
    pool : int
        How many candidates to keep.

    Attributes
    ----------
    candidates : dict of str to Candidate
        By the folded text.
    documents : list of UncertainDocument
    n_documents, n_paragraphs, n_near, n_long : int
        How many were read; how many paragraphs are near the threshold, and how many of these are too long.
    """

    def __init__(self, detector: Detector, context: int = 3, documents: int = 0, pool: int = POOL) -> None:
        self._detector = detector
        self._threshold = _logit(detector.threshold)
        self._context = context
        self._most_documents = documents
        self._pool = pool
        self._waiting: list[tuple[Record, str]] = []
        self._size = 0
        self.candidates: dict[str, Candidate] = {}
        self.documents: list[UncertainDocument] = []
        self.n_documents = self.n_paragraphs = self.n_near = self.n_long = 0

    def add(self, record: Record, text_field: str = "text") -> None:
        """Take a document; it is looked at with others, at the latest by `finish`."""
        self._waiting.append((record, text_field))
        self._size += len(record.text)
        if len(self._waiting) >= DOCUMENTS_AT_ONCE or self._size >= CHARACTERS_AT_ONCE:
            self.finish()

    def finish(self) -> None:
        """Look at the documents that wait."""
        waiting, self._waiting, self._size = self._waiting, [], 0
        for (record, text_field), document in zip(waiting, self._detector.filter_batch([record.text for record, _ in waiting]), strict=True):
            self.n_documents += 1
            self._look([p for p in document.paragraphs if not p.text.isspace()], record, text_field)
        if len(self.candidates) > 2 * self._pool:
            best = sorted(self.candidates.items(), key=lambda pair: -self.score(pair[1]))[: self._pool]
            self.candidates = dict(best)
        if len(self.documents) > 2 * self._most_documents:
            self.documents = sorted(self.documents, key=lambda document: -document.value)[: self._most_documents]

    def score(self, candidate: Candidate) -> float:
        """What its label would teach, regardless of others: the model's mean uncertainty, and how many documents have the paragraph."""
        return candidate.uncertainty / candidate.documents * log2(1 + candidate.documents)

    def _look(self, paragraphs: list[Paragraph], record: Record, text_field: str) -> None:
        self.n_paragraphs += len(paragraphs)
        near = []
        for i, p in enumerate(paragraphs):
            log_odds = _logit(p.probability)
            if abs(log_odds - self._threshold) <= REACH:
                near.append((i, log_odds))
        if not near:
            return
        self.n_near += len(near)
        fields = record.exact_fields
        document = str(record.identity.get("id") or record.place)
        site = site_of(fields) or document
        language = fields.get("lang", fields.get("language"))
        keys: dict[str, float] = {}
        for i, log_odds in near:
            p = paragraphs[i]
            text = _line(p)
            if len(text) > MOST_CHARACTERS:
                self.n_long += 1
                continue
            key = folded(text)
            uncertain = uncertainty(log_odds - self._threshold)
            keys[key] = max(keys.get(key, 0.0), uncertain)
            known = self.candidates.get(key)
            times, total = 1, uncertain
            if known:
                is_new = known.last != self.n_documents
                times, total = known.documents + is_new, known.uncertainty + is_new * uncertain
                known.documents, known.uncertainty, known.last = times, total, self.n_documents
                if abs(known.log_odds - self._threshold) <= abs(log_odds - self._threshold):
                    continue
            before, after = paragraphs[max(i - self._context, 0) : i], paragraphs[i + 1 : i + 1 + self._context]
            before_it, after_it = ([_line(q)[:MOST_CHARACTERS] for q in side] for side in (before, after))
            self.candidates[key] = Candidate(
                text,
                before_it,
                after_it,
                p.label,
                p.probability,
                log_odds,
                document,
                site,
                record.place,
                language if isinstance(language, str) else None,
                times,
                total,
                self.n_documents,
            )
        if self._most_documents and keys:
            best = sorted(keys, key=lambda key: -keys[key])[:OF_DOCUMENT]
            line = record.raw.decode().strip() if record.is_line else json_line({"id": record.place, **fields, text_field: record.text})
            self.documents.append(UncertainDocument(line, site, tuple(best), sum(keys[key] for key in best)))


def _line(paragraph: Paragraph) -> str:
    """A paragraph without the blank lines that follow it."""
    return paragraph.text.partition("\n")[0]


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-300), 1 - 1e-16)
    return log(bounded) - log(1 - bounded)
