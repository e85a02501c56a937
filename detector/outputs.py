"""Write what came of a job, and show how far a run is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import IO, Any, Final

from detector.corpus import Unit
from detector.files import CorpusError, extra, open_bytes, packed, size_of
from detector.jobs import Job
from detector.results import COUNTS, Options, Result, changed_rows

ROW_GROUP_BYTES: Final = 64_000_000
"""A row group of a Parquet output ends where one of the input does, or at this size of its rows in memory."""


class PlainOutput:
    """An output of bytes, which come as they are to be stored."""

    def __init__(self, stored: IO[bytes], job: Job, _: Options) -> None:
        self._stored = stored
        self._name = job.output
        self._is_empty = True

    def write(self, _: Unit, result: Result) -> None:
        """Write what came of a unit."""
        self._stored.write(result.rows)
        self._is_empty = self._is_empty and not result.rows

    def close(self) -> None:
        """End the file: an empty one is packed too."""
        if self._is_empty:
            self._stored.write(packed(b"", self._name))


class ParquetOutput:
    """A Parquet output with the row groups and the compression of its input."""

    def __init__(self, stored: IO[bytes], job: Job, options: Options) -> None:
        self._parquet = extra("pyarrow.parquet", f"{job.path}: Parquet")
        self._stored = stored
        self._options = options
        try:
            with open_bytes(job.path) as file:
                facts = self._parquet.read_metadata(file)
        except (OSError, extra("pyarrow", "Parquet").ArrowException) as error:  # it has been read, but is another now
            raise CorpusError(f"{job.path}: can't be read ({getattr(error, 'strerror', None) or error})") from error
        name = facts.row_group(0).column(0).compression if facts.num_row_groups else "SNAPPY"
        self._compression = {"UNCOMPRESSED": "NONE", "LZ4_RAW": "LZ4"}.get(name, name)
        self._writer: Any = None
        self._waiting: list[Any] = []

    def write(self, unit: Unit, result: Result) -> None:
        """Write what came of a unit; row groups end where those of the input do."""
        rows = changed_rows(unit.rows, result.rows, self._options)
        if self._writer is None:
            self._writer = self._parquet.ParquetWriter(self._stored, rows.schema, compression=self._compression)
        self._waiting.append(rows)
        if unit.ends_group or sum(waiting.nbytes for waiting in self._waiting) >= ROW_GROUP_BYTES:
            table = extra("pyarrow", "Parquet").Table.from_batches(self._waiting)
            self._waiting = []
            if table.num_rows:
                self._writer.write_table(table, table.num_rows)

    def close(self) -> None:
        """Write the footer."""
        if self._writer:
            self._writer.close()


class Progress:
    """Progress over the stored bytes of all inputs, with documents a second and the share of characters removed; none if `bar` is None."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._before = 0
        self._counts = dict.fromkeys(COUNTS, 0)

    def show(self, stored: int, counts: dict[str, int], *, ends: bool = False) -> None:
        """Take note of the position in a file, and of counts of what has come since."""
        if self._bar is None:
            return
        for name, n in counts.items():
            self._counts[name] += n
        seconds = max(self._bar.format_dict["elapsed"], 1e-9)
        share = self._counts["characters"] / max(self._counts["characters_read"], 1)
        self._bar.set_postfix_str(f"{self._counts['documents'] / seconds:,.0f} documents/s, {share:.1%} removed", refresh=False)
        self._bar.update(max(stored - self._before, 0))
        self._before = 0 if ends else stored


@contextmanager
def showing(jobs: Sequence[Job]) -> Iterator[Progress]:
    """Show progress if standard error is a terminal and tqdm is installed."""
    if not sys.stderr.isatty() or not find_spec("tqdm"):
        yield Progress(None)
        return
    total = sum(size_of(job.path) or 0 for job in jobs) or None
    with extra("tqdm", "progress").tqdm(total=total, unit="B", unit_scale=True, file=sys.stderr) as bar:
        yield Progress(bar)
