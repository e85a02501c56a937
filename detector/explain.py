"""Why a paragraph was kept or removed: the n-grams that decided, what the neighbours added, and the sum of it.

Both stages are linear in what they are given, so the log-odds of a paragraph are a sum: the contributions of its n-grams, the bias, what the context
stage makes of the paragraph alone (its length, calibration), and what the neighbours change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from detector.features import KINDS, HashedLines, hash_lines
from detector.model import SQUARE_MASK, SQUARES_TO_ONE, Model
from detector.paragraphs import Paragraph

HANGUL: Final = ("\uac00", "\ud7a3")
PREFIXES: Final = {1: (4, 2, 3), 2: (6, 3, 4)}
"""Characters of the prefixes of kinds 1 and 2: of words, of words in Hangul, and of runs in scripts without spaces."""


@dataclass(frozen=True, slots=True)
class Ngram:
    """An n-gram of a paragraph and what it adds to the log-odds.

    Attributes
    ----------
    text : str
        As the features see it: lower case, digits as "0"; a prefix ends in an ellipsis.
    kind : str
        One of `detector.features.KINDS`.
    count : int
        How often it occurs.
    contribution : float
        Greater than 0 where it speaks for boilerplate. N-grams that share a bucket share its contribution.
    """

    text: str
    kind: str
    count: int
    contribution: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where the log-odds of a paragraph come from.

    ``sum(n.contribution for n in ngrams) + bias + alone + neighbours`` is ``log_odds``, and the logistic function of that the probability.

    Attributes
    ----------
    paragraph : Paragraph
    ngrams : list of Ngram
        All, by the size of their contribution, largest first.
    bias : float
        Log-odds of a text without any n-gram.
    alone : float
        What the context stage adds to a document of this paragraph alone: its length, and calibration.
    neighbours : float
        What the other paragraphs of the document add, and what the pieces of its line do (`detector.pieces`).
    log_odds : float
    """

    paragraph: Paragraph
    ngrams: list[Ngram]
    bias: float
    alone: float
    neighbours: float
    log_odds: float

    def as_dict(self, top: int | None = None) -> dict[str, Any]:
        """For JSON: the paragraph's fields and the parts, of the n-grams the `top` ones and the sum of the rest."""
        p = self.paragraph
        rest = self.ngrams[top:] if top is not None else []
        return {
            "start": p.start,
            "end": p.end,
            "probability": p.probability,
            "label": p.label,
            "text": p.text,
            "log_odds": self.log_odds,
            "bias": self.bias,
            "alone": self.alone,
            "neighbours": self.neighbours,
            "ngrams": [{"text": n.text, "kind": n.kind, "count": n.count, "contribution": n.contribution} for n in self.ngrams[:top]],
            "other_ngrams": float(sum(n.contribution for n in rest)),
        }


def ngrams_of(model: Model, texts: Sequence[str], weights: Sequence[float]) -> list[Ngram]:
    """N-grams of texts with their contributions to the log-odds of the paragraph stage, summed over the texts by their weights.

    Parameters
    ----------
    model : Model
    texts : sequence of str
        Without line ends.
    weights : sequence of float
    """
    found: dict[tuple[int, int], tuple[int, float, dict[str, int]]] = {}
    for text, weight in zip(texts, weights, strict=True):
        hashed = hash_lines(text, model.bits)
        names = _names(hashed)
        buckets = np.concatenate([hashed.token_buckets, np.empty((4, 0), np.int64)], axis=1).ravel()
        buckets = np.concatenate((buckets, hashed.line_buckets.ravel()))
        exists = buckets < len(model.idf)
        norm = np.sqrt((model.table[buckets[exists]] & SQUARE_MASK).sum() / SQUARES_TO_ONE)
        values, inverse, counts = np.unique(buckets[exists], return_inverse=True, return_counts=True)
        adds = model.units[values] * model.grid * np.where(model.hot[values], 1, counts) / max(norm, 1e-300) * weight
        kinds = np.repeat(np.arange(len(KINDS)), [hashed.token_buckets.shape[1]] * 4 + [hashed.line_buckets.shape[1]] * 4)[exists]
        named = [name for name, there in zip(names, exists.tolist(), strict=True) if there]
        for i, (kind, name) in enumerate(zip(kinds.tolist(), named, strict=True)):
            j = int(inverse[i])
            key = (int(values[j]), kind)
            count, add, texts_of = found.get(key, (0, 0.0, {}))
            texts_of[name] = texts_of.get(name, 0) + 1
            share = float(adds[j]) / int(counts[j])
            found[key] = (count + 1, add + share, texts_of)
    ngrams = [Ngram(" = ".join(texts_of), KINDS[kind], count, add) for (_, kind), (count, add, texts_of) in found.items()]
    return sorted(ngrams, key=lambda n: (-abs(n.contribution), n.text, n.kind))


def _names(hashed: HashedLines) -> list[str]:
    """Text of every n-gram of one line, in the order of the buckets; of those that don't exist, anything."""
    raw = hashed.folded.tobytes()
    words = [raw[a:b].decode("utf-8", "replace") for a, b in zip(hashed.starts.tolist(), hashed.ends.tolist(), strict=True)]
    pairs = [" ".join(words[i : i + 2]) for i in range(len(words))]

    def prefix(i: int, kind: int) -> str:
        usual, hangul, run = PREFIXES[kind]
        if len(words[i]) == 1:
            return "".join(words[i : i + run])
        return words[i][: hangul if HANGUL[0] <= words[i][0] <= HANGUL[1] else usual] + "\u2026"

    names = [*words, *(prefix(i, kind) for kind in (1, 2) for i in range(len(words))), *pairs]
    return names + ([words[0], words[-1], pairs[0], " ".join(words[-2:])] if words else [])
