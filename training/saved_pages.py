"""Label the lines of a saved web page by the elements that they stand in."""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from training.containers import GENERIC, Rule, Rules
from training.dataset import DatasetError
from training.rebuild import BLOCKS, SILENT

BREAKS: Final = frozenset((*BLOCKS, "br"))
"""Elements that end a line, at either side."""
ROOTS: Final = frozenset(("html", "body"))
"""Never a container: consent managers set their classes on them while a dialogue is open."""
NOT_GENERIC: Final = frozenset(("a", "li", "h1", "h2", "h3", "h4", "h5", "h6", "input", "img", "i", "svg", "button", "td", "th", "tr", "label"))
"""Where a name such as "cookie-notice" is a link to a page, or an anchor of a heading, as often as a notice."""
CONTROLS: Final = frozenset(("button", "input"))
MOST: Final = 0.5
"""A container that holds more of the page's text (of its main content, if it stands there) is not taken: its name is that of the page."""
LEAST_CONTENT: Final = 200
"""Main content has so many characters without spaces; shorter ones are teasers and empty frames."""
LEAST_NOTICE: Final = 30
"""A container of a generic name that has no button has so many characters without spaces; a shorter one is a link to a policy."""
LONGEST_BUTTON: Final = 60
"""A longer text that is clicked is a notice which is a link as a whole."""
HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
META: Final = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]+)", re.IGNORECASE)
META_BYTES: Final = 8192
"""The standard asks for a page's charset within 1,024 bytes; real pages have it later too."""
SAVED: Final = re.compile(rb"saved from url=\(\d+\)(\S+)|Page saved with SingleFile\s+url:\s*(\S+)")
"""What browsers and SingleFile write into a page that they save."""
INVISIBLE: Final = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))
"""Characters that show nothing; a line of them alone is none."""
BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
SEVEN_BITS: Final = ("iso-2022-jp", "iso-2022-kr", "hz-gb-2312")
"""Charsets whose bytes are all ASCII, and so are UTF-8 too."""
AS_BROWSERS: Final = {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "cp1252", "ascii": "cp1252", "utf-16": "utf-8"}
"""What browsers read under the names of other charsets (the Encoding Standard's labels)."""


class Line(NamedTuple):
    """One line of a page: its text, label and kind, and the rule that gave them; "unsure" has none."""

    text: str
    label: str
    kind: str | None = None
    rule: Rule | None = None


@dataclass
class Page:
    """A page with its lines in document order.

    Attributes
    ----------
    lines : list of Line
    refused : list of tuple of Rule and str
        Containers that were not taken, and why.
    lang, site : str
        As the page says; "und" and "" if it doesn't.
    """

    lines: list[Line] = field(default_factory=list)
    refused: list[tuple[Rule, str]] = field(default_factory=list)
    lang: str = "und"
    site: str = ""


@dataclass(slots=True)
class _Element:
    """An element: its place in document order, where its last descendant stands, and characters of its text without spaces."""

    tag: str
    attributes: Mapping[str, str]
    parent: int
    end: int = 0
    size: int = 0
    has_control: bool = False


def decode(data: bytes) -> str:
    """Text of a saved page: by its byte order mark, as UTF-8 if it is that, by its own declaration, or as browsers read what says nothing.

    Examples
    --------
    >>> decode("naïve".encode()), decode("naïve".encode("cp1252")), decode(b'<meta charset="koi8-r">' + "да".encode("koi8-r"))
    ('naïve', 'naïve', '<meta charset="koi8-r">да')
    """
    for mark, name in BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    match = META.search(data[:META_BYTES])
    declared = match[1].decode("ascii").lower() if match else "cp1252"
    try:
        if declared not in SEVEN_BITS:
            return data.decode("utf-8")  # what is UTF-8 through and through is nothing else, whatever it declares
    except UnicodeDecodeError:
        pass
    try:
        return data.decode(AS_BROWSERS.get(declared, declared), "replace")
    except LookupError:  # no charset
        return data.decode("cp1252", "replace")


def label_page(data: bytes | str, tables: Mapping[str, Rules]) -> Page:
    """Label the lines of a page.

    A line is a run of text between the edges of block elements and ``<br>``, white space collapsed, hidden or not; scripts, styles, templates and
    values of form fields are no text. Lines inside consent managers' containers are "boilerplate", those of the main content "article", and
    all others, with those that a container's edge goes through, "unsure".

    Parameters
    ----------
    data : bytes or str
        HTML, however broken.
    tables : mapping of str to Rules
        As `training.containers.read_containers` gives them.

    Returns
    -------
    Page

    Raises
    ------
    DatasetError
        If lxml is not installed.
    """
    try:
        from lxml import etree
    except ImportError as error:
        raise DatasetError("saved pages need lxml, which is not installed: pip install 'consent-text-detector[html]'") from error

    text = decode(data) if isinstance(data, bytes) else data
    raw = text.replace("\0", "").encode("utf-8", "replace")
    parser = etree.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    root = etree.fromstring(raw, parser) if raw.strip() else None
    if root is None:
        return Page()
    elements, lines = _walk(etree, root)
    page = Page(lang=_lang(root), site=_site(root, raw))
    candidates = {i: rule for i, e in enumerate(elements) if e.tag not in SILENT and (rule := tables["boilerplate"].match(e.tag, e.attributes))}
    content, content_rule = _main_content(elements, candidates, tables["article"])
    taken: dict[int, Rule] = {}
    taken_end = -1
    for i, rule in candidates.items():
        why = ""
        if i > taken_end:  # inside a container that was taken, another one only tells the kind
            why = _refusal(elements, i, rule, content) or _silence(elements, i, rule, lines, tables["word"])
        if why:
            page.refused.append((rule, why))
        elif elements[i].size:
            taken[i] = rule
            taken_end = max(taken_end, elements[i].end)
    left = {i for i, e in enumerate(elements) if _is_left(e, tables["none"])} - {content}
    inside = _inherited(elements, taken, content, left)
    page.lines = [_label(parts, inside, content_rule) for parts in lines]
    return page


def _walk(etree: Any, root: Any) -> tuple[list[_Element], list[list[tuple[int, str]]]]:
    """Elements in document order, and lines of parts: the element that a part of a text stands in, and the text."""
    elements: list[_Element] = []
    lines: list[list[tuple[int, str]]] = [[]]
    open_elements: list[int] = []
    silent = 0

    def add(text: str | None) -> None:
        if text and not silent and open_elements:
            lines[-1].append((open_elements[-1], text))
            elements[open_elements[-1]].size += sum(map(len, text.split()))

    for event, node in etree.iterwalk(root, events=("start", "end")):
        if event == "start":
            elements.append(_Element(node.tag, dict(node.attrib.items()), open_elements[-1] if open_elements else -1))
            open_elements.append(len(elements) - 1)
            silent += node.tag in SILENT
            if node.tag in BREAKS:
                lines.append([])
            add(node.text)
            continue
        i = open_elements.pop()
        element = elements[i]
        element.end = len(elements) - 1
        element.has_control |= element.tag in CONTROLS or element.attributes.get("role") == "button"
        silent -= element.tag in SILENT
        if element.parent >= 0:
            elements[element.parent].size += element.size
            elements[element.parent].has_control |= element.has_control
        if element.tag in BREAKS:
            lines.append([])
        add(node.tail)
    return elements, [line for line in lines if any(text.translate(INVISIBLE).strip() for _, text in line)]


def _main_content(elements: Sequence[_Element], candidates: Mapping[int, Rule], rules: Rules) -> tuple[int, Rule | None]:
    """The element of the main content and its rule, or -1: by the surest rule that is met, if one element is the longest by far."""
    by_rule: dict[Rule, list[int]] = {}
    managers_end = -1
    for i, element in enumerate(elements):
        if i in candidates and candidates[i].of != GENERIC and element.tag not in ROOTS and element.size <= MOST * elements[0].size:
            managers_end = max(managers_end, element.end)
        rule = rules.match(element.tag, element.attributes) if i > managers_end and element.tag not in ROOTS else None
        if rule is not None and element.size >= LEAST_CONTENT:
            by_rule.setdefault(rule, []).append(i)
    for rule in sorted(by_rule, key=lambda rule: rule.order)[:1]:
        outermost: list[int] = []
        for i in by_rule[rule]:
            if not outermost or i > elements[outermost[-1]].end:
                outermost.append(i)
        longest = max(outermost, key=lambda i: elements[i].size)
        if 2 * elements[longest].size >= sum(elements[i].size for i in outermost):  # else a list of several
            return longest, rule
    return -1, None


def _refusal(elements: Sequence[_Element], i: int, rule: Rule, content: int) -> str:
    """Why a container is not taken; nothing if it is."""
    element = elements[i]
    if element.tag in ROOTS:
        return f"is <{element.tag}>"
    if i <= content <= element.end:
        return "holds the main content"
    is_inside = content >= 0 and content < i <= elements[content].end
    if (is_inside or content < 0) and element.size > MOST * elements[max(content, 0)].size:
        return "holds most of the main content" if is_inside else "holds most of the page"
    if rule.of == GENERIC:
        if element.tag in NOT_GENERIC:
            return f"is <{element.tag}> of a generic name"
        if not element.has_control and (is_inside or element.size < LEAST_NOTICE):
            return "has a generic name and no button"
    return ""


def _silence(elements: Sequence[_Element], i: int, rule: Rule, lines: Sequence[Sequence[tuple[int, str]]], words: Rules) -> str:
    """Why a container of a generic name, such as "cookie-notice", is not taken by its text: a cookie often only remembers that it was closed."""
    if rule.of != GENERIC or rule.kind not in ("banner", "preference"):
        return ""
    text = " ".join(part for parts in lines for owner, part in parts if i <= owner <= elements[i].end)
    return "" if words.is_said(text) else "has a generic name, and no word of consent in its text"


def _is_left(element: _Element, rules: Rules) -> bool:
    return bool(HIDDEN.search(element.attributes.get("style", ""))) or rules.match(element.tag, element.attributes) is not None


class _Inside(NamedTuple):
    """What an element stands in: a container that was taken, main content, and something that is clicked."""

    container: Rule | None
    is_content: bool
    is_clicked: bool


def _inherited(elements: Sequence[_Element], taken: Mapping[int, Rule], content: int, left: set[int]) -> list[_Inside]:
    inside: list[_Inside] = []
    for i, element in enumerate(elements):
        above = inside[element.parent] if element.parent >= 0 else _Inside(None, is_content=False, is_clicked=False)
        is_clicked = above.is_clicked or element.tag in ("a", "button") or element.attributes.get("role") == "button"
        inside.append(_Inside(taken.get(i, above.container), i == content or (above.is_content and i not in left), is_clicked))
    return inside


def _label(parts: Sequence[tuple[int, str]], inside: Sequence[_Inside], content: Rule | None) -> Line:
    text = " ".join("".join(part for _, part in parts).split())
    owners = [inside[i] for i, part in parts if part and not part.isspace()]
    containers = [owner.container for owner in owners]
    rule = containers[0]
    if rule is not None and None not in containers:
        is_button = rule.kind not in ("form", "embed", "wall") and len(text) <= LONGEST_BUTTON and all(owner.is_clicked for owner in owners)
        return Line(text, "boilerplate", "button" if is_button else rule.kind, rule)
    if not any(containers) and all(owner.is_content for owner in owners):
        return Line(text, "article", None, content)
    return Line(text, "unsure")


def _lang(root: Any) -> str:
    value = root.get("lang") or root.get("{http://www.w3.org/XML/1998/namespace}lang") or root.get("xml:lang") or ""
    match = re.match(r"[a-z]{2,3}(?![a-z])", value.strip().lower())
    return match[0] if match else "und"


def _site(root: Any, raw: bytes) -> str:
    """Host of the page's own address."""
    addresses = [*root.xpath("//link[@rel='canonical']/@href"), *root.xpath("//meta[@property='og:url']/@content"), *root.xpath("//base/@href")]
    saved = SAVED.search(raw)
    if saved:
        addresses.append((saved[1] or saved[2]).decode("utf-8", "replace"))
    return next(filter(None, map(host_of, addresses)), "")


def host_of(address: str) -> str:
    """Host of an address without "www.", empty if there is none.

    Examples
    --------
    >>> host_of("https://www.example.org:443/a"), host_of("/a"), host_of("http://[")
    ('example.org', '', '')
    """
    try:
        return (urlsplit(address.strip()).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
