"""Retrain on new labels: adapt a model, and say what that made better and worse, on documents held out and on the gate's cases."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from detector import Detector
from detector.model import LABELS, Model
from training.adapt import REMEMBERED, adapt
from training.dataset import DatasetError, LabelledDocument
from training.evaluate import evaluate
from training.fit import is_generic
from training.gate import Outcome, outcomes, paragraph_outcomes

WEIGHT: Final = 2.0
"""Weight of a new consent text; an article text weighs 1. There are many more of those on any page, and most are clear as it is. Real pages of sites
that a model hadn't seen, and 8 drawings of 20 documents of data/tutorial, chose it (`training/README.md`)."""
HELD_OUT: Final = 5
"""One in so many sites is held out for the report, and fitted on afterwards."""
LOST_COSTS: Final = 20
"""A lost article paragraph weighs as much as so many that are left of consent text, where one of two models must be called the better."""
EXAMPLES: Final = 5
"""So many paragraphs that got worse, and that got better, are shown."""


@dataclass(frozen=True)
class Settings:
    """Hyper-parameters of an adaptation."""

    weight: float = WEIGHT
    remembered: float = REMEMBERED
    seed: int = 0


def label_rows(documents: Iterable[LabelledDocument], weight: float = WEIGHT) -> tuple[list[str], NDArray[np.bool_], NDArray[np.float64]]:
    """Distinct texts of labelled documents, their labels and weights.

    A text counts once for each label that it has, in proportion to how often it has it. Consent texts of one word are left out: they mean something
    among their neighbours only, and "Keep" would be lost elsewhere.

    Returns
    -------
    texts : list of str, length n_texts
    boilerplate : ndarray of bool, shape (n_texts,)
    weight : ndarray of float64, shape (n_texts,)
    """
    number: dict[str, int] = {}
    labelled = (p for document in documents for p in document.paragraphs if p.label != "unsure" and not is_generic(p))
    pairs = np.array([(number.setdefault(p.text, len(number)), p.label == LABELS[1]) for p in labelled], np.intp).reshape(-1, 2)
    keys, count = np.unique(pairs[:, 0] * 2 + pairs[:, 1], return_counts=True)
    texts, boilerplate = list(number), (keys & 1).astype(np.bool_)
    share = count / np.bincount(keys >> 1, count, len(texts))[keys >> 1]
    return [texts[i] for i in (keys >> 1).tolist()], boilerplate, np.where(boilerplate, weight, 1.0) * share


def split(documents: Sequence[LabelledDocument], seed: int) -> tuple[list[LabelledDocument], list[LabelledDocument]]:
    """Documents to fit on, and those of one in `HELD_OUT` sites; with fewer sites than that, or labels of one kind in a part, none are held out."""
    groups = sorted({document.group for document in documents})
    random.Random(seed).shuffle(groups)
    out = set(groups[: len(groups) // HELD_OUT])
    parts = [d for d in documents if d.group not in out], [d for d in documents if d.group in out]
    if all({p.label for d in part for p in d.paragraphs} >= set(LABELS) for part in parts):
        return parts
    return list(documents), []


@dataclass(frozen=True)
class Flips:
    """What two models make of the same cases or paragraphs.

    Attributes
    ----------
    n : int
    worse, better : list of Outcome
        What came out right and is wrong now, and the other way round.
    """

    n: int
    worse: list[Outcome]
    better: list[Outcome]

    @classmethod
    def of(cls, before: Sequence[Outcome], after: Sequence[Outcome]) -> Flips:
        """Compare outcomes of the same things in the same order."""
        pairs = list(zip(before, after, strict=True))
        return cls(len(pairs), [b for a, b in pairs if a.right and not b.right], [b for a, b in pairs if b.right and not a.right])


@dataclass(frozen=True)
class Report:
    """What a retrained model does better and worse than the one that it was made from.

    Attributes
    ----------
    documents : int
        Labelled documents that were fitted on in the end.
    held_out : tuple of dict, or None
        Figures before and after, on documents that the second model was not fitted on.
    n_held_out, n_sites : int
    flips : dict of str to Flips
        On "held-out documents", and on "the gate" where its cases are at hand.
    """

    documents: int
    held_out: tuple[dict[str, Any], dict[str, Any]] | None
    n_held_out: int
    n_sites: int
    flips: dict[str, Flips]

    @property
    def nothing_got_worse(self) -> bool:
        """Whether all that came out right before comes out right now."""
        return not any(flips.worse for flips in self.flips.values())

    def lines(self) -> list[str]:
        """The report as text."""
        out = [f"fitted on {self.documents:,} labelled documents"]
        if self.held_out is None:
            out.append(
                "nothing was held out: give labels of five sites or more, with both labels, or --held-out FILE, for figures on what it has not seen"
            )
        else:
            before, after = self.held_out
            out.append(f"{f'{self.n_held_out:,} documents of {self.n_sites:,} sites held out':46s} {'before':>8s} {'after':>8s}")
            for what, name, form in (
                (f"consent paragraphs found, of {before['boilerplate']:,}", "recall", ".3f"),
                (f"article paragraphs lost, of {before['article']:,}", "false_removals", ","),
                ("average precision", "average_precision", ".3f"),
            ):
                out.append(f"  {what:44s} {before[name]:8{form}} {after[name]:8{form}}")
        for name, flips in self.flips.items():
            out.append(f"{name}: of {flips.n:,} cases and paragraphs {len(flips.worse):,} got worse, {len(flips.better):,} better")
            out += [f"  worse: {o.label} {'lost' if o.label == LABELS[0] else 'left'}: {_short(o)}" for o in flips.worse[:EXAMPLES]]
            out += [f"  better: {o.label} {'kept' if o.label == LABELS[0] else 'found'}: {_short(o)}" for o in flips.better[:EXAMPLES]]
        worse = sum(len(flips.worse) for flips in self.flips.values())
        if not self.flips:
            return [*out, "verdict: unknown, for there is nothing to measure on"]
        return [*out, f"verdict: {worse:,} that came out right got worse" if worse else "verdict: nothing got worse"]


def _short(outcome: Outcome) -> str:
    text = outcome.text if len(outcome.text) <= 90 else outcome.text[:87] + "..."
    return f"{text!r} ({outcome.of})"


def retrain(
    model: Model,
    documents: Sequence[LabelledDocument],
    settings: Settings | None = None,
    *,
    held_out: Sequence[LabelledDocument] = (),
    base: Sequence[str] = (),
    gate: tuple[Path, Path] | None = None,
) -> tuple[Model, Report]:
    """Adapt a model to labelled documents and compare it with what it was.

    Parameters
    ----------
    model : Model
    documents : sequence of LabelledDocument
    settings : Settings, optional
    held_out : sequence of LabelledDocument
        To measure on, and not to fit on. Without any, one in five sites of `documents` is measured on by a model that was fitted on the others,
        and then fitted on as well.
    base : sequence of str
        Texts whose probability shall stay (`training.adapt.adapt`).
    gate : (Path, Path), optional
        Data folder and folder of cases to compare on.

    Returns
    -------
    model : Model
        With the card of the old one.
    report : Report

    Raises
    ------
    DatasetError
        If there is no labelled paragraph to learn from.
    """
    settings = settings or Settings()

    def adapted(some: Sequence[LabelledDocument]) -> Model:
        texts, boilerplate, weight = label_rows(some, settings.weight)
        if not texts:
            raise DatasetError("the labelled documents hold no paragraph to learn from: all are unsure, or consent texts of one word")
        return adapt(model, texts, boilerplate, weight, base, settings.remembered)

    first, out = (list(documents), list(held_out)) if held_out else split(documents, settings.seed)
    measured = adapted(first)
    final = measured if held_out or not out else adapted(documents)
    flips, figures = {}, None
    if out:
        old, new = Detector(model), Detector(measured)
        figures = evaluate(old, out), evaluate(new, out)
        flips["held-out documents"] = Flips.of(paragraph_outcomes(old, out), paragraph_outcomes(new, out))
    if gate is not None:
        flips["the gate"] = Flips.of(outcomes(Detector(model), *gate), outcomes(Detector(final), *gate))
    report = Report(len(documents), figures, len(out), len({d.group for d in out}), flips)
    return final, report


def cost(some: Iterable[Outcome]) -> int:
    """What outcomes cost: each consent paragraph that is left 1, each article paragraph that is lost `LOST_COSTS`."""
    return sum(1 if o.label == LABELS[1] else LOST_COSTS for o in some if not o.right)
