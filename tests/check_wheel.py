"""Build the wheel, install it alone in an empty environment elsewhere, filter a document with it, and adapt its model.

Run by ``make wheel``. The environment is kept and made anew only when the wheel's bytes change, so that a second run takes seconds.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = "The harbour reopens on Monday, the council said.\n\nWe use cookies to personalise content and ads.\nAccept all cookies\n"


def main() -> None:
    """Fail with a message where the wheel is not what it should be."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", folder, str(ROOT)], check=True, stdout=subprocess.DEVNULL)
        (wheel,) = Path(folder).glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        assert {"detector/model/consent.joblib", "training/data/floors.json", "training/data/cases/article.jsonl"} <= set(names), names
        assert not [n for n in names if not n.startswith(("detector/", "training/", "consent_text_detector-"))], names
        environment = Path(tempfile.gettempdir()) / f"consent-text-detector-{hashlib.sha256(wheel.read_bytes()).hexdigest()[:16]}"
        python = environment / "bin" / "python"
        if not (environment / "installed").exists():
            venv.create(environment, with_pip=True, clear=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)], check=True)
            (environment / "installed").touch()
    page = subprocess.run(
        [environment / "bin" / "consent-detector", "review", "-", "-o", "-"], input=PAGE, cwd=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "The harbour reopens on Monday" in page
    command: list[str | Path] = [environment / "bin" / "consent-detector", "filter", "-"]
    out = subprocess.run(command, input=PAGE, cwd=environment, capture_output=True, text=True, check=True).stdout
    assert out == "The harbour reopens on Monday, the council said.\n\n", out
    labelled = environment / "labelled.jsonl"
    shutil.copy(ROOT / "data" / "tutorial" / "labels.jsonl", labelled)
    command = [environment / "bin" / "consent-training", "fit", "--labelled", labelled, "-o", environment / "mine.joblib", "--force"]
    report = subprocess.run(command, cwd=environment, capture_output=True, text=True, check=True).stdout
    assert "the gate: of " in report, report
    print(f"the wheel ({len(names)} files) filters a document in {environment}, and is adapted to labels there")


if __name__ == "__main__":
    main()
