"""Cookie tables and vendor lists: facts of real cookies, in the words and the layouts that preference centres show them.

Their rows are a large part of the consent text of real pages, and no two sites lay them out alike: a row is one line or five, with labels or without.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from training.dataset import DatasetError, LabelledDocument, LabelledParagraph

Words = Mapping[str, Sequence[str]]
FIELDS: Final = ("name", "provider", "purpose", "duration", "type")
LISTS: Final = (*FIELDS, "durations", "types", "purposes", "vendor", "headings")
"""Lists of words that each language needs: labels of the fields, values, rows of vendor lists, headings."""
TABLES: Final = 5
"""Tables of a language; those of `MORE_OF` get three times as many."""
MORE_OF: Final = ("en", "de")
ROWS: Final = (3, 9)
CHARACTERS: Final = "0123456789ABCDEFGHKLMNPRSTVWXZ"


def read_tables(path: str | Path) -> dict[str, Words]:
    """Read ``tables.json``: language to lists of words.

    Raises
    ------
    DatasetError
        If a language lacks a list.
    """
    tables: dict[str, Words] = json.loads(Path(path).read_text(encoding="utf-8"))
    for lang, words in tables.items():
        missing = [name for name in LISTS if not words.get(name)]
        if missing:
            raise DatasetError(f"{path}: {lang!r} has no words for {', '.join(missing)}; every language needs {', '.join(LISTS)}")
    return tables


def cookie_tables(tables: Mapping[str, Words], cookies: Sequence[Mapping[str, str]], rng: random.Random) -> list[LabelledDocument]:
    """Make tables of real cookies in every language.

    Parameters
    ----------
    tables : mapping of str to Words
        As `read_tables` gives them.
    cookies : sequence of mapping
        Rows with name, provider, purpose (in English) and duration.
    rng : random.Random

    Returns
    -------
    list of LabelledDocument
        Dialogues of the family "cookie-table"; those of a language are one group. Lines without a cookie's name or purpose ("Duration: 2 years")
        are generic: a course has them too.
    """
    made = []
    for lang, words in sorted(tables.items()):
        for n in range(TABLES * (3 if lang in MORE_OF else 1)):
            layout = rng.choice(LAYOUTS)
            fields = [field for field in FIELDS if field == "name" or rng.random() < FIELD_SHARE]
            labels = {field: rng.choice(words[field]) for field in FIELDS}
            lines = [rng.choice(words["headings"])] if rng.random() < FIELD_SHARE else []
            telling = [*words["headings"], *words["vendor"]]
            if layout is _in_one_line and rng.random() < FIELD_SHARE:
                lines.append(" ".join(labels[field] for field in fields))
            for _ in range(rng.randint(*ROWS)):
                cookie = rng.choice(cookies)
                values = _values(cookie, words, lang, rng)
                lines += layout({field: values[field] for field in fields}, labels, rng)
                telling += (values["name"], values["purpose"])
                if rng.random() < VENDOR_SHARE:
                    lines.append(rng.choice(words["vendor"]))
            paragraphs = tuple(
                LabelledParagraph(line, "boilerplate", "preference", generic=not any(text in line for text in telling)) for line in lines
            )
            made.append(LabelledDocument(f"{lang}-table-{n}", lang, "authored", f"authored/{lang}-tables", paragraphs, family="cookie-table"))
    return made


FIELD_SHARE: Final = 0.7
VENDOR_SHARE: Final = 0.15
ENGLISH_FACTS: Final = 0.6
"""Share of English purposes that are the cookie's own fact; other languages, and the rest, draw from their words."""


def _values(cookie: Mapping[str, str], words: Words, lang: str, rng: random.Random) -> dict[str, str]:
    own = lang == "en" and rng.random() < ENGLISH_FACTS
    return {
        "name": expand(cookie["name"], rng),
        "provider": cookie["provider"],
        "purpose": cookie["purpose"] if own else rng.choice(words["purposes"]),
        "duration": cookie["duration"] if own else rng.choice(words["durations"]),
        "type": rng.choice(words["types"]),
    }


def expand(name: str, rng: random.Random) -> str:
    """A cookie's name with random characters in the place of ``*``."""
    return re.sub(r"\*", lambda _: "".join(rng.choices(CHARACTERS, k=rng.randint(2, 10))), name)


Row = Mapping[str, str]


def _in_one_line(row: Row, labels: Row, rng: random.Random) -> list[str]:  # noqa: ARG001  # layouts have one signature
    return [rng.choice((" ", " ", " | ", " - ", ", ")).join(row.values())]


def _field_lines(row: Row, labels: Row, rng: random.Random) -> list[str]:  # noqa: ARG001
    return list(row.values())


def _labelled_lines(row: Row, labels: Row, rng: random.Random) -> list[str]:
    mark = rng.choice((": ", ": ", " : ", " "))
    return [f"{labels[field]}{mark}{value}" for field, value in row.items()]


def _labelled_line(row: Row, labels: Row, rng: random.Random) -> list[str]:
    mark, between = rng.choice(((": ", " "), (" ", " "), (": ", ", "), ("", "")))
    return [between.join(f"{labels[field]}{mark}{value}" for field, value in row.items())]


def _two_lines(row: Row, labels: Row, rng: random.Random) -> list[str]:  # noqa: ARG001
    rest = " ".join(value for field, value in row.items() if field != "name")
    return [row["name"], rest] if rest else [row["name"]]


LAYOUTS: Final[tuple[Callable[[Row, Row, random.Random], list[str]], ...]] = (
    _in_one_line,
    _in_one_line,
    _field_lines,
    _labelled_lines,
    _labelled_lines,
    _labelled_line,
    _two_lines,
)
