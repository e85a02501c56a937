"""Import tasks into a doccano project, label them, and export it in all formats; run by the interpreter that has doccano.

Arguments: the tasks (JSONL), the type of project, the labels of each task (JSON; names, or spans ``[start, end, name]``), and an existing folder.
Nothing of doccano is replaced: the tasks go through its importer into a database, the files come from its exporter.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import Any


def start(database: Path) -> None:
    """Set doccano up on an empty database."""
    import backend

    folder = database.parent
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings.development", "DATABASE_URL": f"sqlite:///{database}", "FILEPOND_TEMP": str(folder)}
    sys.path.insert(0, str(Path(backend.__file__).parent))
    logging.disable(logging.WARNING)
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("create_roles", verbosity=0)


def annotated(tasks: str, kind: str, plan: list[list[Any]]) -> Any:
    """Make a project of tasks, with the labels of each."""
    from data_import.datasets import load_dataset
    from data_import.pipeline.catalog import create_file_format
    from data_import.pipeline.readers import FileName
    from django.contrib.auth.models import User
    from examples.models import Example
    from label_types.models import CategoryType, SpanType
    from labels.models import Category, Span
    from projects.models import SequenceLabelingProject, TextClassificationProject

    user = User.objects.create(username="annotator")
    project_class = SequenceLabelingProject if kind == "SequenceLabeling" else TextClassificationProject
    project = project_class.objects.create(name="consent", project_type=kind, created_by=user, collaborative_annotation=True)
    dataset = load_dataset(kind, create_file_format("JSONL"), [FileName(tasks, tasks, Path(tasks).name)], project, encoding="utf_8")
    dataset.save(user)
    if dataset.errors:
        sys.exit(str([error.dict() for error in dataset.errors]))
    for example, labels in zip(Example.objects.filter(project=project).order_by("id"), plan, strict=True):
        for label in labels:
            if isinstance(label, list):
                name, _ = SpanType.objects.get_or_create(project=project, text=label[2])
                Span.objects.create(example=example, user=user, label=name, start_offset=label[0], end_offset=label[1])
            else:
                name, _ = CategoryType.objects.get_or_create(project=project, text=label)
                Category.objects.create(example=example, user=user, label=name)
    return project


def export(project: Any, file_format: str, folder: Path) -> None:
    """Export a project, as doccano's own task does that serves a download."""
    from data_export.models import ExportedExample
    from data_export.pipeline.dataset import Dataset
    from data_export.pipeline.factories import create_comment, create_formatter, create_labels, create_writer
    from data_export.pipeline.services import ExportApplicationService

    examples = ExportedExample.objects.filter(project=project).order_by("id")
    dataset = Dataset(examples, create_labels(project, examples), create_comment(examples), project.is_text_project)
    writer = create_writer(file_format)
    service = ExportApplicationService(dataset, create_formatter(project, file_format), writer)
    service.export(str(folder / f"{project.project_type}.{writer.extension}"))


if __name__ == "__main__":
    given, project_type, labels_of, target = sys.argv[1:]
    start(Path(target).resolve() / f"{project_type}.sqlite3")
    made = annotated(given, project_type, json.loads(Path(labels_of).read_text()))
    for form in ["JSONL"] if project_type == "SequenceLabeling" else ["JSONL", "CSV", "JSON", "fastText"]:
        export(made, form, Path(target))
