"""Ray Data: ``dataset.map_batches(ConsentFilter, batch_format="pyarrow", concurrency=8)``, one model for each actor."""

from __future__ import annotations

from typing import ClassVar

from detector.adapters.arrow import ArrowFilter


class ConsentFilter(ArrowFilter):
    """A class for ``Dataset.map_batches``: an actor makes one, and it loads the model at its first batch; batches are read, never written to.

    Its parameters are those of `ArrowFilter`; Ray takes them as ``fn_constructor_kwargs={"drop_consent_only": True}``.
    """

    ASK: ClassVar[str] = 'give map_batches batch_format="pyarrow"'
