"""The table at the end of the run: what was tried, how many times, what was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Tried = Callable[..., None]
PROPERTY = "tried"


@pytest.fixture
def tried(record_property: Callable[[str, object], None]) -> Tried:
    """Add to a line of the table: ``tried("bits turned in a model", 2000)``; lines of one name are summed over all tests.

    Call it after the assertions, or with what was lost before them: ``tried(what, how_many, lost)``.
    """

    def add(what: str, how_many: int, lost: int = 0) -> None:
        record_property(PROPERTY, (what, how_many, lost))

    return add


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the table."""
    sums: dict[str, tuple[int, int]] = {}
    reports = [report for reports in terminalreporter.stats.values() for report in reports if getattr(report, "when", None) == "call"]
    for report in sorted(reports, key=lambda report: report.nodeid):
        for name, value in report.user_properties:
            if name == PROPERTY:
                what, how_many, lost = value
                before = sums.get(what, (0, 0))
                sums[what] = before[0] + how_many, before[1] + lost
    if sums:
        terminalreporter.section("what was tried, how many, what was lost")
        terminalreporter.write_line("| what was tried | how many | lost |")
        terminalreporter.write_line("|---|---|---|")
        for what, (how_many, lost) in sums.items():
            terminalreporter.write_line(f"| {what} | {how_many:,} | {lost or 'nothing'} |")
