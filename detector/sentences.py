"""Where a line may be cut: at the ends of sentences, and at the seams that extractors leave between blocks.

An edge is an offset in code points at which a new sentence or label begins. A *strong* edge is the end of a sentence, a bullet or a pipe, or
a full stop glued to the next sentence ("said.We use"). A *weak* one is a place where a new label may begin without any mark: a capital letter
after a small one, with or without a space ("allReject"), a word in a script without capitals, a colon. An edge never lies inside a word,
as far as letters tell. Everything is a few passes over the code points of the line; a wrong edge costs nothing where both sides have one label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detector.characters import CLASS_OF_CODE, PUNCTUATION, SPACE, UNSPACED

OTHER, LOWER, UPPER, CASELESS, UNSPACED_LETTER, DIGIT, BLANK, BREAK, STOP, WIDE_STOP, CLOSE, OPEN, BULLET, COLON = range(14)
STOPS: Final = ".!?\u2026\u203d\u2047\u2048\u2049\u061f\u06d4\u0964\u0965\u0589\u1362\u1367\u104a\u104b\u17d4\u17d5\u037e"
"""Ends of sentences that a space follows: Latin, Arabic, Urdu, danda, Armenian, Ethiopic, Burmese, Khmer, Greek."""
WIDE_STOPS: Final = "\u3002\uff01\uff1f\uff61\uff0e"
"""Ends of sentences that nothing follows: Chinese and Japanese."""
CLOSES: Final = ")]}\u201d\u2019\u00bb\u203a\"'\u300d\u300f\u3011\u300b\u3009\uff09\u3015\u3017"
OPENS: Final = "([{\u201c\u2018\u201e\u201a\u00ab\u2039\u00bf\u00a1\u300c\u300e\u3010\u300a\u3008\uff08\u3014\u3016"
BULLETS: Final = (
    "|\u2016\u00a6\uff5c\u2022\u00b7\u25aa\u25ab\u25cf\u25cb\u25a0\u25a1\u25e6\u25b6\u25ba\u25b8\u2023\u2043\u2713\u2714\u2705\u2717\u2718"
    "\u2715\u2716\u00d7\u2605\u203b\u2192\u2794\u2610\u2611\u2612"
)
COLONS: Final = ":;\u2013\u2014\uff1a\uff1b\u061b"
BREAKS: Final = "\n\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"
"""White space that separates blocks."""
WIDE_GAP: Final = 3
"""So many blanks separate blocks."""
ABBREVIATIONS: Final = frozenset(
    (
        "abb abs adj adv al anm apr art asst aug av ave ay bd bl bldg bzw ca cap cf ch chr cit co col corp cz dec dept dez dipl dir dr "
        "dt ed eds eg ehem ein env etc evtl ex excl feb ff fig fr geb gem gen gest ggf gov hd hon hr ie inc incl ing ital jan jr jul "
        "jun kap kl kpt lt ltd maj mar max mgr min mio mme mr mrd mrs ms msgr mt mtro nat nov nr nro nrs nt núm obr oct okt op orig os "
        "ost pag par pkt pl plc pol pos pp pr prof prov pst publ pág red ref reg rep resp rev rm rs sen sep sept ses sgt skr slg soc "
        "sog spec spp sr sra srta st ste stk str supp tab tel tj tzn tzv uff ul usw vd vgl vol vs wg zb zt zw "
        "бул вв гг гр др им кв лат млн млрд напр обл пер пл пос пр прим проф рис руб св см ст стр тыс ул хр чл "
    ).split()
)
"""Words of two letters and more before whose full stop a sentence rarely ends; single letters are initials."""
LONGEST_ABBREVIATION: Final = max(map(len, ABBREVIATIONS))
CAMELS: Final = frozenset(
    (
        "adsense amazonpay androidtv appletv bluesky cookiebot cookieyes dailymotion deepl doubleclick ebay facetime firefox github "
        "gitlab gopro hotjar hubspot icloud imac imessage ios ipad iphone ipod itunes javascript jetbrains jquery linkedin livechat "
        "livejournal mailchimp mastercard moneygram mysql netbeans newrelic onedrive onenote onetrust openai openoffice openstreetmap "
        "paypal playstation postgresql powerpoint prestashop quickbooks realplayer recaptcha researchgate sharepoint soundcloud "
        "sourceforge stackoverflow tiktok tripadvisor trustarc typescript vkontakte wechat whatsapp wikileaks wordpress youtube "
        "zoominfo "
    ).split()
)
"""Names that are written with a capital inside."""
INITIAL: Final = re.compile(r"(?:^|[^\w])(?:(?P<letters>[^\W\d_]+)|(?P<digits>\d{1,2}))\Z")
CLOSES_AT_MOST: Final = 3
"""Closing marks after the end of a sentence, with the spaces between."""
UNSEEN: Final = "\u200b\u200e\u200f\ufeff"
"""Zero-width space and marks of direction, which pages put between labels; those inside words (soft hyphen, joiners) are none of them."""
SEPARATOR: Final = "\n\x01\n"
CHARACTERS_AT_ONCE: Final = 1 << 20
LONGEST: Final = 24
"""No abbreviation or name is longer; more of the line is not looked at."""


@cache
def _categories() -> NDArray[np.uint8]:
    """uint8 [0x110000]: what each code point is to a cut."""
    table = np.full(len(CLASS_OF_CODE), CASELESS, np.uint8)
    table[CLASS_OF_CODE == PUNCTUATION] = OTHER
    table[CLASS_OF_CODE == UNSPACED] = UNSPACED_LETTER
    table[CLASS_OF_CODE == SPACE] = BLANK
    table[[ord(c) for c in UNSEEN]] = BLANK
    letters = np.arange(0x1E944, dtype=np.uint32).view("<U1")  # no script beyond has two cases
    lower, upper = np.char.islower(letters), np.char.isupper(letters) | np.char.istitle(letters)
    lower[0x10D0:0x1100] = False  # Georgian has capitals, but doesn't begin words with them
    for found, value in ((np.char.isdigit(letters), DIGIT), (upper, UPPER), (lower, LOWER)):
        table[: len(letters)][found] = value
    for characters, value in (
        *((STOPS, STOP), (WIDE_STOPS, WIDE_STOP), (CLOSES, CLOSE), (OPENS, OPEN), (BULLETS, BULLET), (COLONS, COLON), (BREAKS, BREAK)),
    ):
        table[[ord(c) for c in characters]] = value
    table[ord("_")] = LOWER
    return table


@cache
def _blanks() -> str:
    """All that is white space to a cut; `str.strip` alone would leave what is unseen."""
    return "".join(map(chr, np.flatnonzero(np.isin(_categories(), (BLANK, BREAK))).tolist()))


def find_edges(text: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Offsets at which a line may be cut.

    Parameters
    ----------
    text : str
        One line.

    Returns
    -------
    offsets : ndarray of intp, shape (n_edges,)
        In code points, ascending, each greater than 0 and less than ``len(text)``; what begins there is no white space.
    strong : ndarray of bool, shape (n_edges,)
        Whether a sentence or block ends before it; the others are places where a label may begin.

    Examples
    --------
    >>> offsets, strong = find_edges("Dr. Lee left at 5.30 p.m. yesterday.We use cookies Accept allReject all")
    >>> [(int(offset), bool(s)) for offset, s in zip(offsets, strong)]
    [(4, False), (26, False), (36, True), (51, False), (61, False)]
    """
    _, offsets, strong = find_units([text])
    return offsets[1:], strong[1:]


def find_units(lines: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Starts of the units of many lines at once: of each line its beginning, and its edges.

    Parameters
    ----------
    lines : sequence of str

    Returns
    -------
    line, offset : ndarray of intp, shape (n_units,)
        The line of each unit, and where it begins in it, in code points.
    strong : ndarray of bool, shape (n_units,)
        Whether a sentence or block ends before it, or the line begins there.
    """
    parts = [(np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.bool_))]
    for start, end in runs_of(lines, CHARACTERS_AT_ONCE):
        line, offset, strong = _find_units(lines[start:end])
        parts.append((line + start, offset, strong))
    line, offset, strong = (np.concatenate(column) for column in zip(*parts, strict=True))
    return line, offset, strong


def runs_of(lines: Sequence[str], characters: int) -> Iterator[tuple[int, int]]:
    """Yield first line and end of runs of so many characters or a line more; a longer line is a run of its own or the last of one."""
    start = 0
    while start < len(lines):
        size, end = len(lines[start]), start + 1
        while end < len(lines) and size < characters:
            size += len(lines[end])
            end += 1
        yield start, end
        start = end


def _find_units(lines: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    text = SEPARATOR.join(lines)
    begin = np.zeros(len(lines), np.intp)
    np.cumsum([len(line) + len(SEPARATOR) for line in lines[:-1]], out=begin[1:])
    place, strong = _edges(text)
    line = np.searchsorted(begin, place, side="right") - 1
    # the separators, and what begins a line, are edges of the joined text only
    length = np.array([len(line) for line in lines])
    blanks = _blanks()
    first = np.array([len(line) - len(line.lstrip(blanks)) for line in lines])
    inside = (place > begin[line] + first[line]) & (place < begin[line] + length[line])
    place, strong, line = place[inside], strong[inside], line[inside]
    at = np.searchsorted(line, np.arange(len(lines)))
    offset = np.insert(place - begin[line], at, 0)
    return np.insert(line, at, np.arange(len(lines))), offset, np.insert(strong, at, True)


def _edges(text: str) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Edges of a text of lines between `SEPARATOR`, which is visible, so that no line sees another."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))
    kind = _categories()[codes]
    blank = (kind == BLANK) | (kind == BREAK)
    solid = np.flatnonzero(~blank)
    if len(solid) < 2:
        return np.empty(0, np.intp), np.empty(0, np.bool_)
    # the visible characters, with room on both sides to look at their neighbours
    seen = np.pad(kind[solid], 3, constant_values=OTHER)
    # an edge lies after a space, before a capital or a bullet, or after a wide full stop; nowhere else is worth a look
    left, here = seen[3:-4], seen[4:-3]
    number = 1 + np.flatnonzero((np.diff(solid) > 1) | (here == UPPER) | (here == BULLET) | (left == WIDE_STOP) | (left == CLOSE))
    # the last character before each that closes nothing: the full stop of `said." We`; one further back, with other text between, says nothing
    last = number - 1
    closes = np.flatnonzero(seen[number + 2] == CLOSE)
    if len(closes):
        open_ = np.flatnonzero(left != CLOSE)
        last[closes] = np.append(0, open_)[np.searchsorted(open_, number[closes])]
    at, before = solid[number], solid[number - 1]
    before_that, before_left, left, here, following = (seen[number + shift] for shift in range(5))
    gap = at - before - 1
    spaced = gap > 0
    ender = np.where((left == CLOSE) & (before - solid[last] > CLOSES_AT_MOST), OTHER, kind[solid[last]])
    starts = (here != LOWER) & (here != STOP) & (here != WIDE_STOP) & (here != CLOSE) & (here != COLON) & (here != OTHER)
    stop = ender == STOP
    directly_after = np.append(kind[1:], np.uint8(BREAK))[at]
    capitalised = (here == UPPER) & ((following == LOWER) | (directly_after == BLANK))
    strong = (spaced & stop & starts) | ((ender == WIDE_STOP) & starts)
    # "said.We", "5.We", "TV?By", "VR.We", but not "U.S.A"
    full = (before_left == LOWER) | (before_left == CLOSE) | (before_left == DIGIT)
    full |= (before_left == UPPER) & ((codes[before] != ord(".")) | (before_that == UPPER))
    strong |= ~spaced & (left == STOP) & capitalised & full
    strong |= (here == BULLET) & (left != BULLET) & (spaced | (left != OTHER))
    strong |= spaced & (here == UNSPACED_LETTER) & (left == UNSPACED_LETTER)
    wide = (gap >= WIDE_GAP) | (kind[before + 1] == BREAK) | (kind[at - 1] == BREAK)  # a smaller gap has no other blanks
    strong |= wide
    letter = (here == CASELESS) | (here == UNSPACED_LETTER) | (here == UPPER)
    camel = ~spaced & capitalised & ((left == LOWER) & (before_left == LOWER) | (left == DIGIT) & (before_left != UPPER) | (left == CLOSE))
    weak = ~strong & (
        spaced & (((stop | (left == BULLET)) & (here == LOWER)) | (here == UPPER) | (here == CASELESS) | (letter & (left == COLON)) | (gap > 1))
        | camel
    )
    weak &= ~(spaced & (codes[at] == ord("I")) & (directly_after == BLANK) & (left != STOP))  # the English pronoun
    edge = np.flatnonzero(strong | weak)
    strong = strong[edge]
    doubtful = np.flatnonzero(np.where(strong, stop[edge] & ~wide[edge], camel[edge]))
    keep = np.ones(len(edge), np.bool_)
    for i in doubtful.tolist():
        place = int(at[edge[i]])
        if strong[i]:
            end = int(solid[last[edge[i]]])
            if text[end] == "." and _abbreviates(text[max(0, end - LONGEST) : end]):
                strong[i] = False
                keep[i] = here[edge[i]] in (UPPER, CASELESS)
        elif _is_name(text, place):
            keep[i] = False
    return at[edge[keep]], strong[keep]


def _abbreviates(left: str) -> bool:
    """Whether a full stop after this text hardly ends a sentence: an initial, a short number, an abbreviation."""
    if len(left) > LONGEST_ABBREVIATION and left[-LONGEST_ABBREVIATION - 1 :].isalpha():  # nine in ten, a fifth of the time of the search
        return False
    found = INITIAL.search(left)
    if not found:
        return False
    letters = found["letters"]
    return letters is None or (len(letters) == 1) or letters.lower() in ABBREVIATIONS


def _is_name(text: str, place: int) -> bool:
    """Whether the capital at a place stands inside a name such as YouTube or McDonald."""
    start, end = place, place
    while start and place - start < LONGEST and text[start - 1].isalnum():
        start -= 1
    while end < len(text) and end - place < LONGEST and text[end].isalnum():
        end += 1
    word = text[start:end]
    head = word[: place - start]
    return word.lower() in CAMELS or len(head) < 2 or head in ("Mc", "Mac", "La", "De", "Le", "Di", "Van", "Von", "Fitz")
