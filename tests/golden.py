"""What the shipped model says of documents of ours, kept in ``tests/golden.jsonl``; make it again after a fit: ``python -m tests.golden --update``.

Its first line names the model and the tolerance; each other one a document, by the digest of its text, with its verdict, the places that are removed,
and the log-odds of each paragraph that has text. Everything else that must be the same everywhere is hashed: `everything`, ``python -m tests.golden``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from detector import Detector
from detector.corpus import written
from detector.files import digest_of
from detector.persistence import SHIPPED
from tests.conftest import CASES, DATA, joined_lines

GOLDEN: Final = CASES.parent / "golden.jsonl"
TOLERANCE: Final = 1e-6
"""Of log-odds, between versions of numpy and machines: their exp and log1p may differ in the last bit. On one machine all is equal to the bit."""
DOCUMENTS: Final = 5
"""So many documents of each language of data/validation, so that the file stays below 100 kB."""
DECIMALS: Final = 7


def texts() -> list[str]:
    """Documents of data/validation, of the cases and the example: 61 languages, joined lines, known failures."""
    found = [(DATA / "example.txt").read_text(encoding="utf-8")]
    for path in sorted((DATA / "validation").glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            found += ["\n".join(p["text"] for p in json.loads(line)["paragraphs"]) for line in islice(lines, DOCUMENTS)]
    for path in sorted(CASES.glob("*.jsonl")):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found += ["\n".join(text for _, text in row["lines"]) for row in rows if "lines" in row]
    return list(dict.fromkeys(found + joined_lines()))


def read_rows() -> list[dict[str, Any]]:
    """The file: model and tolerance, then a row for each document."""
    return [json.loads(line) for line in GOLDEN.read_text(encoding="utf-8").splitlines()]


def row_of(detector: Detector, text: str) -> dict[str, Any]:
    """What the file says of a document."""
    document = detector.filter(text)
    log_odds = [round(e.log_odds, DECIMALS) for e in detector.explain(text)]
    removed = [[p.start, p.end] for p in document.removed]
    return {"text": digest(text), "verdict": document.verdict, "removed": removed, "log_odds": log_odds}


def digest(text: str) -> str:
    """Enough of a text's digest to tell it from the others."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def differences(detector: Detector, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Where the detector says something else than the rows do, beyond the tolerance."""
    known = {digest(text): text for text in texts()}
    found = []
    for row in rows:
        if row["text"] not in known:
            found.append(f"{row['text']}: no document has this digest now")
            continue
        text = known[row["text"]]
        now = row_of(detector, text)
        near = len(row["log_odds"]) == len(now["log_odds"])
        near = near and all(abs(a - b) <= TOLERANCE for a, b in zip(row["log_odds"], now["log_odds"], strict=True))
        if not near or (row["verdict"], row["removed"]) != (now["verdict"], now["removed"]):
            found.append(f"{text[:40]!r}: {now}, expected {row}")
    return found


def results(detector: Detector, documents: Sequence[str]) -> list[tuple[Any, ...]]:
    """Text, verdict, paragraphs and cuts of each document; numbers compare and print to the bit."""
    return [(d.text, d.verdict, d.n_removed, d.paragraphs, d.cuts) for d in detector.filter_batch(documents)]


def everything(detector: Detector, documents: Sequence[str]) -> str:
    """Digest of all that the detector says of the documents, to the bit: filtered, each line alone, explained."""
    hashed = hashlib.sha256(repr(results(detector, documents)).encode("utf-8", "surrogatepass"))
    hashed.update(detector.predict_proba([line for text in documents for line in text.split("\n")]).tobytes())
    hashed.update(repr([detector.explain(text) for text in documents[::50]]).encode("utf-8", "surrogatepass"))
    return hashed.hexdigest()


def main() -> None:
    """Write the file, or count what differs from it, or print the digest of everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help=f"write {GOLDEN.name} anew for the shipped model")
    parser.add_argument("--check", action="store_true", help="print how many documents differ from it, beyond the tolerance")
    args = parser.parse_args()
    detector = Detector.load()
    if args.check:
        print(len(differences(detector, read_rows()[1:])))
        return
    if not args.update:
        print(everything(detector, texts()))
        return
    rows = [row_of(detector, text) for text in texts()]
    with written(str(GOLDEN)) as out:
        for row in ({"model": digest_of(str(SHIPPED)), "tolerance": TOLERANCE}, *rows):
            out.write(json.dumps(row, separators=(",", ":")) + "\n")
    print(f"{GOLDEN.name}: {len(rows)} documents, {sum(len(row['log_odds']) for row in rows):,} paragraphs, {GOLDEN.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
