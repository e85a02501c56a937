"""Sort the cases by what the shipped model does: run it after a model was fitted, and read the difference before you commit it.

A case that comes out wrong goes to ``known_failures.jsonl`` with what it is a case of, and one of those that comes out right goes back.
"""

from __future__ import annotations

import json
from typing import Any

from detector import Detector
from tests.conftest import CASES
from training.gate import is_right, read_cases

KNOWN = "known_failures"


def main() -> None:
    detector = Detector.load()
    files: dict[str, list[dict[str, Any]]] = {name: [] for name in ("article", "boilerplate", "documents", "joined", KNOWN)}
    moved = {True: 0, False: 0}
    for of, case in read_cases(CASES):
        right = is_right(detector, of, case)
        moved[right] += right == ("of" in case)
        plain = {key: value for key, value in case.items() if key != "of"}
        files[of if right else KNOWN].append(plain if right else {"of": of, **plain})
    for name, cases in files.items():
        (CASES / f"{name}.jsonl").write_text("".join(json.dumps(case, ensure_ascii=False) + "\n" for case in cases), encoding="utf-8")
    print(", ".join(f"{name}: {len(cases)}" for name, cases in files.items()))
    print(f"{moved[True]} known failures come out right now, {moved[False]} cases come out wrong now")


if __name__ == "__main__":
    main()
