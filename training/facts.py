"""Label facts of public pages: what is needed to label them again, without a word of their text.

A line is ``{"repository", "page", "site", "lang", "sha256", "labels"}``: the digest is of the paragraphs joined by line ends, and the labels are
run-length codes in the order of the paragraphs, such as ``33o 2a 1b.banner 1a!``: a(rticle), b(oilerplate) with its kind, o(ther), u(nsure),
"!" for hard.
"""

from __future__ import annotations

import hashlib
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
