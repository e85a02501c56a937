"""Tasks as `suggest` writes them, and what annotators made of them, for tests of `import` and of the tools themselves."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from training.tasks import WRITERS, Candidate

EXPORTS = Path(__file__).parent / "cases" / "annotations"
"""What the tools exported, by `tests/tools/exports.py`."""
TEXTS: tuple[tuple[str, list[str]], ...] = (
    ('We use cookies, and "tags", on ash.example \U0001f36a', ["boilerplate"]),
    ("OK", ["article", "boilerplate"]),
    ("The council met on Monday, after the fair.", ["article"]),
    ("Settings", []),
    ("Letters from the harbour, once a week", ["unsure"]),
    ("Reject all", ["button"]),
)
"""Texts of tasks, and the names that annotators gave; none: they skipped it."""
EXPECTED = {0: ("boilerplate", None), 1: ("unsure", None), 2: ("article", None), 4: ("unsure", None), 5: ("boilerplate", "button")}
DOCUMENT = "The tram \U0001f68b is late.\n\nWe use cookies on ash.example. The river is high.\nOK\nReject all, please"
"""A whole document; a hand marked its consent text, and missed the full stop and the first letter."""
SPANS: tuple[tuple[int, int, str], ...] = (
    (DOCUMENT.index("We use") + 1, DOCUMENT.index(". The river"), "boilerplate"),
    (DOCUMENT.index("OK"), DOCUMENT.index(", please"), "boilerplate"),
)
OF_DOCUMENT = [
    ("The tram \U0001f68b is late.", "article"),
    ("We use cookies on ash.example.", "boilerplate"),
    ("The river is high.", "article"),
    ("OK", "boilerplate"),
    ("Reject all", "boilerplate"),
    (", please", "article"),
]


def candidates() -> list[Candidate]:
    """A candidate for each text; the second has no neighbour before it."""
    return [
        Candidate(
            text,
            before=["The tram is late.", "The river is high."] if i != 1 else [],
            after=["More"],
            label="article",
            probability=0.25,
            log_odds=-1.0,
            document=f"page {i // 2}",
            site=f"{'ash' if i < 4 else 'oak'}.example",
            place=f"pages.jsonl:{i}",
            lang="en" if i else None,
            documents=i + 1,
            uncertainty=1.0,
            last=1,
        )
        for i, (text, _) in enumerate(TEXTS)
    ]


def tasks(name: str) -> str:
    """The tasks as `suggest` writes them for a tool."""
    return "".join(WRITERS[name](candidates()))


def choice(label: str) -> dict[str, Any]:
    """A label as Label Studio keeps it."""
    return {"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": [label]}}


def annotation(number: int, results: Iterable[dict[str, Any]], **more: object) -> dict[str, Any]:
    """An annotation as Label Studio keeps it."""
    return {
        "id": number,
        "completed_by": 1,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2026-03-01T10:00:00Z",
        **more,
    }


def label_studio_export() -> list[dict[str, Any]]:
    """Our tasks with annotations, in Label Studio's JSON: each label by one annotator; where there is none the task was skipped."""
    exported = []
    for i, (task, (_, labels)) in enumerate(zip(json.loads(tasks("label-studio")), TEXTS, strict=True)):
        made = [annotation(10 * i + k, [choice(label)]) for k, label in enumerate(labels)]
        made.append(annotation(10 * i + 9, [], was_cancelled=True))
        exported.append({"id": i + 1, **task, "annotations": made})
    return exported


def label_studio_document() -> list[dict[str, Any]]:
    """The document with its spans, in Label Studio's JSON; of the second span the text is missing, as in some exports."""
    results: list[dict[str, Any]] = [
        {"from_name": "label", "to_name": "text", "type": "labels", "value": {"start": a, "end": b, "text": DOCUMENT[a:b], "labels": [name]}}
        for a, b, name in SPANS
    ]
    del results[1]["value"]["text"]
    return [{"id": 1, "data": {"text": DOCUMENT}, "annotations": [annotation(1, results)], "predictions": []}]
