"""Hugging Face datasets: ``dataset.with_format("arrow").map(ConsentFilter(), batched=True)``, in memory or streaming."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

from detector import __version__
from detector.adapters.arrow import ArrowFilter
from detector.persistence import SHIPPED


@dataclass(frozen=True)
class ConsentFilter(ArrowFilter):
    """A callable for ``Dataset.map`` and ``IterableDataset.map`` with ``batched=True`` on a dataset in Arrow's format.

    In Python's format a column of lists that are all empty in the first thousand rows would be given the type null, and the first list with
    something in it would stop the run; Arrow's format states the type. Parameters are those of `ArrowFilter`.

    Attributes
    ----------
    made_of : str
        Release and digest of the model file. `Dataset.map` hashes it with the parameters, so that a result in its cache is found by the next process,
        and not found once the model is another.
    """

    made_of: str = field(init=False, default="")
    ASK: ClassVar[str] = 'call with_format("arrow") on the dataset, and map with batched=True'

    def __post_init__(self) -> None:
        raw = Path(self.model).read_bytes() if self.model is not None else files("detector").joinpath("model", SHIPPED.name).read_bytes()
        object.__setattr__(self, "made_of", f"{__version__} {sha256(raw).hexdigest()}")
