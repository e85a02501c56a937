"""A model is fitted, adapted, compared and measured where the network is forbidden."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import CASES, DATA
from tests.labelled import write
from tests.test_offline import offline
from tests.torture.conftest import Tried

HTML = """<html><body><script src="https://consent.example/a.js"></script><img src="https://consent.example/a.png">
<main><h1>The harbour</h1><p>The harbour reopens on Monday, the council said on Friday evening after a long debate.</p></main>
<div id="onetrust-banner-sdk"><p>We use cookies to personalise content and ads.</p><button>Accept all cookies</button></div></body></html>"""


def test_no_command_of_training_wants_the_network(tmp_path: Path, tried: Tried) -> None:
    write(tmp_path / "mine.jsonl", 60)
    (tmp_path / "page.html").write_text(HTML, encoding="utf-8")
    labels, pages = (str(DATA / "tutorial" / f"{name}.jsonl") for name in ("labels", "pages"))
    export = str(CASES / "annotations" / "doccano.jsonl")
    calls = {
        "fit": ["--labelled", labels, "-o", "adapted.joblib", "--force"],
        "fit --from-scratch": ["--labelled", "mine.jsonl", "--no-authored", "--folds", "2", "--bits", "12", "--jobs", "2", "-o", "fitted.joblib"],
        "evaluate": [labels, "--model", "adapted.joblib", "--report", "report.html"],
        "split": ["mine.jsonl", "-o", "parts"],
        "describe": ["mine.jsonl"],
        "joined": ["mine.jsonl"],
        "gate": [],
        "suggest": [pages, "-n", "5", "-o", "tasks.jsonl"],
        "import": [export, "-o", "imported.jsonl"],
        "label-html": ["page.html", "-o", "labelled.jsonl"],
    }
    for name, options in calls.items():
        run, wanted = offline(tmp_path, "-m", "training.cli", *name.split(), *options)
        assert (run.returncode, wanted) == (0, []), (name, run.stderr[-2000:], run.stdout[-500:], wanted)
    tried("commands of training where sockets are forbidden", len(calls))
