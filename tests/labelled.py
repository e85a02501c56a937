"""Small labelled documents of a made-up world, enough to fit a model in a second."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

CONSENT = (
    "We use cookies to measure visits",
    "By continuing you agree to our use of cookies",
    "Choose which partners may store data",
    "Essential cookies",
)
BUTTONS = ("Accept all", "Reject all", "Save my choices", "Cookie settings")
WORDS = [
    "harbour",
    "council",
    "bread",
    "tram",
    "winter",
    "river",
    "teacher",
    "garden",
    "window",
    "letter",
    "summer",
    "engine",
    "market",
    "doctor",
    "village",
    "mountain",
]


def documents(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """Documents of n sites: an article, a dialogue after most of them."""
    rng = random.Random(seed)
    made = []
    for i in range(n):
        rows: list[dict[str, Any]] = [
            {
                "text": f"The {rng.choice(WORDS)} and the {rng.choice(WORDS)} near the {rng.choice(WORDS)} were {rng.choice(WORDS)} {rng.randint(1, 99)}",
                "label": "article",
            }
            for _ in range(rng.randint(6, 12))
        ]
        rows.append({"text": f"About the {rng.choice(WORDS)}", "label": "other"})
        if i % 4:
            rows.append({"text": f"{rng.choice(CONSENT)} on {rng.choice(WORDS)}.example", "label": "boilerplate", "kind": "banner"})
            rows += [{"text": text, "label": "boilerplate", "kind": "button"} for text in rng.sample(BUTTONS, 2)]
            rows.append({"text": "perhaps", "label": "unsure"})
        made.append({"id": f"d{i}", "site": f"site{i}.example", "lang": "en" if i % 2 else "de", "source": "made", "paragraphs": rows})
    return made


def write(path: Path, n: int, seed: int = 0) -> Path:
    path.write_text("".join(json.dumps(document) + "\n" for document in documents(n, seed)), encoding="utf-8")
    return path
