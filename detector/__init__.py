"""Take consent text (cookie banners, preference centres, opt-out notices) out of documents of plain text, and leave the article untouched."""

from __future__ import annotations

from detector.explain import Explanation, Ngram
from detector.filtering import Detector, FilteredDocument
from detector.paragraphs import Paragraph
from detector.persistence import ModelError

__all__ = ["Detector", "Explanation", "FilteredDocument", "ModelError", "Ngram", "Paragraph"]
__version__ = "0.1.0"
