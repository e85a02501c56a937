"""Drive the page that ``consent-detector review`` makes, by the identifiers and data attributes that it keeps stable."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

PATIENCE = 20.0
"""Seconds to wait for what takes a part of one."""


class ReviewPage:
    """A page in the browser.

    Documents are `#documents [data-document=i]`, the paragraphs of the one that is open `#paragraphs [data-paragraph=i]` with `data-label`,
    `data-model-label`, `data-kind` and `data-probability`; controls have the identifiers that the methods use.
    """

    def __init__(self, driver: Chrome, path: Path, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads
        downloads.mkdir(exist_ok=True)
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        driver.get(path.resolve().as_uri())
        self.ready()

    def ready(self) -> None:
        """Wait until the scripts have run."""
        self.wait(lambda: self.run("return 'ready' in document.body.dataset"))

    def run(self, script: str, *values: Any) -> Any:
        """Run JavaScript."""
        return self.driver.execute_script(script, *values)

    def read(self, expression: str) -> Any:
        """Value of a JavaScript expression; as JSON, since the driver can't send lone surrogates."""
        return json.loads(self.run(f"return JSON.stringify({expression})"))

    def wait(self, done: Callable[[], Any]) -> Any:
        """Wait for something to come true; returns it."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if found := done():
                return found
            time.sleep(0.02)
        raise AssertionError(f"did not come true in {PATIENCE:g} s; the page says {self.status!r}")

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def click(self, selector: str) -> None:
        """Click with the mouse."""
        ActionChains(self.driver).click(self.driver.find_element(By.CSS_SELECTOR, selector)).perform()

    def click_paragraph(self, i: int) -> None:
        """Click a paragraph of the document that is open."""
        self.click(f"[data-paragraph='{i}']")

    def choose(self, name: str, value: str) -> None:
        """Choose of a select."""
        Select(self.driver.find_element(By.ID, name)).select_by_value(value)

    def filter(self, name: str, value: str) -> int:
        """Type into a filter; returns how many documents are shown."""
        self.run("arguments[0].select()", self.driver.find_element(By.ID, name))
        self.driver.find_element(By.ID, name).send_keys(value or Keys.BACKSPACE)
        self.run("applyFilters()")  # which the page does a moment after the last key
        return len(self.shown)

    @property
    def shown(self) -> list[str]:
        """Identifiers of the documents in the list."""
        return list(self.read("[...document.querySelectorAll('#documents [data-document]:not([hidden])')].map((e) => e.dataset.id)"))

    def wait_for_documents(self, names: list[str]) -> None:
        """Wait until the list holds just these, in any order."""
        self.wait(lambda: sorted(self.shown) == sorted(names))

    @property
    def paragraphs(self) -> list[dict[str, str]]:
        """Text, label and so on of the document that is open."""
        rows = "[...document.querySelectorAll('[data-paragraph]')].map((e) => ({...e.dataset, text: e.querySelector('.text').textContent}))"
        return list(self.read(rows))

    @property
    def labels(self) -> list[str]:
        """Labels of the document that is open."""
        return [p["label"] for p in self.paragraphs]

    @property
    def title(self) -> str:
        """Identifier of the document that is open."""
        return str(self.read("document.getElementById('title').textContent"))

    @property
    def active(self) -> int:
        """The paragraph that keys act on."""
        return int(self.run("return document.querySelector('[data-paragraph][data-active]').dataset.paragraph"))

    @property
    def status(self) -> str:
        """What was announced last."""
        return str(self.read("document.getElementById('status').textContent"))

    def text(self, name: str) -> str:
        """Text of an element that is shown, nothing if it isn't."""
        return str(self.driver.find_element(By.ID, name).text)

    def download(self, which: str = "reviewed") -> Path:
        """Click on the download; returns the file."""
        self.choose("which", which)
        self.click("#download")
        return self.downloaded()

    def downloaded(self) -> Path:
        """The file that is coming, put where the next one doesn't take its place."""
        (file,) = self.wait(
            lambda: [p for p in self.downloads.glob("*.jsonl") if p.read_bytes().endswith(b"\n")]
        )  # Chromium makes an empty one first
        assert isinstance(file, Path)
        folder = self.downloads / str(len(list(self.downloads.iterdir())))
        folder.mkdir()
        return file.rename(folder / file.name)


def log_of(driver: Chrome, kind: str) -> list[dict[str, Any]]:
    """What a log holds since it was read last."""
    return list(driver.get_log(kind))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Lines of a download."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
