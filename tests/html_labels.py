"""Hold ``label-html`` against hand labels of saved pages inside pinned packages: ``python -m tests.html_labels``.

``data/html_packages.json`` pins packages of text extractors and form finders that carry saved pages; ``data/html_labels.jsonl.gz`` has the labels of their
lines, without a word of the text: package, path, digest of the lines, run-length labels as in `training.facts`. What nobody judged is "u". The
rules were chosen by the packages of the set "tuned"; those of "held out" were labelled when the rules stood.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final

from training.containers import read_containers
from training.facts import labels_of
from training.packages import Package, contents, default_cache, fetch, read_pins
from training.places import DATA
from training.saved_pages import label_page

PAGES: Final = [r".*\.html?"]
DIALOGUE: Final = ("banner", "preference", "button", "opt_out", "wall", "embed")


def measure(package: Package, path: Path, facts: dict[tuple[str, str], dict[str, Any]]) -> Counter[str]:
    """Counts of one package: by what a line was called and by what it is."""
    tables = read_containers(DATA / "containers.csv")
    counts: Counter[str] = Counter()
    for name, data in contents(path, PAGES).items():
        page = label_page(data, tables)
        counts["pages"] += 1
        called = [line.label for line in page.lines]
        counts["pages with consent text"] += "boilerplate" in called
        fact = facts.get((package.name, name))
        if fact and fact["sha256"] != hashlib.sha256("\n".join(line.text for line in page.lines).encode("utf-8", "surrogatepass")).hexdigest():
            counts["pages of other lines"] += 1
            continue
        labels: list[Any] = labels_of(fact["labels"]) if fact else [None] * len(called)
        for line, label in zip(page.lines, labels, strict=True):
            truth = "unjudged" if label is None or label["label"] == "unsure" else label["label"]
            counts[f"{line.label} called, {truth}"] += 1
            if truth == "boilerplate":
                group = "dialogues" if label and label.get("kind") in DIALOGUE else "forms"
                counts[f"{group} found" if line.label == "boilerplate" else f"{group} missed"] += 1
    return counts


def share(part: int, whole: int) -> str:
    """A share with its counts."""
    return f"{part / whole:.3f} ({part:,} of {whole:,})" if whole else "none"


def main() -> int:
    """Print the figures; exit code 1 if a package can't be had or has other pages than were labelled."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR", help="where packages are kept (default: %(default)s)")
    args = parser.parse_args()
    with gzip.open(DATA / "html_labels.jsonl.gz", "rt", encoding="utf-8") as lines:
        facts = {(fact["package"], fact["page"]): fact for fact in map(json.loads, lines)}
    totals: dict[str, Counter[str]] = {}
    for package in read_pins(DATA / "html_packages.json"):
        counts = measure(package, fetch(package, args.cache), facts)
        print(f"{package} ({package.set}): {counts['pages']:,} pages", file=sys.stderr, flush=True)
        totals.setdefault(package.set, Counter()).update(counts)
        totals.setdefault("all", Counter()).update(counts)
    for part, n in sorted(totals.items()):
        right, wrong = n["boilerplate called, boilerplate"], n["boilerplate called, article"] + n["boilerplate called, other"]
        own, chrome, consent = (n[f"article called, {truth}"] for truth in ("article", "other", "boilerplate"))
        print(f"{part}: {n['pages']:,} pages, {n['pages with consent text']:,} with consent text")
        print(f"  called boilerplate and it is: {share(right, right + wrong)}, and {n['boilerplate called, unjudged']:,} that nobody judged")
        print(
            f"  called article and no consent text: {share(own + chrome, own + chrome + consent)}; the page's own content: {share(own, own + chrome)}"
        )
        for group in ("dialogues", "forms"):
            print(f"  found of {group}: {share(n[f'{group} found'], n[f'{group} found'] + n[f'{group} missed'])}")
        print(f"  pages with other lines than were labelled: {n['pages of other lines']:,}")
    return int(totals["all"]["pages of other lines"] > 0)


if __name__ == "__main__":
    sys.exit(main())
