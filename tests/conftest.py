"""What several test files share."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from detector import Detector

CASES = Path(__file__).parent / "cases"
DATA = Path(__file__).parent.parent / "data"
SHARED = Path(__file__).parent.parent.parent / "shared"


def cases(name: str) -> list[dict[str, Any]]:
    """Cases of a file, one JSON object a line."""
    return [json.loads(line) for line in (CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def joined_lines() -> list[str]:
    """Lines that join article and consent text."""
    return ["".join(text for _, text in case["parts"]) for name in ("joined", "known_failures") for case in cases(name) if "parts" in case]


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Take Ctrl-C and the end of a terminal: what a shell starts in the background ignores the one, what nohup starts the other, and all below it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def detector() -> Detector:
    """The shipped model."""
    return Detector.load()
