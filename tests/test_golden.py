"""What the shipped model says of our documents is what `tests/golden.jsonl` says it said."""

from __future__ import annotations

from dataclasses import replace

from detector import Detector
from detector.files import digest_of
from detector.persistence import SHIPPED
from tests.golden import GOLDEN, TOLERANCE, differences, read_rows

HEAD, *ROWS = read_rows()
UPDATE = "; python -m tests.golden --update makes it again, when the model was fitted anew or a document was changed"


def test_the_shipped_model_says_what_it_said(detector: Detector) -> None:
    assert HEAD["model"] == digest_of(str(SHIPPED)), f"{GOLDEN.name} is of another model{UPDATE}"
    assert HEAD["tolerance"] == TOLERANCE
    found = differences(detector, ROWS)
    assert not found, f"{len(found)} of {len(ROWS)} documents differ{UPDATE}: {found[:3]}"
    assert len(ROWS) > 300
    assert GOLDEN.stat().st_size < 100_000


def test_a_model_that_differs_by_more_than_the_tolerance_is_seen(detector: Detector) -> None:
    rows = ROWS[1:21]
    model = replace(detector.model, context_bias=detector.model.context_bias + 3 * TOLERANCE)
    assert len(differences(Detector(model, detector.threshold), rows)) == len(rows)
    model = replace(detector.model, context_bias=detector.model.context_bias + TOLERANCE / 100)
    assert not differences(Detector(model, detector.threshold), rows)
