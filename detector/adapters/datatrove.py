"""datatrove: `ConsentFilter`, a step of a pipeline."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from detector.adapters.arrow import detector_of
from detector.model import THRESHOLDS
from detector.results import removed_spans

try:
    from datatrove.data import Document
    from datatrove.pipeline.filters.base_filter import BaseFilter
except ImportError as error:
    raise ImportError(f"{error.name} is not installed: pip install 'consent-text-detector[datatrove]'") from error


class ConsentFilter(BaseFilter):  # type: ignore[misc]  # the host is no dependency, so it has no types here
    """Take consent text out of ``doc.text``, and drop documents of nothing else if asked to; it pickles without the model.

    The metadata of a document get its ``consent_verdict``. Counts: ``removed_paragraphs``, ``removed_characters`` and those of datatrove's filters.
    A document that is dropped keeps its text, for the exclusion writer, with the reason ``consent_only``.

    Parameters
    ----------
    model : str or path, optional
        A file that every worker can read.
    threshold : {"precision", "balanced", "recall"} or float
    drop_consent_only : bool
    removed_writer, exclusion_writer : datatrove DiskWriter, optional
        The first writes a document for each one that was changed: the same id, what was taken out, and ``consent_spans`` among its metadata. The
        second writes the documents that are dropped.
    batch_size : int
    """

    name = "consent text"

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        threshold: str | float = THRESHOLDS[0],
        drop_consent_only: bool = False,
        removed_writer: Any = None,
        exclusion_writer: Any = None,
        batch_size: int = 1000,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        self.model = None if model is None else os.fspath(model)
        self.threshold, self.drop_consent_only, self.removed_writer = threshold, drop_consent_only, removed_writer
        self.rank = 0

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:  # noqa: D102 - with the class
        self.rank = rank
        with self.removed_writer or nullcontext():
            yield from super().run(data, rank, world_size)

    def filter(self, doc: Any) -> bool | tuple[bool, str]:  # noqa: D102 - datatrove's
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Any]) -> list[bool | tuple[bool, str]]:  # noqa: D102 - datatrove's
        found = detector_of(self.model, self.threshold).filter_batch([doc.text for doc in batch])
        return list(map(self._take, batch, found))

    def _take(self, doc: Any, found: Any) -> bool | tuple[bool, str]:
        doc.metadata["consent_verdict"] = verdict = found.verdict
        if self.drop_consent_only and verdict == "consent_only":
            return False, verdict
        if found.text is not found.original:
            spans = removed_spans(found)
            self.stat_update("removed_paragraphs", value=len(spans))
            self.stat_update("removed_characters", value=len(found.original) - len(found.text))
            if self.removed_writer:
                text = "".join(found.original[s["start"] : s["end"]] for s in spans)
                self.removed_writer.write(Document(text, doc.id, metadata={**doc.metadata, "consent_spans": spans}), self.rank)
            doc.text = found.text
        return True
