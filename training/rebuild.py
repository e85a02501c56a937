"""Rebuild labelled sources from the public repositories' own files: facts of ours, text of theirs.

``data/page_labels.jsonl.gz`` names each page by repository and path, with the digest of its lines and their labels; ``data/string_labels.jsonl.gz``
names each string by its project and digest. Who has the repositories' checkouts gets the labelled texts; what is not word for word what was
labelled is counted and left out.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from training.dataset import DatasetError
from training.extract import READERS, readable
from training.facts import labels_of, text_digest

BLOCKS: Final = frozenset(
    """
    address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hr html legend li main menu nav ol option p pre section select summary table tbody td tfoot th
    thead tr ul button label textarea
    """.split()  # noqa: SIM905  # a list of so many short names is read better so
)
"""Elements that end a line."""
FORMATS: Final = {
    ".json": ("json", "quoted"),
    ".json5": ("quoted",),
    ".yml": ("yaml",),
    ".yaml": ("yaml",),
    ".po": ("po",),
    ".js": ("javascript",),
    ".ts": ("quoted",),
    ".php": ("quoted",),
    ".xlf": ("xml",),
    ".html": ("html",),
    ".md": ("plain", "lines"),
    ".txt": ("plain", "lines"),
}
"""Readers of `training.extract` for the files that a project's strings may stand in; where one fails, the next is tried."""
SILENT: Final = frozenset(("head", "script", "style", "noscript", "template", "svg", "iframe", "object", "textarea", "select"))
"""Elements whose text a visitor does not read."""


def page_lines(data: bytes) -> list[str]:
    """Lines of a page as a crude whole-page extractor gives them: one for each run of text between the edges of block elements.

    Parameters
    ----------
    data : bytes
        HTML, gzipped or not.
    """
    from lxml import etree

    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    tree = etree.fromstring(data, etree.HTMLParser(encoding="utf-8"))
    lines: list[list[str]] = [[]]

    def walk(node: Any) -> None:
        silent = not isinstance(node.tag, str) or node.tag in SILENT
        block = not silent and node.tag in BLOCKS
        if block:
            lines.append([])
        if not silent:
            lines[-1].append(node.text or "")
            for child in node:
                walk(child)
        if block:
            lines.append([])
        lines[-1].append(node.tail or "")

    if tree is not None:
        walk(tree)
    return [line for parts in lines if (line := " ".join(" ".join(parts).split()))]


def rebuild_pages(facts: Iterable[dict[str, Any]], checkouts: Mapping[str, Path]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Pages of the repositories that are there, labelled.

    Parameters
    ----------
    facts : iterable of dict
        As `training.facts.page_facts` gives them.
    checkouts : mapping of str to Path
        Repository, as the facts name it, to the folder of its checkout.

    Returns
    -------
    pages : list of dict
        Labelled documents.
    counts : dict of str to int
        Of pages "rebuilt", "missing" (no such file) and "changed" (other lines than those that were labelled).
    """
    pages = []
    counts = {"rebuilt": 0, "missing": 0, "changed": 0}
    for fact in facts:
        folder = checkouts.get(fact["repository"])
        if folder is None:
            continue
        path = folder / fact["page"]
        if not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
            counts["missing"] += 1
            continue
        lines = page_lines(path.read_bytes())
        if hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest() != fact["sha256"]:
            counts["changed"] += 1
            continue
        counts["rebuilt"] += 1
        rows = [{"text": text, **label} for text, label in zip(lines, labels_of(fact["labels"]), strict=True)]
        pages.append({"source": fact["repository"], "page": fact["page"], "site": fact["site"], "lang": fact["lang"], "paragraphs": rows})
    return pages, counts


def read_facts(path: str | Path) -> list[dict[str, Any]]:
    """Read a file of facts, a JSON line each, gzipped.

    Raises
    ------
    DatasetError
        If it is none.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    except (OSError, ValueError, EOFError) as error:
        raise DatasetError(f"{path}: can't be read as facts ({type(error).__name__}: {error}); it is what consent-training facts writes") from error


def rebuild_strings(facts: Iterable[dict[str, Any]], checkouts: Mapping[str, Path]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """Strings of the projects that are there, labelled.

    Every text of a checkout whose digest is known gets the label of its facts, whichever file it stands in.

    Parameters
    ----------
    facts : iterable of dict
        As `training.facts.string_facts` gives them.
    checkouts : mapping of str to Path
        Project, as the facts name it, to the folder of its checkout.

    Returns
    -------
    rows : list of dict
        Labelled paragraphs, in the order of the facts.
    counts : dict of str to int
        Of strings "rebuilt" and "missing".
    """
    texts = {project: {text_digest(text): text for text in _texts(folder)} for project, folder in checkouts.items()}
    rows = []
    counts = {"rebuilt": 0, "missing": 0}
    for fact in facts:
        if fact["source"] not in texts:
            continue
        text = texts[fact["source"]].get(fact["sha256"])
        counts["missing" if text is None else "rebuilt"] += 1
        if text is not None:
            rows.append({"text": text, **{name: value for name, value in fact.items() if name != "sha256"}})
    return rows, counts


def _texts(folder: Path) -> Iterator[str]:
    """Texts of a checkout, as they stand there and as a visitor sees them."""
    for path in sorted(folder.rglob("*")):
        if path.suffix not in FORMATS or not path.is_file() or ".git" in path.parts:
            continue
        data = path.read_bytes()
        for name in FORMATS[path.suffix]:
            try:
                found = [text for _, text in READERS[name](data)]
            except ImportError:  # of the extra "sources": no file could be read
                raise
            except Exception:  # noqa: BLE001, S112  # another project's file, broken in whatever way: its strings are counted as missing
                continue
            for text in found:
                yield " ".join(text.split())
                yield readable(text)
