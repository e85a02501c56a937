"""Take labelled texts out of the files of a package, by a recipe: which files, which keys, in which language, with which label.

A package is read, never run: JavaScript is parsed for its string literals, gettext catalogues, JSON, YAML, HTML and XML for theirs. Its texts
are given as a visitor would see them: no markup, and names and numbers in the place of placeholders, or the model would learn the brace.
"""

from __future__ import annotations

import bz2
import html
import json
import re
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from training.dataset import DatasetError

LANGUAGES: Final = {
    "se": "sv", "cn": "zh", "cz": "cs", "gr": "el", "no": "nb", "nb_no": "nb", "rs": "sr", "jp": "ja", "ua": "uk", "dk": "da", "kr": "ko", "br":
    "pt", "in": "id", "iw": "he", "zh_tw": "zh-tw", "zh_hant": "zh-tw", "zh_hk": "zh-tw", "tw": "zh-tw", "c": "en",
    "dev": "und",
    "ces": "cs", "dan": "da", "deu": "de", "ell": "el", "eng": "en", "est": "et", "fin": "fi", "fra": "fr", "heb": "he", "hin": "hi",
    "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it", "jpn": "ja", "kor": "ko", "lav": "lv", "lit": "lt", "nld": "nl",
    "nob": "nb", "nno": "nn", "pol": "pl", "por": "pt", "ron": "ro", "rus": "ru", "slk": "sk", "slv": "sl", "spa": "es", "srp": "sr",
    "swe": "sv", "tha": "th", "tur": "tr", "ukr": "uk", "vie": "vi", "cmn": "zh", "arb": "ar", "bul": "bg", "cat": "ca", "eus": "eu",
    "glg": "gl", "gle": "ga", "cym": "cy", "mlt": "mt", "als": "sq", "mkd": "mk", "bos": "bs", "ltz": "lb", "oci": "oc", "roh": "rm",
    "bel": "be", "kat": "ka", "hye": "hy", "pes": "fa", "urd": "ur", "ben": "bn", "tam": "ta", "tel": "te", "guj": "gu", "mya": "my",
    "khm": "km", "lao": "lo", "zsm": "ms", "azj": "az", "kaz": "kk", "afr": "af", "swh": "sw", "tgl": "tl", "bre": "br", "fao": "fo",
}  # fmt: skip
"""Codes that packages use, in lower case, and the language that they mean."""
MARKUP: Final = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)
EMPTY_LINK: Final = re.compile(r"<link>\s*</link>")
LINK: Final = re.compile(r"\{\{[^{}]*link\(\\?\"([^\"\\]*)\\?\"\)[^{}]*\}\}")
PLURAL: Final = re.compile(r"\{\s*\w+\s*,\s*(?:plural|select)\s*,(?:[^{}]|\{[^{}]*\})*?other\s*\{([^{}]*)\}\s*\}")
PLACEHOLDER: Final = re.compile(
    r"\$\{[^{}]*\}|\{\{[^{}]*\}\}|%\{[^{}]*\}|\{[^{}\s]{0,40}\}|%\(\w+\)[sd]|%\d*\$?[sd]\b|\$\$[^$]*\$\$|\$\d|\bLINK\b", re.IGNORECASE
)
COUNTED: Final = re.compile(r"count|number|num|total|days?|months|years|filtered|duration|d$|\bn\b", re.IGNORECASE)
NAMES: Final = ("Nordwind", "Aurelia Media", "Kestrel", "Miravel", "Talbot & Co.", "Luma", "Ostara", "Vantio", "Brightwater", "Selva")
"""Made-up names that stand in for placeholders."""
UNSPACED: Final = re.compile(r"[぀-ヿ㐀-鿿฀-๿຀-໿ក-៿က-႟]")
TELLING_WORDS: Final = 4
"""A consent text needs so many words to mean something alone, two if its key names a decision: "Save" is every interface's own."""
PROSE_WORDS, PROSE_CHARACTERS = 8, 60
"""Least length of a paragraph of prose, as SOURCES of such text are usually counted."""
CHARACTERS_OF_A_WORD: Final = 2.5
"""In scripts without spaces between words."""
DECISION: Final = re.compile(r"accept|reject|decline|deny|refuse|agree|allow|customi[sz]e|manage|settings|preferences|btn|button|ok\b", re.IGNORECASE)
MOST_OF_A_LANGUAGE: Final = 600
"""So many paragraphs of prose or interface strings are taken of one package in one language, spread over all that it has."""


@dataclass(frozen=True, slots=True)
class Text:
    """One text of a package: where it was found, in which language, and what it is."""

    text: str
    lang: str
    label: str
    key: str
    kind: str | None = None
    hard: bool = False


@dataclass(frozen=True)
class Recipe:
    """How texts are taken out of the files of a package.

    Attributes
    ----------
    label : str
        "boilerplate", "article" or "other".
    format : str
        A name of `READERS`.
    files : str
        Regular expression that a file's whole path in the package matches; a group ``lang`` names the language.
    keys, not_keys, texts, not_texts : str
        Regular expressions that the key or the text must, or must not, match somewhere; a group ``lang`` in `keys` names the language.
    lang : str
        Language where neither path nor key names one.
    kind : str or None
        Of consent text whose key names no decision.
    most : int
        Texts of one language, at most.
    """

    label: str
    format: str
    files: str
    keys: str = ""
    not_keys: str = r"(?!)"
    texts: str = ""
    not_texts: str = r"(?!)"
    lang: str = "und"
    kind: str | None = None
    most: int = MOST_OF_A_LANGUAGE


def language(code: str) -> str:
    """Language of a package's code for it.

    Examples
    --------
    >>> [language(code) for code in ("pt-BR", "zh_Hant", "cz", "sr@latin", "fr-FR")]
    ['pt', 'zh-tw', 'cs', 'sr', 'fr']
    """
    code = code.lower().replace("-", "_").split("@")[0]
    code = LANGUAGES.get(code, code.split("_")[0])
    return LANGUAGES.get(code, code)


def readable(text: str) -> str:
    r"""The text as a visitor sees it: markup away, placeholders filled with made-up names and numbers, white space single.

    Examples
    --------
    >>> readable("<b>Accept</b> the {{ a || link(\"Terms\") }} &amp; {count, plural, one {# partner} other {# partners}}")
    'Accept the Terms & 12 partners'
    """
    text = LINK.sub(r"\1", html.unescape(MARKUP.sub("", EMPTY_LINK.sub("{link}", text))))
    text = PLURAL.sub(lambda m: m[1].replace("#", "12"), text)
    stable = zlib.crc32(text.encode("utf-8", "replace"))

    def value(match: re.Match[str]) -> str:
        name = match[0].strip("{}$%() ")
        return str(stable % 90 + 3) if COUNTED.search(name) else NAMES[stable % len(NAMES)]

    return " ".join(PLACEHOLDER.sub(value, text).split())


def n_words(text: str) -> float:
    """Number of words; in scripts without spaces, by the number of characters."""
    unspaced = len(UNSPACED.findall(text))
    return unspaced / CHARACTERS_OF_A_WORD if unspaced * 3 > len(text) else len(text.split())


def take(files: Mapping[str, bytes], recipe: Recipe) -> list[Text]:
    """Take the texts of a package.

    Parameters
    ----------
    files : mapping of str to bytes
        Path in the package to its content.
    recipe : Recipe

    Returns
    -------
    list of Text
        In the order of paths and places, none twice in a language.

    Raises
    ------
    DatasetError
        If nothing is found: the package is not what the recipe was written for.
    """
    pattern = re.compile(recipe.files)
    keys, not_keys, texts, not_texts = (re.compile(p) for p in (recipe.keys, recipe.not_keys, recipe.texts, recipe.not_texts))
    found: dict[tuple[str, str], Text] = {}
    for path in sorted(files):
        in_path = pattern.fullmatch(path)
        if not in_path:
            continue
        for key, raw in READERS[recipe.format](files[path]):
            in_key = keys.search(key)
            if not in_key or not_keys.search(key) or not texts.search(raw) or not_texts.search(raw):
                continue
            code = in_key.groupdict().get("lang") or in_path.groupdict().get("lang") or recipe.lang
            lang, text = language(code), readable(raw)
            if is_enough(text, key, recipe.label):
                is_button = recipe.label == "boilerplate" and bool(DECISION.search(key)) and n_words(text) <= MOST_WORDS_OF_A_BUTTON
                kind = ("button" if is_button else recipe.kind) if recipe.label == "boilerplate" else None
                hard = recipe.label == "article" and bool(HARD.search(text))
                found.setdefault((lang, text), Text(text, lang, recipe.label, key, kind, hard))
    if not found:
        raise DatasetError(
            f"no text was found in the files {recipe.files!r} with the keys {recipe.keys!r}; the package is not the one that this recipe is for"
        )
    return _spread(list(found.values()), recipe.most)


HARD: Final = re.compile(r"cookie|consent|privacy|GDPR|RGPD|DSGVO|クッキー|쿠키", re.IGNORECASE)
MOST_WORDS_OF_A_BUTTON: Final = 5


def is_enough(text: str, key: str, label: str) -> bool:
    """Whether a text is long enough to mean something alone, as its label."""
    words = n_words(text)
    if label == "article":
        return words >= PROSE_WORDS and (len(text) >= PROSE_CHARACTERS or bool(UNSPACED.search(text)))
    if label == "other":
        return words >= 1 and any(c.isalpha() for c in text)
    return words >= TELLING_WORDS or (words >= TELLING_WORDS / 2 and bool(DECISION.search(key)))


def _spread(texts: list[Text], most: int) -> list[Text]:
    """No more than `most` texts of a language, at equal distances; the hard ones are all kept."""
    by_lang: dict[str, list[Text]] = {}
    for t in texts:
        by_lang.setdefault(t.lang, []).append(t)
    kept = []
    for some in by_lang.values():
        step = max(1.0, len(some) / most)
        chosen = {int(i * step) for i in range(min(most, len(some)))}
        kept += [t for i, t in enumerate(some) if i in chosen or t.hard]
    return kept


def _read_javascript(data: bytes) -> Iterator[tuple[str, str]]:
    """String literals with the names of the variables and properties that they stand under; ``// src/x`` comments of bundlers count as such."""
    import tree_sitter_javascript
    from tree_sitter import Language, Parser

    section = ""
    stack: list[tuple[Any, str]] = [(Parser(Language(tree_sitter_javascript.language())).parse(data).root_node, "")]
    while stack:
        node, path = stack.pop()
        name = node.child_by_field_name("key") or node.child_by_field_name("name") or node.child_by_field_name("left")
        value = node.child_by_field_name("value") or node.child_by_field_name("right")
        if node.type == "comment":
            section = match[1] if (match := SECTION.match(node.text.decode("utf-8", "replace"))) else section
        elif node.type in ("pair", "variable_declarator", "assignment_expression") and name is not None and value is not None:
            stack.append((value, f"{path}.{name.text.decode('utf-8', 'replace').strip(QUOTES)}"))
        elif node.type in ("string", "template_string"):
            yield section + path, "".join(map(_literal, node.named_children))
            stack += [(child, path) for child in reversed(node.named_children) if child.type == "template_substitution"]
        else:
            stack += [(child, path) for child in reversed(node.children)]


SECTION: Final = re.compile(r"// (src/\S+)$")
QUOTES: Final = "\"'"


def _literal(node: Any) -> str:
    source: str = node.text.decode("utf-8", "replace")
    if node.type == "template_substitution":
        return "{name}" if IDENTIFIER.fullmatch(source) else ""
    if node.type != "escape_sequence":
        return source
    if source[1] in "ux":
        return chr(int(source[2:].strip("{}"), 16))
    return {"n": "\n", "t": "\t", "\n": ""}.get(source[1], source[1])


IDENTIFIER: Final = re.compile(r"\$\{[\w.]+\}")


def _walk(tree: object, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _walk(value, f"{path}.{key}")
    elif isinstance(tree, list):
        for value in tree:
            yield from _walk(value, path)


def _read_json(data: bytes) -> Iterator[tuple[str, str]]:
    return _walk(json.loads(data.decode("utf-8-sig")))


def _read_yaml(data: bytes) -> Iterator[tuple[str, str]]:
    import yaml

    return _walk(yaml.safe_load(data.decode("utf-8-sig")))


def _read_po(data: bytes) -> Iterator[tuple[str, str]]:
    import polib

    for entry in polib.pofile(data.decode("utf-8-sig")):
        if entry.msgstr and not entry.obsolete and "fuzzy" not in entry.flags:
            yield entry.msgid, entry.msgstr


def _read_mo(data: bytes) -> Iterator[tuple[str, str]]:
    """Paragraphs of each message; polib reads a file, so it is given one."""
    import polib

    with tempfile.NamedTemporaryFile(suffix=".mo") as file:
        file.write(data)
        file.flush()
        for entry in polib.mofile(file.name):
            for text in (entry.msgstr, *entry.msgstr_plural.values()):
                for paragraph in filter(None, text.split("\n\n")):
                    yield entry.msgid, paragraph


def _read_markup(data: bytes, *, is_html: bool) -> Iterator[tuple[str, str]]:
    """Paragraphs and list items without a paragraph inside."""
    from lxml import etree

    parser = etree.HTMLParser(encoding="utf-8") if is_html else etree.XMLParser(recover=True, resolve_entities=False, no_network=True)
    tree = etree.fromstring(data, parser)
    if tree is None:
        return
    for node in tree.iter():
        if not isinstance(node.tag, str):
            continue
        tag = etree.QName(node).localname
        if (tag in ("p", "para") or (tag == "li" and not node.xpath(".//*[local-name()='p']"))) and not node.xpath(
            "ancestor::*[local-name()='info']"
        ):
            yield tag, " ".join("".join(node.itertext()).split())


def _read_plain(data: bytes) -> Iterator[tuple[str, str]]:
    """Blocks between blank lines, and their lines joined; code and lists of markup are left to the recipe's patterns."""
    for block in re.split(r"\n\s*\n", _decoded(data)):
        yield "", " ".join(block.split())


def _read_lines(data: bytes) -> Iterator[tuple[str, str]]:
    for line in _decoded(data).split("\n"):
        yield "", line


def _read_quoted(data: bytes) -> Iterator[tuple[str, str]]:
    """Strings of templates, ``name = '...'``."""
    for match in re.finditer(r"(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\")", _decoded(data)):
        yield match[1], match[2] or match[3] or ""


def _read_wiki(data: bytes) -> Iterator[tuple[str, str]]:
    """Paragraphs of a dump of encyclopaedia articles, without their mark-up."""
    text = html.unescape(bz2.decompress(data).decode("utf-8", "replace"))
    for _ in range(3):
        text = re.sub(
            r"\{\{[^{}]*\}\}|\{\|.*?\|\}|<ref[^>/]*/>|<ref.*?</ref>|\[\[(?:File|Image):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]",
            "",
            text,
            flags=re.DOTALL,
        )
    text = re.sub(r"\[\[(?:[^\[\]|]*\|)?([^\[\]]*)\]\]|\[\S+ ([^\[\]]*)\]", lambda m: m[1] or m[2] or "", text.replace("'''", "").replace("''", ""))
    for line in text.split("\n"):
        if re.match(r"[A-Z\"(]", line) and len(line) >= 2 * PROSE_CHARACTERS and not re.search(r"[{}\[\]<>|]", line):
            yield "", line


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


READERS: Final[dict[str, Callable[[bytes], Iterator[tuple[str, str]]]]] = {
    "javascript": _read_javascript,
    "json": _read_json,
    "yaml": _read_yaml,
    "po": _read_po,
    "mo": _read_mo,
    "html": lambda data: _read_markup(data, is_html=True),
    "xml": lambda data: _read_markup(data, is_html=False),
    "plain": _read_plain,
    "lines": _read_lines,
    "quoted": _read_quoted,
    "wiki": _read_wiki,
}
