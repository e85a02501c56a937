"""Make one HTML page of documents and what was removed of them, on which a person corrects the labels; it needs no network and no server."""

from __future__ import annotations

import base64
import hashlib
import heapq
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from math import inf, log
from typing import Any, Final, NamedTuple

from detector import __version__
from detector.corpus import Record
from detector.filtering import FilteredDocument
from detector.model import LABELS

CARRIED: Final = ("lang", "source", "site")
"""Fields of a document that go into the labelled data: `site` is what training never splits."""
MOST_DOCUMENTS: Final = 2000
"""More are not read by a person in a day; a page of so many opens in about a second."""
LEAST_PROBABILITY: Final = 1e-9
"""Probabilities nearer to 0 or 1 count as this near, so that the threshold 0 or 1 has log-odds too."""
PARTS: Final = {"style": "review.css", "labels": "review_labels.js", "view": "review_view.js", "actions": "review_actions.js"}
"""Names of the places in review.html, and the files that go there: the style, then the scripts."""
UNSAFE: Final = re.compile("[<>&\x7f-\x9f\u2028\u2029\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]")
"""Characters that are escaped inside the page: those that begin a tag or an entity, that end a line of script, that UTF-8 or HTML can't hold."""


class Counts(NamedTuple):
    """How many documents were read, have text, and stand on the page; how many paragraphs these have, and how many of them are to be removed."""

    read: int
    with_text: int
    shown: int
    paragraphs: int
    removed: int


def doubt_of(probabilities: Iterable[float], threshold: float) -> float:
    """How near a document comes to being decided otherwise: least distance of a paragraph from the threshold, in log-odds.

    Parameters
    ----------
    probabilities : iterable of float
    threshold : float
        From 0 to 1.

    Returns
    -------
    float
        0 is most doubtful; infinite without paragraphs.

    Examples
    --------
    >>> doubt_of([0.5, 0.999], 0.5), doubt_of([], 0.5)
    (0.0, inf)
    """
    cut = _log_odds(threshold)
    return min((abs(_log_odds(p) - cut) for p in probabilities), default=inf)


def _log_odds(probability: float) -> float:
    p = min(max(probability, LEAST_PROBABILITY), 1.0 - LEAST_PROBABILITY)
    return log(p / (1.0 - p))


def most_doubtful(pairs: Iterable[tuple[Record, FilteredDocument]], threshold: float, limit: int) -> tuple[list[dict[str, Any]], Counts]:
    """Choose the most doubtful documents of any number of them; only those chosen are held in memory.

    Parameters
    ----------
    pairs : iterable of (Record, FilteredDocument)
    threshold : float
    limit : int
        How many to choose, 0 or more.

    Returns
    -------
    documents : list of dict
        The most doubtful first, equal ones in the order of the input: ``{"id", "place", "verdict", "lang"?, "source"?, "site"?, "paragraphs"}``; a
        paragraph is ``[text, probability, removed]``, the text without line end. Blank paragraphs are left out, and so are documents without others.
    counts : Counts
    """
    chosen: list[tuple[float, int, dict[str, Any]]] = []  # a heap: the least doubtful of them comes first
    n_read = n_with_text = 0
    for record, document in pairs:
        n_read += 1
        rows = [(p.text.partition("\n")[0], p.probability, p.label == LABELS[1]) for p in document.paragraphs if p.text.strip()]
        if not rows:
            continue
        n_with_text += 1
        rank = (-doubt_of((p for _, p, _ in rows), threshold), -n_read)
        if len(chosen) < limit or (chosen and rank > chosen[0][:2]):
            fields = {**_identity(record), "verdict": document.verdict, "paragraphs": [[text, round(p, 6), int(gone)] for text, p, gone in rows]}
            (heapq.heappush if len(chosen) < limit else heapq.heapreplace)(chosen, (*rank, fields))
    chosen.sort(key=lambda row: -row[1])
    _make_unique(fields for _, _, fields in chosen)
    chosen.sort(key=lambda row: -row[0])
    documents = [fields for _, _, fields in chosen]
    marks = [gone for fields in documents for _, _, gone in fields["paragraphs"]]
    return documents, Counts(n_read, n_with_text, len(documents), len(marks), sum(marks))


def _identity(record: Record) -> dict[str, Any]:
    """Identifier, or else the name of the file with the line; where it was read from; and the fields that are carried along."""
    given = record.identity.get("id")
    name = given if isinstance(given, str) else "" if given is None else json.dumps(given)  # a number of any size stays what it is
    fields = record.fields or {}
    carried = {key: str(fields[key]) for key in CARRIED if isinstance(fields.get(key), (str, int)) and fields[key]}
    return {"id": name or re.split(r"[/\\]", record.place)[-1], "place": record.place, **carried}


def _make_unique(documents: Iterable[dict[str, Any]]) -> None:
    """Number identifiers that come again: training refuses a file in which a source has one twice.

    A document without source gets that of the file, which may be any, so its identifier must be the only one.
    """
    used: dict[str, set[str | None]] = {}
    for document in documents:
        given, source, number = document["id"], document.get("source"), 1
        while (sources := used.setdefault(document["id"], set())) and (source is None or source in sources or None in sources):
            number += 1
            document["id"] = f"{given} ({number})"
        sources.add(source)


def embedded(data: Any) -> str:
    r"""JSON that can stand inside a script element of a page in UTF-8: no tag or comment begins or ends in it.

    Examples
    --------
    >>> embedded("</script>é\ud800")
    '"\\u003c/script\\u003eé\\ud800"'
    """
    return UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def page_of(documents: list[dict[str, Any]], threshold: float, name: str) -> Iterator[str]:
    """The page, in parts.

    Parameters
    ----------
    documents : list of dict
        As `most_doubtful` gives them.
    threshold : float
    name : str
        Of the page, which the labels are named after.

    Yields
    ------
    str
        Nothing in it is fetched or sent: its content security policy allows its own style and scripts, known by their digests, and nothing else.
    """
    data = embedded({"name": name, "threshold": threshold, "version": __version__, "documents": documents})
    values = {name: _part(file) for name, file in PARTS.items()}
    sources = [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in values.values()]
    policy = f"default-src 'none'; style-src {sources[0]}; script-src {' '.join(sources[1:])}; base-uri 'none'; form-action 'none'"
    values |= {"policy": policy, "digest": hashlib.sha256(data.encode()).hexdigest()[:24], "data": data}
    for i, part in enumerate(re.split(r"\{\{(\w+)\}\}", _part("review.html"))):
        yield values[part] if i % 2 else part


@cache
def _part(name: str) -> str:
    return (files("detector") / "page" / name).read_text(encoding="utf-8")
