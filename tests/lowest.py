"""Print the lowest versions that pyproject.toml allows of what the package and its tests need, for pip: ``pip install $(python tests/lowest.py)``."""

from __future__ import annotations

import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"
EXTRAS = ("corpus", "html", "plots", "sources")
TESTING = ("pytest", "hypothesis")
"""What tests need of the extra "dev"."""
BESIDE = ("scipy<1.16", "pyparsing<3.3")
"""Held back beside the lowest versions: scikit-learn 1.6 gives scipy's L-BFGS-B options that 1.16 warns of, and matplotlib 3.9
pyparsing names that 3.3 warns of."""


def lowest() -> list[str]:
    """Requirements such as "numpy==1.26", in the order of pyproject.toml."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    needed = [*project["dependencies"], *(name for extra in EXTRAS for name in extras[extra]), *(n for n in extras["dev"] if n.startswith(TESTING))]
    return [*dict.fromkeys(requirement.replace(">=", "==") for requirement in needed), *BESIDE]


if __name__ == "__main__":
    print(*lowest())
