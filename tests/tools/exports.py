"""Export our annotated tasks with the tools themselves; ``python -m tests.tools.exports`` writes them to tests/cases/annotations."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from label_studio_sdk.converter import Converter

from tests import annotated
from training.tasks import INTERFACE

ROOT = Path(__file__).parent.parent.parent
DOCCANO = ROOT / ".venv-doccano" / "bin" / "python"
SPAN_INTERFACE = '<View><Labels name="label" toName="text"><Label value="boilerplate"/></Labels><Text name="text" value="$text"/></View>'


def of_label_studio(folder: Path, scratch: Path) -> None:
    """JSON as its server keeps tasks, and what its converter makes of that."""
    for name, interface, tasks in (
        ("label_studio", INTERFACE, annotated.label_studio_export()),
        ("label_studio_spans", SPAN_INTERFACE, annotated.label_studio_document()),
    ):
        whole = folder / f"{name}.json"
        whole.write_text(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        converter = Converter(interface, str(scratch), download_resources=False)
        for form, result, target in (("JSON_MIN", "result.json", f"{name}_min.json"), ("CSV", "result.csv", f"{name}.csv")):
            converter.convert(str(whole), str(scratch / f"{name}_{form}"), form, is_dir=False)
            (folder / target).write_bytes((scratch / f"{name}_{form}" / result).read_bytes())


def of_doccano(folder: Path, scratch: Path) -> None:
    """What doccano exports of a project into which our tasks were imported."""
    document = json.dumps({"text": annotated.DOCUMENT, "label": []}) + "\n"
    for kind, name, tasks, plan in (
        ("DocumentClassification", "doccano", annotated.tasks("doccano"), [labels for _, labels in annotated.TEXTS]),
        ("SequenceLabeling", "doccano_spans", document, [annotated.SPANS]),
    ):
        (scratch / "tasks.jsonl").write_text(tasks, encoding="utf-8")
        (scratch / "plan.json").write_text(json.dumps(plan))
        script = Path(__file__).with_name("doccano_project.py")
        subprocess.run([DOCCANO, "-W", "ignore", script, "tasks.jsonl", kind, "plan.json", "."], cwd=scratch, check=True, capture_output=True)
        for path in scratch.glob(f"{kind}.*"):
            if path.suffix != ".sqlite3":
                (folder / f"{name}{path.suffix}").write_bytes(path.read_bytes())


if __name__ == "__main__":
    import tempfile

    for export in (of_label_studio, of_doccano):
        with tempfile.TemporaryDirectory() as made:
            annotated.EXPORTS.mkdir(exist_ok=True)
            export(annotated.EXPORTS, Path(made))
