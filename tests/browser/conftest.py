"""A headless Chromium, and pages of the command in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver import Chrome

from detector.cli import main
from tests.browser.driving import ReviewPage, log_of
from tests.test_cli import jsonl

FLAGS = (
    "--headless",
    "--no-sandbox",  # as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="session")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """One browser for all tests, with its network log."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    assert chromium, "these tests need Chromium and its driver: apt-get install chromium chromium-driver"
    assert chromedriver, "these tests need Chromium's driver: apt-get install chromium-driver"
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    options.set_capability("unhandledPromptBehavior", "accept")
    driver = Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()


Opener = Callable[..., ReviewPage]


@pytest.fixture
def review(driver: Chrome, tmp_path: Path) -> Iterator[Opener]:
    """Make a page of records with the command and open it from disk; nothing is remembered of other tests, and no script may fail."""

    def make(*records: dict[str, Any], options: tuple[str, ...] = (), name: str = "review") -> ReviewPage:
        source = jsonl(tmp_path / "in.jsonl")
        source.write_text("".join(json_of(record) for record in records))
        assert main(["review", str(source), "-o", str(tmp_path / f"{name}.html"), *options]) == 0
        page = ReviewPage(driver, tmp_path / f"{name}.html", tmp_path / "downloads")
        page.run("localStorage.clear()")
        driver.refresh()
        page.ready()
        return page

    log_of(driver, "browser")
    set_media(driver)
    yield make
    assert [entry for entry in log_of(driver, "browser") if entry["level"] == "SEVERE"] == []


def json_of(record: dict[str, Any]) -> str:
    """A line of a corpus, in ASCII so that it may hold lone surrogates."""
    return json.dumps(record) + "\n"


def set_media(driver: Chrome, scheme: str = "light") -> None:
    """Ask for light or dark colours."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
