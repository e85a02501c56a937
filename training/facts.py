"""Label facts of public pages and strings: what is needed to label them again, without a word of their text.

A line is ``{"repository", "page", "site", "lang", "sha256", "labels"}``: the digest is of the paragraphs joined by line ends, and the labels are
run-length codes in the order of the paragraphs, such as ``33o 2a 1b.banner 1a!``: a(rticle), b(oilerplate) with its kind, o(ther), u(nsure),
"!" for hard.
"""

from __future__ import annotations

import hashlib
import re
from itertools import groupby
from typing import Any, Final

from training.dataset import LabelledParagraph

REPOSITORIES: Final = {
    "trafilatura": "adbar/trafilatura",
    "recipe-scrapers": "hhursev/recipe-scrapers",
    "fundus": "flairNLP/fundus",
    "postlight": "postlight/parser",
    "scrapinghub": "scrapinghub/article-extraction-benchmark",
    "readability": "mozilla/readability",
    "wcxb": "Murrough-Foley/web-content-extraction-benchmark",
}
"""Public repository of each source of pages."""
CODES: Final = {"article": "a", "boilerplate": "b", "other": "o", "unsure": "u"}


def label_code(paragraph: LabelledParagraph) -> str:
    """Code of one label.

    Examples
    --------
    >>> label_code(LabelledParagraph("We use cookies.", "boilerplate", "banner")), label_code(LabelledParagraph("Bake.", "article", hard=True))
    ('b.banner', 'a!')
    """
    return CODES[paragraph.label] + (f".{paragraph.kind}" if paragraph.kind else "") + ("!" if paragraph.hard else "")


def labels_of(code: str) -> list[dict[str, Any]]:
    """Labels of a page's lines, from their run-length code.

    Examples
    --------
    >>> labels_of("2o 1b.banner 1a!")[1:]
    [{'label': 'other'}, {'label': 'boilerplate', 'kind': 'banner'}, {'label': 'article', 'hard': True}]
    """
    labels = {short: label for label, short in CODES.items()}
    found: list[dict[str, Any]] = []
    for match in RUN.finditer(code):
        label: dict[str, Any] = {"label": labels[match["label"]]}
        if match["kind"]:
            label["kind"] = match["kind"]
        if match["hard"]:
            label["hard"] = True
        found += [label] * int(match["n"])
    return found


RUN: Final = re.compile(r"(?P<n>\d+)(?P<label>[a-z])(?:\.(?P<kind>\w+))?(?P<hard>!?)")


def text_digest(text: str) -> str:
    """First sixteen hexadecimal digits of a text's SHA-256, white space made single."""
    return hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def string_facts(row: dict[str, Any]) -> dict[str, Any]:
    """Facts of one labelled string, from its raw record: everything but its text, and the digest of that."""
    return {
        "sha256": text_digest(row["text"]),
        **{name: row[name] for name in ("label", "kind", "lang", "source", "generic", "hard") if row.get(name)},
    }


def page_facts(page: dict[str, Any]) -> dict[str, Any]:
    """Facts of one labelled page as `training.dataset` reads it, from its raw record."""
    paragraphs = [LabelledParagraph(p["text"], p["label"], p.get("kind"), bool(p.get("hard"))) for p in page["paragraphs"]]
    return {
        "repository": REPOSITORIES.get(page["source"], page["source"]),
        "page": page["page"],
        "site": page["site"],
        "lang": page["lang"],
        "sha256": hashlib.sha256("\n".join(p.text for p in paragraphs).encode("utf-8", "surrogatepass")).hexdigest(),
        "labels": " ".join(f"{len(list(run))}{code}" for code, run in groupby(label_code(p) for p in paragraphs)),
    }
