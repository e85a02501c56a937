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
    raise ImportError("datatrove is not installed: pip install 'consent-text-detector[datatrove]'") from error


class ConsentFilter(BaseFilter):  # type: ignore[misc]  # the host is no dependency, so it has no types here
    """Take consent text out of ``doc.text``, and drop documents of nothing else if asked to; it pickles without the model.

    The metadata of a document get its ``consent_verdict``; ``removed_paragraphs`` and ``removed_characters`` are counted with what datatrove's filters
    count. A document that is dropped keeps its text, for the exclusion writer, with the reason ``consent_only``.

    Parameters
    ----------
    model : str or path, optional
        A file that every worker can read; by default the model that comes with the package.
    threshold : {"precision", "balanced", "recall"} or float
    drop_consent_only : bool
    removed_writer, exclusion_writer : datatrove DiskWriter, optional
        The first writes a document for each one that was changed: the same id, as text what was taken out, and ``consent_spans`` (start, end,
        probability) in its metadata. The second writes the documents that are dropped.
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
        self.threshold = threshold
        self.drop_consent_only = drop_consent_only
        self.removed_writer = removed_writer
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
            self.stat_update("removed_paragraphs", value=len(found.removed))
            self.stat_update("removed_characters", value=len(found.original) - len(found.text))
            if self.removed_writer:
                metadata = {**doc.metadata, "consent_spans": removed_spans(found)}
                self.removed_writer.write(Document("".join(p.text for p in found.removed), doc.id, metadata=metadata), self.rank)
            doc.text = found.text
        return True
