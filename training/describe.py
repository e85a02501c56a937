"""Count labelled documents: the tables of the data card."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from training.dataset import KINDS, LabelledDocument


def describe(documents: Sequence[LabelledDocument]) -> list[str]:
    """Markdown tables of distinct texts by language and kind, and of paragraphs by family.

    Parameters
    ----------
    documents : sequence of LabelledDocument

    Returns
    -------
    list of str
        Lines; a text counts once in a language, and a pattern with slots is one text.
    """
    columns = ("documents", "boilerplate", *KINDS, "article", "hard")
    by_language: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    by_family: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for document in documents:
        language, family = by_language[document.lang], by_family[document.family or "none"]
        language["documents"].add(document.id)
        family["documents"] += 1
        for p in document.paragraphs:
            label = "boilerplate" if p.label == "boilerplate" else "article"
            family[label] += 1
            for column in (label, p.kind if label == "boilerplate" else None, "hard" if p.hard else None):
                if column:
                    language[column].add(p.text)
    lines = ["| language | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(f"{len(counts[c]):,}" for c in columns) + " |" for name, counts in sorted(by_language.items())]
    lines += ["| all | " + " | ".join(f"{sum(len(counts[c]) for counts in by_language.values()):,}" for c in columns) + " |", ""]
    lines += ["| family | documents | boilerplate | article |", "|---|---|---|---|"]
    lines += [f"| {name} | {c['documents']:,} | {c['boilerplate']:,} | {c['article']:,} |" for name, c in sorted(by_family.items())]
    return lines
