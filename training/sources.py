"""Where labelled documents come from: what we wrote, and prepared files of public pages that the user has."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.compose import Slots, compose
from training.dataset import DatasetError, LabelledDocument, LabelledParagraph, digest, read_documents
from training.tables import cookie_tables, read_tables


@dataclass(frozen=True)
class Source:
    """Documents of one origin, and what the model card says of them.

    Attributes
    ----------
    name : str
    documents : list of LabelledDocument
    digests : dict of str to str
        SHA-256 of each file that was read, by file name.
    measured : bool
        Whether its documents are whole real pages: thresholds are chosen on these where there are any.
    """

    name: str
    documents: list[LabelledDocument]
    digests: dict[str, str]
    measured: bool


def authored(data: str | Path, seed: int, hosts: Sequence[LabelledDocument] = ()) -> Source:
    """Documents that we wrote: ``authored/*.jsonl`` of a data folder, with the slots filled and dialogues spliced into articles.

    Parameters
    ----------
    data : path
        A folder with ``authored/<lang>.jsonl``, ``slots.json``, ``cookies.csv`` and ``tables.json``.
    seed : int
        Of the composition.
    hosts : sequence of LabelledDocument
        More articles that dialogues are spliced into.
    """
    data = Path(data)
    paths = sorted((data / "authored").glob("*.jsonl"))
    if not paths:
        raise DatasetError(
            f"{data / 'authored'} holds no .jsonl file; give the project's data folder with --data, or leave it out with --no-authored"
        )
    slots = Slots.read(data)
    documents = read_documents(paths, source="authored")
    documents += cookie_tables(read_tables(data / "tables.json"), slots.cookies, random.Random(seed))
    digests = {path.name: digest(path) for path in [*paths, data / "slots.json", data / "cookies.csv", data / "tables.json"]}
    return Source("authored", compose(documents, slots, seed, hosts), digests, measured=False)


def pages(paths: Sequence[str | Path]) -> Source:
    """Labelled public web pages, from prepared files: one page a line (`training.dataset.read_documents`)."""
    return Source("pages", read_documents(paths, source="pages"), {Path(p).name: digest(p) for p in paths}, measured=True)


def strings(paths: Sequence[str | Path], name: str = "strings") -> Source:
    """Single labelled texts of public projects or packages, one a line.

    A consent string is a document of its own, unless it is marked ``generic``: what means nothing outside a dialogue teaches nothing here.
    So is an interface string (label "other"). Of the prose of a language and project, every other run of `PROSE_AT_ONCE` texts is laid together to
    a document, so that dialogues can be spliced into it, and the texts between are documents of their own, as the consent strings are. A project
    is never split: its strings are translations of each other.

    Parameters
    ----------
    paths : sequence of path
    name : str
        Of the source: "strings" or "packages".
    """
    single: list[LabelledDocument] = []
    prose: dict[tuple[str, str], list[LabelledParagraph]] = defaultdict(list)
    for document in read_documents(paths, source=name, join_lines=True):
        for p in document.paragraphs:
            if p.label == "article":
                prose[document.source, document.lang].append(p)
            elif not p.generic:
                single.append(LabelledDocument(document.id, document.lang, name, f"{name}/{document.source}", (p,), document.place))
    articles = [
        LabelledDocument(f"{origin}-{lang}-{i}", lang, name, f"{name}/{origin}", tuple(texts[i : i + PROSE_AT_ONCE]))
        for (origin, lang), texts in prose.items()
        for i in range(0, len(texts), 2 * PROSE_AT_ONCE)
    ]
    articles += [
        LabelledDocument(f"{origin}-{lang}-{i}", lang, name, f"{name}/{origin}", (p,))
        for (origin, lang), texts in prose.items()
        for i, p in enumerate(texts)
        if i // PROSE_AT_ONCE % 2
    ]
    return Source(name, [*single, *articles], {Path(p).name: digest(p) for p in paths}, measured=False)


PROSE_AT_ONCE: Final = 15
"""Paragraphs of a document that is laid together from single texts: about those of a short article."""


def labelled(paths: Sequence[str | Path]) -> Source:
    """The user's own labelled documents or paragraphs."""
    return Source("labelled", read_documents(paths), {Path(p).name: digest(p) for p in paths}, measured=True)
