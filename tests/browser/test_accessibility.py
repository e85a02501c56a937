"""The page for people who see little, see no colours, hear it read, or use no mouse."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.conftest import Opener, set_media
from tests.browser.driving import ReviewPage
from tests.browser.test_review_page import DOCUMENTS, opened
from tests.test_cli import BANNER

# Every element that shows text of its own: least contrast with what lies behind it.
CONTRASTS = """
const rgb = (colour) => colour.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => {
  const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
};
const behind = (element) => {
  for (let e = element; e; e = e.parentElement) {
    const [r, g, b, a = 1] = rgb(getComputedStyle(e).backgroundColor);
    if (a === 1) return [r, g, b];
    if (a !== 0) throw new Error(`a background that shines through: ${e.outerHTML}`);
  }
  throw new Error("no background");
};
const found = [];
for (const element of document.querySelectorAll("body *")) {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!element.checkVisibility() || !(own || element.matches("input"))) continue;
  for (const pseudo of [null, ...(element.matches("input") ? ["::placeholder"] : [])]) {
    const [a, b] = [light(rgb(getComputedStyle(element, pseudo).color)), light(behind(element))].sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), element.outerHTML.slice(0, 120)]);
  }
}
return found;
"""


def prepared(review: Opener) -> ReviewPage:
    """A page on which everything that can be shown is."""
    page = opened(review(*DOCUMENTS), "plain")
    page.keys("r", Keys.HOME, "f", "j", "1", "j", "u", "m", "note", Keys.ESCAPE)
    page.filter("search", "cookies")
    page.run("show('notice', 'Something to read ', make('button', {type: 'button'}, 'and press')); show('storage', 'Something else')")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_contrast(review: Opener, scheme: str) -> None:
    page = prepared(review)
    set_media(page.driver, scheme)
    assert page.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
    seen = set()
    for heat in range(6):
        page.run("document.querySelectorAll('[data-paragraph]').forEach((e) => { e.dataset.heat = arguments[0]; })", str(heat))
        seen.add(page.run("return getComputedStyle(document.querySelector('[data-paragraph]')).backgroundColor"))
        measured = page.run(CONTRASTS)
        assert len(measured) > 40
        assert [(round(ratio, 2), what) for ratio, what in measured if ratio < 4.5] == []
    assert len(seen) == 6
    page.keys("?")
    assert [(round(ratio, 2), what) for ratio, what in page.run(CONTRASTS) if ratio < 4.5] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 420])
@pytest.mark.parametrize("state", ["page", "help", "none found", "no documents"])
def test_axe_finds_nothing(review: Opener, scheme: str, width: int, state: str) -> None:
    page = review() if state == "no documents" else prepared(review)
    if state == "help":
        page.keys("?")
    if state == "none found":
        page.filter("search", "no such text")
    set_media(page.driver, scheme)
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    page.run((files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8"))
    found = page.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert [(v["id"], [node["html"] for node in v["nodes"]]) for v in found["violations"]] == []
    assert len(found["passes"]) > 15


@pytest.mark.parametrize("width", [1280, 420, 320])
def test_nothing_is_wider_than_the_window(review: Opener, width: int) -> None:
    page = review({"id": "x" * 300, "site": "y" * 300, "text": f"{'z' * 2000}\n{BANNER}"})
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False})
    sizes = page.run("return [document.documentElement.scrollWidth, innerWidth, document.getElementById('paragraphs').scrollWidth]")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert sizes[0] <= sizes[1]
    assert sizes[2] <= sizes[1]


@pytest.mark.parametrize(("width", "height"), [(420, 800), (1280, 400)])
def test_a_small_window_stays_where_one_types(review: Opener, width: int, height: int) -> None:
    page = review(*({"id": f"{i}", "text": "\n".join([*["An article on the harbour."] * 40, BANNER])} for i in range(3)))
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.driver.refresh()
    page.ready()
    tops = [page.run("return scrollY")]
    page.keys("/")
    page.filter("search", "cookies")
    tops.append(page.run("return document.getElementById('search').getBoundingClientRect().top"))
    page.keys(Keys.ESCAPE, Keys.END)
    row, inspector = page.run("return ['[data-active]', '#inspector'].map((s) => document.querySelector(s).getBoundingClientRect().toJSON())")
    page.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert tops[0] == 0
    assert 0 <= tops[1] < height
    assert row["top"] >= 0
    assert row["bottom"] <= inspector["top"] + 1  # what sticks to the foot doesn't cover it


def tree(page: ReviewPage) -> list[dict[str, Any]]:
    """What a screen reader is told: role, name and properties of each element."""
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    return [
        {
            "role": node["role"]["value"],
            "name": node.get("name", {}).get("value", ""),
            **{p["name"]: p["value"].get("value") for p in node["properties"]},
        }
        for node in nodes
        if not node["ignored"] and "properties" in node
    ]


def test_a_screen_reader_is_told_label_probability_and_text(review: Opener) -> None:
    page = opened(review(*DOCUMENTS), "plain")
    page.keys(Keys.HOME, "j", "1", "r", "r", "r")
    nodes = tree(page)
    probability = float(page.paragraphs[1]["probability"])
    (option,) = [node for node in nodes if node["role"] == "option" and BANNER in node["name"]]
    assert option["name"] == f"remove {probability:.4f} banner {BANNER}"
    assert (option["selected"], option["focused"]) == (True, True)
    (article,) = [node for node in nodes if node["role"] == "option" and node["name"].startswith("keep")]
    assert article["selected"] is False
    (document,) = [node for node in nodes if node["role"] == "option" and node["name"].startswith("plain")]
    assert document["name"] == f"plain ✓ right, changed 2 of 3 removed · doubtful {float(page.paragraphs[0]['probability']):.4f}"
    named = {"textbox", "searchbox", "button", "combobox", "spinbutton", "listbox", "checkbox"}
    assert [node for node in nodes if node["role"] in named and not node["name"]] == []
    (status,) = [node for node in nodes if node["role"] == "status"]
    assert status["live"] == "polite"
    assert page.status == "Marked: the labels of this document are right"


def test_tab_leads_to_every_control_and_the_focus_is_seen(review: Opener) -> None:
    page = review(*DOCUMENTS)
    reached = []
    for _ in range(30):
        page.keys(Keys.TAB)
        name, width, style = page.run(
            """const e = document.activeElement;
            const s = getComputedStyle(e.type === "file" ? e.parentElement : e);
            return [e.id, parseFloat(s.outlineWidth), s.outlineStyle];"""
        )
        if not name or name in reached:
            break
        reached.append(name)
        assert (width >= 2, style) == (True, "solid"), name
    controls = ["which", "download", "load", "open-help", "search", "verdict", "state", "from", "to", "clear", "d0", "previous", "next", "reviewed"]
    controls[controls.index("d0")] = page.run("return document.querySelector('#documents [aria-selected=\"true\"]').id")
    assert reached == [*controls, f"p{page.active}", "label-article", "label-boilerplate", "label-unsure", "kind", "note"]
