"""A model is fitted, adapted, compared and measured where the network is forbidden."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import DATA
from tests.labelled import write
from tests.test_offline import offline
from tests.torture.conftest import Tried


def test_no_command_of_training_wants_the_network(tmp_path: Path, tried: Tried) -> None:
    write(tmp_path / "mine.jsonl", 60)
    labels = str(DATA / "tutorial" / "labels.jsonl")
    fit = ["fit", "--from-scratch", "--labelled", "mine.jsonl", "--no-authored", "--folds", "2", "--bits", "12", "--jobs", "2", "-o", "fitted.joblib"]
    calls = [
        ["fit", "--labelled", labels, "-o", "adapted.joblib", "--force"],
        fit,
        ["split", "mine.jsonl", "-o", "parts"],
        ["evaluate", labels, "--model", "adapted.joblib", "--report", "report.html"],
        ["gate"],
    ]
    for call in calls:
        run, wanted = offline(tmp_path, "-m", "training.cli", *call)
        assert (run.returncode, wanted) == (0, []), (call, run.stderr[-2000:], run.stdout[-500:], wanted)
    tried("commands of training where sockets are forbidden", len(calls))
