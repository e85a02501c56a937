"""Our tasks go into the tools, and what comes out is what tests/cases/annotations holds, by which plain tests go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from label_studio_sdk.label_interface import LabelInterface

from tests import annotated
from tests.tools.exports import SPAN_INTERFACE, of_doccano, of_label_studio
from training.tasks import INTERFACE

OF_TOOLS = {
    of_label_studio: {"label_studio_min.json", "label_studio.csv", "label_studio_spans_min.json", "label_studio_spans.csv"},
    of_doccano: {"doccano.jsonl", "doccano.json", "doccano.csv", "doccano.txt", "doccano_spans.jsonl"},
}


@pytest.mark.parametrize("export", OF_TOOLS)
def test_the_tools_write_what_the_committed_files_hold(export: object, tmp_path: Path) -> None:
    made, scratch = tmp_path / "made", tmp_path / "scratch"
    made.mkdir()
    scratch.mkdir()
    for run, names in OF_TOOLS.items():
        if run is export:
            run(made, scratch)
            for name in names:
                assert (made / name).read_bytes() == (annotated.EXPORTS / name).read_bytes(), name


def test_label_studio_has_nothing_against_our_tasks_and_annotations() -> None:
    interface = LabelInterface(INTERFACE)
    for task in json.loads(annotated.tasks("label-studio")):
        assert interface.validate_task({"data": task["data"]})
        assert all(interface.validate_prediction(prediction) for prediction in task["predictions"])
    for task in annotated.label_studio_export():
        for annotation in task["annotations"]:
            is_of_interface = '"button"' not in json.dumps(annotation)  # which has no choice of that name: it does look
            assert interface.validate_annotation(annotation) == is_of_interface
    spans = LabelInterface(SPAN_INTERFACE)
    assert all(spans.validate_task({"data": task["data"]}) for task in annotated.label_studio_document())
