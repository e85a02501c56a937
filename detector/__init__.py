"""Take consent text (cookie banners, preference centres, opt-out notices) out of documents of plain text, and leave the article untouched."""

from __future__ import annotations

from detector.filtering import Detector, FilteredDocument, Paragraph
from detector.persistence import ModelError

__all__ = ["Detector", "FilteredDocument", "ModelError", "Paragraph"]
__version__ = "0.1.0"
