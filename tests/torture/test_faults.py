"""Runs in which something goes wrong: each ends with success or one clear error, leaves whole files only, and can be resumed without loss.

A run that fails prints its kind and number. To repeat it alone, as often as it takes (moments are not the same twice):

    FAULT='SIGTERM to all:3' python -m pytest tests/torture/test_faults.py

`FAULT_SEED` (default 8) makes other runs; `FAULT='SIGTERM to all'` makes all runs of one kind.
"""

from __future__ import annotations

import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.torture.conftest import Tried
from tests.torture.faults import Fault, faults
from tests.torture.scenes import SETTINGS, References, Scene, wait_for_moment

SEED = os.environ.get("FAULT_SEED", "8")
CHOSEN = os.environ.get("FAULT", "")
RUNS = 500
AT_ONCE = 2
"""Runs at a time: there are moments enough in which each waits."""
KILLED_BESIDES = 0.15
"""Share of runs that are killed once more before they are resumed."""


def disturbed(folder: Path, fault: Fault, number: int, references: References) -> list[str]:
    """Make one run with a fault, and more until it is through; what was not as promised."""
    rng = random.Random(f"{SEED} {fault.what} {number}")
    settings = rng.choice(fault.settings)
    scene = Scene(folder / f"{fault.what}-{number}".replace("/", " "), settings, rng.choice(fault.workers), references)
    try:
        fault.make(scene, rng)
        if not fault.ends_alone:
            if rng.random() < KILLED_BESIDES:
                process = scene.start("--resume")
                wait_for_moment(scene, process, rng)
                process.kill()
                scene.attempt(process, (0, -9))
            scene.check_resumed()
    except (OSError, ValueError, AssertionError) as error:
        scene.problem(f"the test itself fails: {error!r}")
    finally:
        scene.close()
    return [f"FAULT_SEED={SEED} FAULT='{fault.what}:{number}' ({settings}, {scene.workers} workers): {problem}" for problem in scene.problems]


def test_whatever_goes_wrong_nothing_is_lost(tmp_path: Path, tried: Tried) -> None:
    what, number = CHOSEN.rpartition(":")[::2] if CHOSEN.rpartition(":")[2].isdigit() else (CHOSEN, "")
    kinds = [fault for fault in faults() if not what or fault.what == what]
    cases = [(fault, i) for fault in kinds for i in range(fault.n) if not number or i == int(number)]
    assert len(cases) >= (1 if CHOSEN else RUNS), f"there is no fault {CHOSEN!r}"
    references = References(tmp_path / "undisturbed")
    for settings in SETTINGS:
        references.get(settings)
        if settings in ("small", "long", "cut"):
            references.get(settings, other=True)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda case: disturbed(tmp_path, case[0], case[1], references), cases))
    for fault in kinds:
        lost = [bool(problems) for (each, _), problems in zip(cases, found, strict=True) if each is fault]
        tried(f"runs with a fault: {fault.what}", len(lost), sum(lost))
    problems = [problem for problems in found for problem in problems]
    assert not problems, "\n".join([f"{len(problems)} problems", *problems])
