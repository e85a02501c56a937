"""The command ``consent-training label-html``: labelled documents from saved web pages, by the elements that their lines stand in."""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from detector.corpus import CorpusError, json_line, written
from training.containers import Rule, Rules, read_containers
from training.dataset import CONTEXT_CHARACTERS, DatasetError
from training.page_files import SavedPage, saved_pages
from training.places import DATA
from training.saved_pages import Line, Page, label_page

EXAMPLES: Final = 3
"""So many texts of a rule stand in the report; the printed table has the first."""
SHOWN: Final = 70
EVERY: Final = 1000
"""Pages between two lines of progress."""


@dataclass
class Taken:
    """What a rule took, or why it did not."""

    rule: Rule
    refused: str = ""
    paragraphs: int = 0
    pages: int = 0
    examples: list[str] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Row of the report."""
        label = f"not taken: {self.refused}" if self.refused else self.rule.label
        return {
            "label": label,
            "of": self.rule.of,
            "kind": self.rule.kind or "",
            "rule": self.rule.selector,
            "line": self.rule.order,
            "paragraphs": self.paragraphs,
            "pages": self.pages,
            "examples": self.examples,
        }


class Report:
    """Counts of what was taken, by rule."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._taken: dict[tuple[Rule, str], Taken] = {}

    def add(self, page: Page) -> None:
        """Count a page."""
        seen = set()
        for line in page.lines:
            self.counts[line.label] += 1
            if line.rule is None:
                continue
            taken = self._of(line.rule, "")
            taken.paragraphs += 1
            taken.pages += line.rule not in seen
            seen.add(line.rule)
            if len(taken.examples) < EXAMPLES and line.text not in taken.examples:
                taken.examples.append(line.text)
        for rule, why in dict.fromkeys(page.refused):
            self._of(rule, why).pages += 1

    def _of(self, rule: Rule, refused: str) -> Taken:
        return self._taken.setdefault((rule, refused), Taken(rule, refused))

    def rows(self) -> list[dict[str, Any]]:
        """Rules of consent text first, then those of main content, then containers that were not taken; the most frequent first."""
        order = {"boilerplate": 0, "article": 1}
        return sorted((t.row() for t in self._taken.values()), key=lambda row: (order.get(row["label"], 2), -row["paragraphs"], -row["pages"]))


class Contexts:
    """Contexts seen so far; a text that has another label between the same neighbours than on an earlier page is left out: `fit` would refuse it."""

    def __init__(self) -> None:
        self._seen: dict[bytes, bool] = {}

    def settle(self, lines: list[Line]) -> int:
        """Make contradicting lines "unsure", in place; returns how many."""
        n = 0
        for i in range(1, len(lines) - 1):
            line = lines[i]
            texts = [near.text for near in lines[i - 1 : i + 2]]
            if line.label == "unsure" or sum(map(len, texts)) < CONTEXT_CHARACTERS:
                continue
            key = hashlib.blake2b("\n".join(texts).encode("utf-8", "surrogatepass"), digest_size=12).digest()
            if self._seen.setdefault(key, line.label == "boilerplate") != (line.label == "boilerplate"):
                lines[i] = Line(line.text, "unsure")
                n += 1
        return n


def documents(pages: Iterable[SavedPage], tables: dict[str, Rules], report: Report, errors: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Label saved pages.

    Parameters
    ----------
    pages : iterable of SavedPage
    tables : dict of str to Rules
        As `training.containers.read_containers` gives them.
    report : Report
        Counts what is taken.
    errors : list of str or None
        Is given what can't be parsed; None to stop there.

    Yields
    ------
    dict
        Labelled document, as `training.dataset.read_documents` reads it; of a page on which nothing was taken, none.
    """
    contexts = Contexts()
    for saved in pages:
        try:
            page = label_page(saved.html, tables)
        except DatasetError:  # lxml is missing
            raise
        except (ValueError, AssertionError, SyntaxError) as error:  # what lxml raises of pages that it can't hold
            if errors is None:
                raise CorpusError(f"{saved.id}: can't be parsed ({error}); --on-error skip goes on without it") from error
            errors.append(f"{saved.id}: can't be parsed ({error})")
            continue
        report.counts["contradictions"] += contexts.settle(page.lines)
        report.counts["pages"] += 1
        report.add(page)
        if report.counts["pages"] % EVERY == 0:
            print(f"{report.counts['pages']:,} pages, {report.counts['boilerplate']:,} consent paragraphs", file=sys.stderr, flush=True)
        labels = {line.label for line in page.lines}
        report.counts["with consent text"] += "boilerplate" in labels
        if labels <= {"unsure"}:
            report.counts["nothing taken"] += 1
            continue
        rows = [{"text": line.text, "label": line.label, **({"kind": line.kind} if line.kind else {})} for line in page.lines]
        site = page.site or saved.site
        yield {"id": saved.id, "lang": page.lang, "source": "html", **({"site": site} if site else {}), "paragraphs": rows}


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    r"""Lines of the printed table.

    Examples
    --------
    >>> taken = {"label": "boilerplate", "of": "Klaro", "rule": ".klaro", "paragraphs": 4, "pages": 1, "examples": ["We use cookies."]}
    >>> print(*table([taken]), sep="\n")
    paragraphs   pages  label        rule                                      example
             4       1  boilerplate  Klaro .klaro                              We use cookies.
    """
    lines = [f"{'paragraphs':>10s} {'pages':>7s}  {'label':11s}  {'rule':40s}  example"]
    for row in rows:
        rule = f"{row['of']} {row['rule']}"
        rule = rule if len(rule) <= 40 else rule[:37] + "..."
        example = re.sub(r"\s", " ", row["examples"][0])[:SHOWN] if row["examples"] else row["label"].partition(": ")[2]
        label = row["label"].partition(":")[0]
        lines.append(f"{row['paragraphs']:10,d} {row['pages']:7,d}  {label:11s}  {rule:40s}  {example}")
    return lines


def run(args: argparse.Namespace) -> int:
    """Label saved web pages by the elements that their lines stand in, for fit --labelled.

    Lines inside known consent managers' containers become "boilerplate", hidden ones too, since extractors give them; lines of the main content,
    as the page's own elements mark it, become "article". All others become "unsure": they teach nothing, but stay where they were, because a
    paragraph is judged with its neighbours. A container that holds the main content or most of the page is not taken. The table shows what
    each rule took: read it, with --report for more examples, before you fit. Needs the extra "html".
    """
    errors: list[str] | None = [] if args.on_error == "skip" else None
    report = Report()
    tables = read_containers(args.containers)
    n = 0
    if args.report and not args.report.endswith((".json", ".tsv")):
        raise DatasetError(f"--report {args.report}: expected a name that ends in .json or .tsv")
    with written(args.output) as out:
        for document in documents(saved_pages(args.inputs, args.html_field, errors, args.output), tables, report, errors):
            out.write(json_line(document) + "\n")
            n += 1
    rows = report.rows()
    if args.report:
        _write_report(args.report, rows, report.counts, errors or [])
    print("\n".join(table(rows)))
    for error in errors or []:
        print(f"consent-training: skipped {error}", file=sys.stderr)
    counts = report.counts
    skipped = f", {len(errors):,} can't be read" if errors is not None else ""
    print(
        f"{args.output}: {n:,} documents of {counts['pages']:,} pages ({counts['with consent text']:,} with consent text, "
        f"nothing taken on {counts['nothing taken']:,}{skipped}); {counts['boilerplate']:,} paragraphs boilerplate, "
        f"{counts['article']:,} article, {counts['unsure']:,} left out ({counts['contradictions']:,} of them contradicted another page)"
    )
    return 0


def _write_report(path: str, rows: Sequence[dict[str, Any]], counts: Counter[str], errors: Sequence[str]) -> None:
    with written(path) as out:
        if path.endswith(".json"):
            out.write(json.dumps({"counts": dict(counts), "rules": rows, "errors": errors}, ensure_ascii=False, indent=1) + "\n")
            return
        if rows:
            out.write("\t".join(rows[0]) + "\n")
        for row in rows:
            fields = {**row, "examples": " | ".join(row["examples"])}
            out.write("\t".join(" ".join(str(value).split()) for value in fields.values()) + "\n")


def add_command(commands: Any) -> None:
    """Add ``label-html`` to the parser's commands."""
    parser = commands.add_parser(
        "label-html",
        help="label saved web pages by consent managers' containers and main content",
        description=run.__doc__,
        epilog="Try: consent-training label-html saved/ -o labelled.jsonl --report rules.json",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="saved pages (.html, .htm), directories, globs, .jsonl with the HTML in a field, or .warc"
    )
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="labelled documents (.jsonl, .jsonl.gz), for fit --labelled")
    parser.add_argument("--report", metavar="FILE", help="what each rule took, with examples (.json, .tsv)")
    parser.add_argument(
        "--containers",
        type=Path,
        default=DATA / "containers.csv",
        metavar="FILE",
        help="table of containers; copy the project's and add your own",
    )
    parser.add_argument("--html-field", default="html", metavar="NAME", help="field of a JSONL line that holds the HTML (default: html)")
    parser.add_argument(
        "--on-error", choices=("stop", "skip"), default="stop", help="at a page that can't be read: stop (default), or name it and go on"
    )
    parser.set_defaults(run=run)
