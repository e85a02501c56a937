"""Where labelled documents come from: what we wrote, and prepared files of public pages that the user has."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training.compose import Slots, compose
from training.dataset import DatasetError, LabelledDocument, digest, read_documents


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


def authored(data: str | Path, seed: int) -> Source:
    """Documents that we wrote: ``authored/*.jsonl`` of a data folder, with the slots filled and dialogues spliced into articles.

    Parameters
    ----------
    data : path
        A folder with ``authored/<lang>.jsonl``, ``slots.json`` and ``cookies.csv``.
    seed : int
        Of the composition.
    """
    data = Path(data)
    paths = sorted((data / "authored").glob("*.jsonl"))
    if not paths:
        raise DatasetError(
            f"{data / 'authored'} holds no .jsonl file; give the project's data folder with --data, or leave it out with --no-authored"
        )
    documents = read_documents(paths, source="authored")
    digests = {path.name: digest(path) for path in [*paths, data / "slots.json", data / "cookies.csv"]}
    return Source("authored", compose(documents, Slots.read(data), seed), digests, measured=False)


def pages(paths: Sequence[str | Path]) -> Source:
    """Labelled public web pages, from prepared files: one page a line (`training.dataset.read_documents`)."""
    return Source("pages", read_documents(paths, source="pages"), {Path(p).name: digest(p) for p in paths}, measured=True)


def labelled(paths: Sequence[str | Path]) -> Source:
    """The user's own labelled documents or paragraphs."""
    return Source("labelled", read_documents(paths), {Path(p).name: digest(p) for p in paths}, measured=True)


def missing(name: str, why: str) -> None:
    """Say on standard error that a source is left out."""
    print(f"warning: source {name} left out: {why}", file=sys.stderr)
