"""What each character is to the features: white space, punctuation, part of a word, or a token of its own.

The tables are by code point, in named ranges, and do not follow the Unicode version of the interpreter, because a hash must mean
the same everywhere and for ever. They are small on purpose: a wrong class for a rare character costs one n-gram, nothing else.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SPACE: Final = 0
"""White space as `str.isspace` has it: separates tokens, and a line of nothing else is blank."""
PUNCTUATION: Final = 1
"""Separates tokens; symbols, controls, private use (icon fonts) and lone surrogates are here too."""
WORD: Final = 2
"""Part of a token: letters, digits, marks, underscore, and the multiplication sign, which is the close button of dialogues."""
UNSPACED: Final = 3
"""A token of its own: characters of scripts that are written without spaces between words."""

SPACES: Final = (
    (0x09, 0x0D),  # tab, line feed, vertical tab, form feed, carriage return
    (0x1C, 0x20),  # separators of files, groups, records, units; the space
    (0x85, 0x85),  # next line
    (0xA0, 0xA0),  # no-break space
    (0x1680, 0x1680),  # ogham space
    (0x2000, 0x200A),  # typographic spaces
    (0x2028, 0x2029),  # line and paragraph separator
    (0x202F, 0x202F),  # narrow no-break space
    (0x205F, 0x205F),  # mathematical space
    (0x3000, 0x3000),  # ideographic space
)

PUNCTUATIONS: Final = (
    (0x00, 0x2F),  # ASCII controls and punctuation (white space is set after this)
    (0x3A, 0x40),
    (0x5B, 0x5E),  # up to, but without, the underscore: cookies are named _ga
    (0x60, 0x60),
    (0x7B, 0x7F),
    (0x80, 0xA9),  # C1 controls, Latin-1 punctuation
    (0xAB, 0xB4),
    (0xB6, 0xB9),
    (0xBB, 0xBF),
    (0xF7, 0xF7),
    (0x037E, 0x037E),  # Greek question mark
    (0x0387, 0x0387),  # Greek middle dot
    (0x055A, 0x055F),  # Armenian
    (0x0589, 0x058A),
    (0x05BE, 0x05BE),  # Hebrew maqaf
    (0x05C0, 0x05C0),
    (0x05C3, 0x05C3),
    (0x060C, 0x060D),  # Arabic comma
    (0x061B, 0x061F),  # Arabic semicolon, question mark
    (0x066A, 0x066D),
    (0x06D4, 0x06D4),  # Arabic full stop
    (0x0964, 0x0965),  # danda
    (0x0970, 0x0970),
    (0x1360, 0x1368),  # Ethiopic
    (0x1800, 0x180A),  # Mongolian
    (0x2000, 0x2BFF),  # general punctuation, currency, letterlike signs, arrows, mathematics, boxes, dingbats
    (0x2E00, 0x2E7F),  # supplemental punctuation
    (0x3001, 0x3004),  # CJK punctuation
    (0x3008, 0x3020),
    (0x3030, 0x3030),
    (0x303D, 0x303F),
    (0x30A0, 0x30A0),
    (0x30FB, 0x30FB),  # katakana middle dot
    (0xD800, 0xDFFF),  # lone surrogates
    (0xE000, 0xF8FF),  # private use: icon fonts
    (0xFD3E, 0xFD3F),
    (0xFE00, 0xFE1F),  # variation selectors, vertical forms
    (0xFE30, 0xFE6F),
    (0xFEFF, 0xFEFF),  # byte-order mark
    (0xFF01, 0xFF0F),  # full-width punctuation
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
    (0xFFE0, 0xFFFF),
    (0x1F000, 0x1FAFF),  # emoji and pictographs
    (0xE0000, 0x10FFFF),  # tags, private use
)

UNSPACEDS: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),
    (0x3021, 0x302F),
    (0x3031, 0x303C),
    (0x3040, 0x309F),  # hiragana
    (0x30A1, 0x30FA),  # katakana
    (0x30FC, 0x312F),  # prolonged sound mark, bopomofo
    (0x31A0, 0x31BF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),  # Han
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF66, 0xFF9F),  # half-width katakana
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),  # Han, further planes
)

CASED: Final = ((0xC0, 0x587), (0x1E00, 0x1FFF), (0x2C00, 0x2DFF), (0xA640, 0xA7FF), (0xFF21, 0xFF3A))
"""Blocks whose capitals are folded: Latin, Greek, Cyrillic, Armenian and their extensions, full-width Latin."""

ZEROS: Final = (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0E50, 0x0ED0, 0x17E0, 0x1040, 0xFF10)
"""Digit zero of the scripts with digits of their own; the nine digits after it are folded to it, as ASCII digits are to "0"."""

GREEK_TONOS: Final = dict(zip("άέήίόύώϊϋΐΰς", "αεηιουωιυιυσ", strict=True))
"""Greek capitals are written without accents, and a final sigma is a sigma: both are folded, so that a heading in capitals is its words."""

DELETED: Final = "\u00ad"
"""The soft hyphen is no part of a word."""

DOTLESS: Final = {"İ": "i", "ı": "i"}
"""Turkish capitals: "I" is lower-cased to "i" by its ASCII value, so its dotless letter and its dotted capital go there too."""


def fold_character(character: str) -> str:
    """Fold one non-ASCII character: lower case, digits to zero, Greek without accents; the UTF-8 length never changes.

    A capital whose lower-case form has another UTF-8 length (fewer than twenty rare signs, such as the Kelvin sign) stays as it is.

    Examples
    --------
    >>> fold_character("Ж"), fold_character("Ή"), fold_character("٣"), fold_character("ß")
    ('ж', 'η', '٠', 'ß')
    """
    code = ord(character)
    if any(low <= code <= high for low, high in CASED):
        lower = character.lower()
        if len(lower) == 1 and len(lower.encode()) == len(character.encode()):
            character = lower
        return GREEK_TONOS.get(character, character)
    for zero in ZEROS:
        if zero <= code < zero + 10:
            return chr(zero)
    return character


def _classes() -> NDArray[np.uint8]:
    table = np.full(0x110000, WORD, np.uint8)
    for ranges, value in ((PUNCTUATIONS, PUNCTUATION), (UNSPACEDS, UNSPACED), (SPACES, SPACE)):
        for low, high in ranges:
            table[low : high + 1] = value
    return table


def _folded() -> NDArray[np.uint16]:
    table = np.arange(0x10000, dtype=np.uint16)
    for low, high in CASED:
        for code in range(low, high + 1):
            table[code] = ord(fold_character(chr(code)))
    for zero in ZEROS:
        table[zero : zero + 10] = zero
    return table


CLASS_OF_CODE: Final = _classes()
"""uint8 [0x110000]: class of each code point."""
FOLD_OF_CODE: Final = _folded()
"""uint16 [0x10000]: folded code point of each code point of the basic plane; none above it is folded."""
