"""The quality gate: figures of a model on what is committed, held against floors that fall only when someone says so.

It is measured on the cases of ``tests/cases`` and on ``data/validation``: documents that we wrote and never fit on, composed as training
documents are.
``data/floors.json`` pins each figure with the digests of what it was measured on: other cases need other floors, so they must be pinned anew.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from detector import Detector
from detector.model import LABELS
from training.compose import Slots, compose
from training.dataset import DatasetError, LabelledDocument, digest, read_documents
from training.evaluate import evaluate, line_probabilities

SEED: Final = 0
DECIMALS: Final = 3
"""Floors are cut to so many decimals: a last digit may differ between platforms."""
FIGURES: Final = ("average_precision", "recall_at_1e-2", "recall_at_1e-3", "recall", "hard_kept")
"""Taken from `training.evaluate.figures` as they are."""


@dataclass(frozen=True)
class Floors:
    """Pinned figures.

    Attributes
    ----------
    digests : dict of str to str
        SHA-256 of what they were measured on, by name.
    figures : dict of str to float
        Each is better the higher it is.
    """

    digests: dict[str, str]
    figures: dict[str, float]

    @classmethod
    def read(cls, path: str | Path) -> Floors:
        """Read a floors file.

        Raises
        ------
        DatasetError
            If it is none.
        """
        try:
            record = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(dict(record["measured_on"]), {name: float(value) for name, value in record["floors"].items()})
        except FileNotFoundError as error:
            raise DatasetError(f"{path}: there are no floors; pin them with consent-training gate --update") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DatasetError(
                f"{path}: not a floors file ({type(error).__name__}: {error}); pin it anew with consent-training gate --update"
            ) from error

    def to_json(self) -> str:
        """Text of the file."""
        return json.dumps({"measured_on": self.digests, "floors": self.figures}, indent=2) + "\n"


@dataclass(frozen=True)
class Outcome:
    """How one case or labelled paragraph comes out.

    Attributes
    ----------
    of : str
        What it is a case of, or the id of its document.
    text : str
        The paragraph, or the name or note of the case.
    label : str
        What it is: "article" or "boilerplate"; of a case with both, "both".
    right : bool
    """

    of: str
    text: str
    label: str
    right: bool


def outcomes(detector: Detector, data: Path, cases: Path) -> list[Outcome]:
    """How each case and each paragraph of the validation documents comes out at the detector's threshold, in an order that is always the same."""
    found = []
    for of, case in read_cases(cases):
        text = str(case.get("text") or case.get("name") or case.get("note"))
        found.append(Outcome(f"{of} case", text, of if of in LABELS else "both", is_right(detector, of, case)))
    return found + paragraph_outcomes(detector, _validation(data))


def paragraph_outcomes(detector: Detector, documents: Sequence[LabelledDocument]) -> list[Outcome]:
    """How each paragraph of labelled documents comes out; those that are labelled otherwise than article or boilerplate are left out."""
    rows = [(document.id, p) for document in documents for p in document.paragraphs]
    removed = line_probabilities(detector, documents) >= detector.threshold
    return [
        Outcome(of, p.text, p.label, bool(gone) == (p.label == "boilerplate"))
        for (of, p), gone in zip(rows, removed, strict=True)
        if p.label in LABELS
    ]


def _validation(data: Path) -> list[LabelledDocument]:
    return compose(read_documents(sorted((data / "validation").glob("*.jsonl"))), Slots.read(data), SEED)


def measure(detector: Detector, data: Path, cases: Path) -> Floors:
    """Measure a detector on the committed cases and on the validation documents.

    Parameters
    ----------
    detector : Detector
    data : Path
        With ``validation/*.jsonl``, ``slots.json`` and ``cookies.csv``.
    cases : Path
        With ``article.jsonl``, ``boilerplate.jsonl``, ``documents.jsonl``, ``joined.jsonl`` and ``known_failures.jsonl``.

    Returns
    -------
    Floors
        Digests and figures as they are now: share of the cases that come out right, and on the validation documents average precision, recall where
        1 in 100 and 1 in 1,000 article paragraphs are lost, at the default threshold recall (also as the mean of languages), and the shares of
        article paragraphs and of hard ones that are kept.
    """
    validation = sorted((data / "validation").glob("*.jsonl"))
    files = [*validation, data / "slots.json", data / "cookies.csv", *sorted(cases.glob("*.jsonl"))]
    if not validation or not list(cases.glob("*.jsonl")):
        raise DatasetError(f"{data / 'validation'} and {cases} must hold .jsonl files; give the project's folders with --data and --cases")
    figures = {}
    for kind, right in _cases(detector, cases).items():
        figures[f"{kind}_cases_right"] = sum(right) / len(right)
    found = evaluate(detector, _validation(data))
    figures |= {name: found[name] for name in FIGURES}
    figures["article_kept"] = 1 - found["false_removal"]
    figures["recall_mean_of_languages"] = float(np.mean([lang["recall"] for lang in found["by_language"].values() if lang["boilerplate"]]))
    return Floors({str(path.relative_to(path.parents[1])): digest(path) for path in files}, {name: _cut(value) for name, value in figures.items()})


def _cut(value: float) -> float:
    return math.floor(value * 10**DECIMALS + 1e-9) / 10**DECIMALS


def _cases(detector: Detector, cases: Path) -> dict[str, list[bool]]:
    """Whether each case comes out right, by what it is a case of."""
    right: dict[str, list[bool]] = {}
    for of, case in read_cases(cases):
        right.setdefault(of, []).append(is_right(detector, of, case))
    return right


def read_cases(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Cases of a folder with what each is a case of ("article", "boilerplate", "documents"); known failures say so themselves."""
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            yield str(case.get("of", path.stem)), case


def is_right(detector: Detector, of: str, case: Mapping[str, Any]) -> bool:
    """Whether a case comes out right: a paragraph has its label; of a document exactly the article's lines are kept, of a joined line its article."""
    if of == "joined":
        return detector.filter("".join(text for _, text in case["parts"])).text == "".join(text for label, text in case["parts"] if label == "a")
    if of != "documents":
        return str(detector.predict([case["text"]])[0]) == of
    text = "\n".join(line for _, line in case["lines"])
    kept = [line for label, line in case["lines"] if label == "a" and line.strip()]
    return [line for line in detector.filter(text).text.split("\n") if line.strip()] == kept


def compare(now: Floors, pinned: Floors) -> list[str]:
    """What is wrong: figures below their floor, and files that are not those that the floors were pinned on."""
    changed = sorted(name for name in now.digests.keys() | pinned.digests.keys() if now.digests.get(name) != pinned.digests.get(name))
    wrong = [f"{len(changed)} files are not those that the floors were pinned on: {', '.join(changed[:5])}"] if changed else []
    return wrong + [
        f"{name}: {now.figures.get(name, 0):.3f}, its floor is {floor:.3f}"
        for name, floor in pinned.figures.items()
        if now.figures.get(name, 0) < floor
    ]
