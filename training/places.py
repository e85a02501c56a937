"""Where the project's data lie: in a checkout beside the code, in an installed wheel inside it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

_INSTALLED = Path(__file__).parent / "data"
_CHECKOUT = Path(__file__).parent.parent

DATA: Final = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT / "data"
"""Documents that we wrote, slots, facts of cookies, floors."""
CASES: Final = _INSTALLED / "cases" if _INSTALLED.is_dir() else _CHECKOUT / "tests" / "cases"
"""Lines and documents with the label that they must get."""
