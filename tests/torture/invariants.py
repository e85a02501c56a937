"""What holds for any text (DESIGN, section 5), as assertions on one document."""

from __future__ import annotations

import math

from detector import Detector
from detector.paragraphs import has_text


def check_document(detector: Detector, text: str, *, explained: bool = True) -> None:
    """Filter, score and explain a text, alone and in a batch, and assert what holds for any."""
    document = detector.filter(text)
    paragraphs = document.paragraphs
    assert "".join(p.text for p in paragraphs) == text
    assert all(text[p.start : p.end] == p.text for p in paragraphs)
    assert all(math.isfinite(p.probability) and 0 <= p.probability <= 1 for p in paragraphs)
    assert document.text == "".join(p.text for p in paragraphs if p.label == "article")
    assert document.removed == [p for p in paragraphs if p.label == "boilerplate"]
    assert document.n_removed == len(document.removed)
    assert document.removed or document.text is text
    assert 0 <= document.share_removed <= 1
    assert document.verdict in {"clean", "filtered", "consent_only"}
    if not text.strip("\n"):
        assert document.text is text
    before = "The harbour reopens on Monday.\nWe use cookies.\nAccept all\n"
    for again in detector.filter_batch([before, text, "", text])[1::2]:
        assert (again.text, again.verdict, again.paragraphs) == (document.text, document.verdict, paragraphs)
    probability = detector.predict_proba([text])
    assert ((probability >= 0) & (probability <= 1)).all()
    if explained:
        explanations = detector.explain(text)
        assert [e.paragraph for e in explanations] == [p for p in paragraphs if has_text(p.text)]
        for e in explanations:
            total = sum(n.contribution for n in e.ngrams) + e.bias + e.alone + e.neighbours
            assert math.isclose(total, e.log_odds, rel_tol=1e-3, abs_tol=1e-2), (total, e.log_odds)
