"""Load many bad model files in a process that is watched, and say which of them did what they should not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.torture.hostile_models import Hostile

SECONDS = 1.0
"""Of the processor, at most, to refuse a file."""
MEGABYTES = 200
"""By which the memory may grow meanwhile, above what Python, numpy and the modules take before (about 60)."""
LONGEST_MESSAGE = 600


def load_all(folder: Path, good: Path, hostile: Sequence[Hostile]) -> list[dict[str, Any]]:
    """Load each file in a process of its own kind (`load_models`); a file that ends the process is reported, and another process goes on behind it."""
    paths = [folder / f"hostile-{i}.joblib" for i in range(len(hostile))]
    for path, (*_, raw, _) in zip(paths, hostile, strict=True):
        path.write_bytes(raw)
    return load_paths(good, paths)


def load_paths(good: Path, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """Load these files; their reports, in order."""
    reports: list[dict[str, Any]] = []
    while len(reports) < len(paths):
        names = "\n".join(map(str, [good, *paths[len(reports) :], good]))
        run = subprocess.run([sys.executable, "-m", "tests.torture.load_models"], input=names, capture_output=True, text=True, check=False)
        rows = [json.loads(line) for line in run.stdout.splitlines()]
        assert rows, run.stderr
        assert (rows[0]["outcome"], rows[0]["events"], rows[0].get("finite")) == ("loaded", [], True), rows[0]
        if run.returncode:
            reports += [*rows[1:], {"outcome": f"ended the process with {run.returncode}", "message": run.stderr[-300:]}]
        else:
            reports += rows[1:-1]
            assert rows[-1]["results"] == rows[0]["results"], "a bad file has changed how a good model is loaded"
    return reports


def faults_of(hostile: Sequence[Hostile], reports: Sequence[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Kind, name and fault of each file that was not dealt with as promised."""
    found = []
    for (kind, name, _, may_load), report in zip(hostile, reports, strict=True):
        outcome, is_refused = report["outcome"], report["outcome"] == "refused"
        if not is_refused and not (outcome == "loaded" and may_load):
            found.append((kind, name, f"{outcome}: {report['message']}"))
        elif outcome == "loaded" and report["finite"] is not True:
            found.append((kind, name, f"gives results that are not finite ({report['finite']})"))
        elif report["events"]:
            found.append((kind, name, f"does {report['events'][:3]}"))
        elif is_refused and report["seconds"] > SECONDS:
            found.append((kind, name, f"takes {report['seconds']:.2f} seconds"))
        elif report["megabytes"] > MEGABYTES and is_refused:
            found.append((kind, name, f"takes {report['megabytes']:.0f} MB"))
        elif report["length"] > LONGEST_MESSAGE or not report["message"].isprintable():
            found.append((kind, name, f"has the message {report['message']!r}"))
    return found
