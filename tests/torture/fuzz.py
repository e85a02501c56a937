"""A coverage-guided fuzzer (atheris) on one target: ``python -m tests.torture.fuzz TARGET SECONDS FOLDER``.

What it finds ends the process with an exit code and a traceback, and stays in FOLDER as ``crash-...``; ``python -m tests.torture.fuzz TARGET 0 FILE``
runs that file again.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

with atheris.instrument_imports(include=["detector"]):
    from detector import Detector, ModelError
    from detector.corpus import CorpusError, Format, read_units
    from detector.features import utf8
    from detector.persistence import save_model
    from detector.results import OUTPUTS, Options, changed_rows, filter_unit

from tests.conftest import cases, joined_lines
from tests.test_persistence import small_model
from tests.test_run import warc
from tests.torture.invariants import check_document

MOST_BYTES = 4096
"""Of an input: short ones are tried more often."""
LIMIT = 2000
"""Bytes of a document that the readers take, so that this is tried too."""
detector = Detector.load()
folder = Path()


def check_text(data: bytes) -> None:
    """Filter bytes as text: each that is no UTF-8 is a lone surrogate. What is compiled does what numpy does."""
    text = data.decode("utf-8", "surrogateescape")
    check_document(detector, text, explained=len(data) < 300)
    by_numpy = detector.model.score_lines_by_numpy(utf8(text))
    assert all(np.array_equal(one, other) for one, other in zip(detector.model.score_lines(utf8(text)), by_numpy, strict=True))


def check_file(data: bytes, file_format: Format, suffix: str = "") -> None:
    """Read bytes as a file and filter it with some options; the only error is `CorpusError`, and no row is lost."""
    path = folder / f"input{suffix}"
    path.write_bytes(data)
    outputs = OUTPUTS if file_format != "parquet" else OUTPUTS[:3]
    for output in outputs:
        options = Options(output, drop_consent_only=len(data) % 2 == 0, skip_errors=True, max_document_bytes=LIMIT)
        name = f"out{'.wet' if file_format == 'wet' and output == 'text' else '.parquet' if file_format == 'parquet' else '.jsonl'}"
        try:
            for unit in read_units(str(path), file_format, "text", LIMIT):
                result = filter_unit(detector, unit, options, name, list_removed=True)
                assert result.passed + result.counts["documents"] == unit.n_rows
                assert result.counts["documents"] == result.counts["written"] + result.counts["dropped"] + result.counts["errors"]
                if file_format == "parquet":
                    assert changed_rows(unit.rows, result.rows, options).num_rows == result.counts["written"]
                elif name.endswith("jsonl") and file_format != "text":
                    assert result.rows.count(b"\n") == result.counts["written"]
        except CorpusError as error:
            if not str(error).startswith(str(path)):
                raise


def check_packed(data: bytes, pack: Callable[[bytes], bytes], suffix: str) -> None:
    """Bytes that are packed, and every other time bytes in place of a packed file."""
    check_file(pack(data[1:]) if data[:1] < b"\x80" else data[1:], "jsonl", suffix)


def check_model(data: bytes) -> None:
    """Bytes as what a model unpacks to; it is refused, or works."""
    path = folder / "model.joblib"
    path.write_bytes(zlib_of(data))
    try:
        loaded = Detector.load(path)
    except ModelError:
        return
    check_document(loaded, TEXTS[0], explained=False)


def zlib_of(data: bytes) -> bytes:
    """Packed with a checksum that is right, which a fuzzer would not find."""
    import zlib  # noqa: PLC0415 - not instrumented

    return zlib.compress(data, 0)


TEXTS = [
    "The harbour reopens on Monday.\n\nWe use cookies to personalise ads.\nAccept allReject all\n",
    *joined_lines()[:9],
    "\ufeff\u00ad\n\u2028\r\n\x00",
]
LINES = [json.dumps({"id": i, "text": text}) for i, text in enumerate(TEXTS)]
ODD_LINES = [
    '{"text": "\\ud800", "text": "x"}',
    '{"text": null}',
    "[1]",
    '{"text": "a", "id": 1e999, "n": NaN}',
    '{"text": "We\\u0020use\\/cookies", "consent_spans": []}',
]


def table(texts: list[Any], **options: Any) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table({"id": list(range(len(texts))), "text": texts}), out, **options)
    return out.getvalue()


def model() -> bytes:
    """What a good model unpacks to."""
    import zlib  # noqa: PLC0415 - not instrumented

    save_model(small_model(), folder / "good.joblib")
    return zlib.decompress((folder / "good.joblib").read_bytes())


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], list[bytes]]]] = {
    "filter": (
        check_text,
        lambda: [text.encode("utf-8", "surrogatepass") for text in [*TEXTS, *(case["text"] for case in cases("boilerplate")[:40])]],
    ),
    "text": (lambda data: check_file(data, "text"), lambda: [text.encode() for text in TEXTS]),
    "JSONL": (lambda data: check_file(data, "jsonl"), lambda: ["\n".join(LINES[:3]).encode(), *(line.encode() for line in [*LINES, *ODD_LINES])]),
    "WET": (lambda data: check_file(data, "wet"), lambda: [warc(*TEXTS[:2]), warc(""), warc(TEXTS[0]).replace(b"\r\n", b"\n")]),
    "Parquet": (
        lambda data: check_file(data, "parquet"),
        lambda: [table(TEXTS[:2]), table(["", None]), table([1, 2]), table([["a"]]), table(TEXTS[:1], compression="none", use_dictionary=False)],
    ),
    "gzip": (
        lambda data: check_packed(data, gzip.compress, ".gz"),
        lambda: [b"\x00" + "\n".join(LINES[:3]).encode(), b"\xff" + gzip.compress(LINES[0].encode())],
    ),
    "Zstandard": (
        lambda data: check_packed(data, zstandard.compress, ".zst"),
        lambda: [
            b"\x00" + "\n".join(LINES[:3]).encode(),
            b"\xff" + zstandard.compress(LINES[0].encode()) * 2,
            b"\xff" + zstandard.compress(bytes(9999)),
        ],
    ),
    "model": (check_model, lambda: [model()]),
}


def main() -> None:
    """Fuzz one target, or run one file again."""
    global folder  # noqa: PLW0603 - the fuzzer calls a target with bytes alone
    name, seconds, place = sys.argv[1:]
    warnings.simplefilter("error")
    target, seeds = TARGETS[name]
    if seconds == "0":
        folder = Path(place).parent
        target(Path(place).read_bytes())
        return
    folder = Path(place)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for i, seed in enumerate(seeds()):
        (corpus / f"seed-{i}").write_bytes(seed)
    limits = [f"-max_total_time={seconds}", f"-max_len={MOST_BYTES if name != 'model' else 1 << 14}", "-timeout=20", "-rss_limit_mb=4096", "-seed=8"]
    atheris.Setup([sys.argv[0], *limits, "-print_final_stats=1", f"-artifact_prefix={folder}/", str(corpus)], target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
