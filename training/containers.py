"""Tables of containers: by which elements of a web page consent text and main content are known.

``data/containers.csv`` has a rule a line, ``label,of,kind,selector``. The label says what the rule finds:

- "boilerplate": a container of consent text; `of` names the manager, "generic" stands for names that many sites give to one,
- "article": main content, the surest rule first,
- "none": what is no content inside main content,
- "word": a part of words, one of which stands in a banner of a generic name.

A selector is ``#id``, ``.class``, ``tag``, ``[attribute]`` or ``[attribute=value]``, in any case of letters; a star at its end means anything. One
that starts with "~" is about the words of an id or of a class, so that ``cookieNotice`` is ``js-cookie_notice``: ``~a|b + c|d ? e|f`` needs a word of
each group, and every other word must be one of the last.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from training.dataset import KINDS, DatasetError

FIELDS: Final = ["label", "of", "kind", "selector"]
LABELS: Final = ("boilerplate", "article", "none", "word")
GENERIC: Final = "generic"
SIMPLE: Final = re.compile(r"(?P<sign>[#.]?)(?P<name>[\w-]+)(?P<star>\*?)|\[(?P<attribute>[\w-]+)(?:=(?P<value>[^\]*]+)(?P<any>\*?))?\]")
WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the table; `order` is its place."""

    label: str
    of: str
    kind: str | None
    selector: str
    order: int


def words_of(token: str) -> tuple[str, ...]:
    """Words of an id or a class.

    Examples
    --------
    >>> words_of("js-cookieNotice__text2"), words_of("GDPRBanner")
    (('js', 'cookie', 'notice', 'text'), ('gdpr', 'banner'))
    """
    return tuple(word.lower() for word in WORDS.findall(token) if not word.isdigit())


@dataclass
class Rules:
    """The rules of one label, and which of them an element meets first.

    Attributes
    ----------
    parts : list of str
        Parts of words, in lower case, for the label "word".
    """

    parts: list[str] = field(default_factory=list)

    _exact: dict[tuple[str, str], Rule] = field(default_factory=dict)
    _starts: list[tuple[str, str, Rule]] = field(default_factory=list)
    _words: list[tuple[list[frozenset[str]], frozenset[str], Rule]] = field(default_factory=list)

    def add(self, rule: Rule) -> None:
        """Add a rule.

        Raises
        ------
        ValueError
            If its selector is none.
        """
        if rule.label == "word":
            self.parts.append(rule.selector.lower())
            return
        if rule.selector.startswith("~"):
            needed, _, others = rule.selector[1:].partition(" ? ")
            groups = [frozenset(group.strip().split("|")) for group in needed.split("+")]
            self._words.append((groups, frozenset.union(frozenset(others.strip().split("|")), *groups), rule))
            return
        match = SIMPLE.fullmatch(rule.selector)
        if match is None:
            raise ValueError(f"selector {rule.selector!r}, expected #id, .class, tag, [attribute], [attribute=value] or ~words")
        if match["attribute"]:
            name, value, star = match["attribute"], match["value"], match["any"]
            key = (f"[{name.lower()}", (value or "").lower())
            star = star or ("" if value else "*")
        else:
            key, star = (match["sign"], match["name"].lower()), match["star"]
        if star:
            self._starts.append((*key, rule))
        else:
            self._exact.setdefault(key, rule)

    def match(self, tag: str, attributes: Mapping[str, str]) -> Rule | None:
        """The first rule that an element meets, by its tag and attributes."""
        keys = [("", tag.lower())]
        for name, value in attributes.items():
            sign = {"id": "#", "class": "."}.get(name)
            keys += [(sign, token.lower()) for token in value.split()] if sign else []
            keys.append((f"[{name.lower()}", value.strip().lower()))
        found = [self._exact[key] for key in keys if key in self._exact]
        found += [rule for sign, start, rule in self._starts for key in keys if key[0] == sign and key[1].startswith(start)]
        if not found and self._words:
            tokens = f"{attributes.get('id', '')} {attributes.get('class', '')}".split()
            found += [rule for token in tokens if (rule := self._by_words(token)) is not None]
        return min(found, key=lambda rule: rule.order, default=None)

    def is_said(self, text: str) -> bool:
        """Whether one of the parts of words stands in a text."""
        text = text.lower()
        return any(part in text for part in self.parts)

    def _by_words(self, token: str) -> Rule | None:
        words = words_of(token)
        for groups, known, rule in self._words:
            if len(words) >= len(groups) and all(any(word in group for word in words) for group in groups) and known.issuperset(words):
                return rule
        return None


@lru_cache(maxsize=4)
def read_containers(path: Path) -> dict[str, Rules]:
    """Read a table of containers.

    Returns
    -------
    dict of str to Rules
        By label.

    Raises
    ------
    DatasetError
        With the line that is no rule.
    """
    tables = {label: Rules() for label in LABELS}
    for place, row in _rows(path):
        rule = Rule(row["label"], row["of"], row["kind"] or None, row["selector"], int(place.rpartition(":")[2]))
        if rule.label not in LABELS:
            raise DatasetError(f"{place}: label {rule.label!r}, expected one of {', '.join(LABELS)}")
        if (rule.kind not in KINDS) if rule.label == "boilerplate" else rule.kind:
            raise DatasetError(f"{place}: kind {rule.kind!r}, expected one of {', '.join(KINDS)} for boilerplate, and none for others")
        try:
            tables[rule.label].add(rule)
        except ValueError as error:
            raise DatasetError(f"{place}: {error}") from error
    return tables


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != FIELDS:
                raise DatasetError(f"{path}: its columns are {reader.fieldnames}, expected {FIELDS}")
            for row in reader:
                if None in row or None in row.values():
                    raise DatasetError(f"{path}:{reader.line_num}: not {len(FIELDS)} fields")
                yield f"{path}:{reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"{path}: can't be read as a table of containers ({error})") from error
