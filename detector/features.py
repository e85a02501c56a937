"""Turn lines of text into hashed n-grams with a few numpy passes over their UTF-8 bytes.

The one function that matters is `hash_lines`; training makes CSR counts of its result, prediction looks weights up with it, so the two
cannot differ. No Python-level loop runs for a line or a token. Where it was compiled, `detector/native/scoring.c` hashes and sums in one pass in its
place, with the same result.

The features of a line, each hashed into one of ``2**bits`` buckets:

- its words, where a word is a run of letters, digits and underscores, folded by `characters.fold_character`, digits to "0"; in scripts
  without spaces every character is a word
- the prefixes of 4 and of 6 characters of its longer words (2 and 3 syllables of Hangul); in scripts without spaces, the runs of 3 and of 4
  characters instead
- bigrams of neighbouring words
- its first and last word, its first and last two words

The hash of a run of bytes is a sum of products, modulo 2**64, of its 8-byte words with odd multipliers, of which the top bits are used
(multiply-shift hashing, Dietzfelbinger 1997). Its bytes are had from two aligned 8-byte loads a token, so hashing costs nothing for each byte;
prefix sums of a polynomial, the other way to do it without a loop, took 2 ns for each byte, a quarter of all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detector.characters import CLASS_OF_CODE, DELETED, DOTLESS, FOLD_OF_CODE, SPACE, UNSPACED, WORD

KINDS: Final = ("word", "prefix4", "prefix6", "bigram", "first", "last", "first_two", "last_two")
"""Kinds of features; the first four are had for every token, the others once for each line."""
MULTIPLIERS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93)
"""Multipliers of the first, second, third and fourth 8 bytes of a word."""
KIND_MULTIPLIERS: Final = (0, 0xFF51AFD7ED558CCD, 0xA0761D6478BD642F, 0x85EBCA6B, 0xC2B2AE35, 0x27D4EB2F, 0x2C1B3C6D, 0x297A2D39)
"""Odd multiplier that spreads each kind of feature over the buckets in its own way: for prefixes in place of the first of `MULTIPLIERS`, for
bigrams and the kinds of a line on the 32-bit hash of a word or a pair."""
PREFIX_MULTIPLIERS: Final = np.array(KIND_MULTIPLIERS[:3], np.uint64)
PAIR: Final = 0x9E3779B1
"""The hash of two words is ``first * PAIR + second``, modulo 2**32."""
LONGEST: Final = 32
"""A word longer than this many bytes is hashed by its first bytes and its length."""

PADDING: Final = 48
"""Zero bytes after the text, at least, so that loads and looks a few characters ahead stay inside the array."""
LENGTH_OF_LEAD: Final = np.array([1 + (b >= 0xC0) + (b >= 0xE0) + (b >= 0xF0) for b in range(256)], np.intp)
"""Bytes of the UTF-8 character that starts with each byte."""
RARE: Final = tuple((letter.encode(), replacement.encode()) for letter, replacement in {DELETED: "", **DOTLESS}.items())
"""Characters that are replaced by another number of bytes."""
RARE_OF_LEADS: Final = np.zeros((256, 256), np.uint8)
"""By the first two bytes of a character, its place in `RARE`, from 1; few texts have any, so the bytes are looked up first."""
for _i, (_letter, _) in enumerate(RARE, 1):
    RARE_OF_LEADS[tuple(_letter)] = _i
LOST_OF_RARE: Final = np.array([0, *(len(letter) - len(replacement) for letter, replacement in RARE)], np.intp)
"""Bytes that go with each of them. What replaces it is ASCII."""
FEW_RARE: Final = 1000
"""So many of them in a chunk are replaced one by one."""
NOT_ASCII: Final = np.uint64(0x808080808080)
"""Mask of the bits that say whether one of 6 bytes is no ASCII character."""
WORD_MASKS: Final = np.array([(1 << 8 * k) - 1 for k in range(9)], np.uint64)
"""Masks that keep the first k bytes of a little-endian 8-byte word."""


class HashedLines(NamedTuple):
    """Hashed features of consecutive lines.

    Attributes
    ----------
    tokens : ndarray of intp, shape (n_lines + 1,)
        Line i has the tokens ``tokens[i]:tokens[i + 1]``.
    token_buckets : ndarray of int64, shape (4, n_tokens)
        Buckets of the kinds word, prefix4, prefix6, bigram; ``2**bits`` stands for "has none".
    line_buckets : ndarray of int64, shape (4, n_lines_with_tokens)
        Buckets of the kinds first, last, first_two, last_two of the lines that have a token; ``2**bits`` stands for "has none".
    lines : ndarray of intp, shape (n_lines_with_tokens,)
        The lines that have a token.
    blank : ndarray of bool, shape (n_lines,)
        The lines of nothing but white space.
    newlines : ndarray of intp, shape (n_lines - 1,)
        Places of the line ends in the text as it came, in UTF-8.
    folded : ndarray of uint8
        The text as it was hashed, in UTF-8, with zeros behind it.
    starts, ends : ndarray of intp, shape (n_tokens,)
        Place of each token in it.
    """

    tokens: NDArray[np.intp]
    token_buckets: NDArray[np.int64]
    line_buckets: NDArray[np.int64]
    lines: NDArray[np.intp]
    blank: NDArray[np.bool_]
    newlines: NDArray[np.intp]
    folded: NDArray[np.uint8]
    starts: NDArray[np.intp]
    ends: NDArray[np.intp]


def utf8(text: str) -> bytes:
    """UTF-8 of any text; a lone surrogate is encoded as if it were a character."""
    return text.encode("utf-8", "surrogatepass")


def hash_lines(text: str | bytes, bits: int) -> HashedLines:
    r"""Hash the features of each line of a text; only "\\n" ends a line.

    Parameters
    ----------
    text : str or bytes
        Any text, lone surrogates included, or what `utf8` makes of it. ``"a\nb"`` has two lines, ``"a\n"`` has two, of which the second is blank.
    bits : int
        Binary logarithm of the number of buckets, 1 to 31.

    Returns
    -------
    HashedLines

    Examples
    --------
    >>> hashed = hash_lines("Accept all cookies\n\nOK", bits=18)
    >>> hashed.tokens.tolist(), hashed.blank.tolist()
    ([0, 3, 3, 4], [False, True, False])
    """
    raw = text if isinstance(text, bytes) else utf8(text)
    folded, words, unspaced, spaces = _fold(raw)
    n = len(words) - 2
    starts, ends = _words(words, unspaced, folded)

    newlines = _newlines(folded[:n])
    tokens = np.empty(len(newlines) + 2, np.intp)
    tokens[0] = 0
    tokens[1:-1] = np.searchsorted(starts, newlines)
    tokens[-1] = len(starts)
    lines = np.flatnonzero(tokens[1:] > tokens[:-1])

    token_buckets = np.empty((4, len(starts)), np.int64)
    line_buckets = np.empty((4, len(lines)), np.int64)
    none = 1 << bits
    loads = _Loads(folded)
    lengths = ends - starts
    first_eight = loads.at(starts)
    hashes = _hash_spans(loads, starts, lengths, first_eight, np.uint64(MULTIPLIERS[0]))
    np.right_shift(hashes, np.uint64(64 - bits), out=token_buckets[0].view(np.uint64))
    for row, size in ((1, 4), (2, 6)):
        prefixes = first_eight & WORD_MASKS[size]
        prefixes *= PREFIX_MULTIPLIERS[row]
        np.right_shift(prefixes, np.uint64(64 - bits), out=token_buckets[row].view(np.uint64))
        # "has none" is larger than any bucket; a masked copy takes four times as long
        np.maximum(token_buckets[row], np.multiply(lengths <= size, none, dtype=np.int64), out=token_buckets[row])
    _hash_wide_prefixes(loads, folded, starts, ends, lengths, first_eight, none, token_buckets)
    if len(unspaced):
        _hash_runs(loads, starts, ends, first_eight, none, token_buckets, unspaced)
    if len(starts):
        words = (hashes >> np.uint64(32)).astype(np.uint32)
        pairs = words * np.uint32(PAIR)
        pairs[:-1] += words[1:]
        token_buckets[3] = _bucket(pairs, 3, bits)
        first, last = tokens[lines], tokens[lines + 1] - 1
        token_buckets[3][last] = none
        for row, (source, at) in enumerate(((words, first), (words, last), (pairs, first), (pairs, last - 1))):
            line_buckets[row] = _bucket(source[at], 4 + row, bits)
        line_buckets[2:, first == last] = none
    blank = _blank_lines(folded[:n], spaces, newlines, tokens)
    if n != len(raw):
        newlines = _newlines(np.frombuffer(raw, np.uint8))
    return HashedLines(tokens, token_buckets, line_buckets, lines, blank, newlines, folded, starts, ends)


def _newlines(text: NDArray[np.uint8]) -> NDArray[np.intp]:
    return np.flatnonzero(text == ord("\n"))


class _Loads:
    """8 bytes from anywhere in an array, as little-endian numbers, by two aligned loads."""

    def __init__(self, folded: NDArray[np.uint8]) -> None:
        self.words = folded.view(np.dtype("<u8"))

    def at(self, position: NDArray[np.intp]) -> NDArray[np.uint64]:
        word = position >> 3
        shift = ((position & 7) << 3).view(np.uint64)
        low = self.words.take(word)
        low >>= shift
        word += 1
        high = self.words.take(word)
        high <<= np.uint64(64) - shift  # a shift by 64 gives 0 in numpy
        low |= high
        return low


def _hash_spans(
    loads: _Loads, starts: NDArray[np.intp], lengths: NDArray[np.intp], first_eight: NDArray[np.uint64], multiplier: np.uint64
) -> NDArray[np.uint64]:
    """64-bit hashes of runs of bytes, of which the top bits are good; `first_eight` are the 8 bytes from each start, times `multiplier`."""
    hashes: NDArray[np.uint64] = first_eight & WORD_MASKS.take(lengths, mode="clip")
    hashes *= multiplier
    rest = np.flatnonzero(lengths > 8)
    for k, factor in enumerate(MULTIPLIERS[1:], 1):
        if not len(rest):
            return hashes
        more = loads.at(starts[rest] + 8 * k)
        more &= WORD_MASKS.take(lengths[rest] - 8 * k, mode="clip")
        more *= np.uint64(factor)
        hashes[rest] += more
        rest = rest[lengths[rest] > 8 * (k + 1)]
    hashes[rest] += lengths[rest].view(np.uint64) * np.uint64(PAIR << 32 | PAIR)
    return hashes


def _bucket(hashes: NDArray[np.uint32], kind: int, bits: int) -> NDArray[np.uint32]:
    """Buckets of 32-bit hashes."""
    mixed = hashes >> np.uint32(15)
    mixed ^= hashes
    mixed *= np.uint32(KIND_MULTIPLIERS[kind])
    mixed >>= np.uint32(32 - bits)
    return mixed


def _fold(raw: bytes) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.intp], NDArray[np.intp]]:
    """Fold UTF-8 bytes and find the words.

    Returns the folded bytes [n + PADDING], which bytes are of words [n + 2], with False before and behind, the first bytes of characters of
    unspaced scripts, and the bytes of white space beyond ASCII. ASCII is folded by arithmetic; other characters are decoded, so that text with
    few of them costs little more.
    """
    none = np.empty(0, np.intp)
    if raw.isascii():
        folded = _folded_ascii(raw)
        return folded, _ascii_words(folded, len(raw)), none, none
    given = np.frombuffer(raw, np.uint8)
    leads = np.flatnonzero(given >= 0xC0)
    rare = RARE_OF_LEADS[given[leads], given[leads + 1]]
    if rare.any():
        at = np.flatnonzero(rare)
        raw = _replace_rare(raw, leads[at], rare[at])
        leads = (leads - np.cumsum(LOST_OF_RARE[rare]))[rare == 0]
    folded = _folded_ascii(raw)
    words = _ascii_words(folded, len(raw))
    first = folded[leads]
    unspaced, spaces = [none], [none]
    for length, low, high in ((2, 0xC0, 0xDF), (3, 0xE0, 0xEF), (4, 0xF0, 0xFF)):
        at = leads[(first >= low) & (first <= high)]
        if not len(at):
            continue
        codes = folded[at].astype(np.uint32) & np.uint32(0xFF >> (length + 1))
        for i in range(1, length):
            codes = (codes << np.uint32(6)) | (folded[at + i] & np.uint8(0x3F))
        if length < 4:
            _write_lower(folded, at, codes, length)
        found = CLASS_OF_CODE[codes]
        other = np.flatnonzero(found != WORD)
        position, found = at[other], found[other]
        unspaced.append(position[found == UNSPACED])
        position = position[found < WORD]
        for i in range(1, length + 1):
            words[position + i] = False
        spaces.append((at[other[found == SPACE]] + np.arange(length)[:, None]).ravel())
    return folded, words, np.sort(np.concatenate(unspaced), kind="stable"), np.concatenate(spaces)


def _write_lower(folded: NDArray[np.uint8], at: NDArray[np.intp], codes: NDArray[np.uint32], length: int) -> None:
    """Write the folded form over each character of a UTF-8 length that has another."""
    lower = FOLD_OF_CODE[codes]
    changed = np.flatnonzero(lower != codes)
    position, code = at[changed], lower[changed]
    for i in range(length - 1, 0, -1):
        folded[position + i] = 0x80 | (code & np.uint16(0x3F))
        code = code >> np.uint16(6)
    folded[position] = ((0xF00 >> length) & 0xFF) | code


def _folded_ascii(raw: bytes) -> NDArray[np.uint8]:
    """The bytes with ASCII letters in lower case and digits as "0", and `PADDING` zeros or a few more behind them: whole 8-byte words.

    A few passes of arithmetic over bytes, .20 ns for each; `bytes.translate` takes .36.
    """
    folded = np.zeros((len(raw) + PADDING + 7) // 8 * 8, np.uint8)
    folded[: len(raw)] = np.frombuffer(raw, np.uint8)
    shifted = folded - np.uint8(ord("A"))  # other bytes wrap around to more than 25
    found = shifted < 26
    folded += np.multiply(found.view(np.uint8), np.uint8(ord("a") - ord("A")), out=shifted)
    np.subtract(folded, np.uint8(ord("0")), out=shifted)
    np.less(shifted, 10, out=found)
    folded -= np.multiply(shifted, found.view(np.uint8), out=shifted)
    return folded


def _ascii_words(folded: NDArray[np.uint8], n: int) -> NDArray[np.bool_]:
    """Whether each folded byte is an ASCII letter, digit or underscore, or of a longer character: shape (n + 2,), with False before and behind.

    Which of the others are white space is looked up where it matters (`_blank_lines`). A table takes .40 ns for each byte, this .10.
    """
    words = np.zeros(n + 2, np.bool_)
    folded, inside = folded[:n], words[1:-1]
    shifted = folded - np.uint8(ord("a"))
    np.less(shifted, 26, out=inside)
    for compare, byte in ((np.equal, ord("0")), (np.equal, ord("_")), (np.greater_equal, 0x80)):
        inside |= compare(folded, np.uint8(byte), out=shifted.view(np.bool_))
    return words


def _replace_rare(raw: bytes, places: NDArray[np.intp], rare: NDArray[np.uint8]) -> bytes:
    """Replace the characters of `RARE` at these places, by their numbers from 1; where they are few by slices, for `replace` reads it all."""
    if len(places) > FEW_RARE:
        for letter, replacement in RARE:
            raw = raw.replace(letter, replacement)
        return raw
    parts = []
    start = 0
    for place, i in zip(places.tolist(), rare.tolist(), strict=True):
        letter, replacement = RARE[i - 1]
        parts += [raw[start:place], replacement]
        start = place + len(letter)
    return b"".join([*parts, raw[start:]])


def _words(words: NDArray[np.bool_], unspaced: NDArray[np.intp], folded: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Start and end of each word: of runs of word bytes, cut around each character of an unspaced script."""
    change = words[1:] != words[:-1]
    if not len(unspaced):
        edges = change.nonzero()[0]
        return edges[0::2].copy(), edges[1::2].copy()  # side by side, or take() and searchsorted() would copy them again and again
    starts, ends = change & words[1:], change & words[:-1]
    after = unspaced + LENGTH_OF_LEAD.take(folded.take(unspaced))
    starts[unspaced] = ends[after] = True
    ends[unspaced] = words[unspaced]  # where a word stands directly before
    starts[after] = words[after + 1]
    return starts.nonzero()[0], ends.nonzero()[0]


def _hash_wide_prefixes(
    loads: _Loads,
    folded: NDArray[np.uint8],
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    lengths: NDArray[np.intp],
    first_eight: NDArray[np.uint64],
    none: int,
    token_buckets: NDArray[np.int64],
) -> None:
    """Set the buckets of the prefixes of tokens whose first characters are not all ASCII: there a character is not a byte."""
    # only the first 6 bytes matter, and a token of 4 has no prefix; a byte that follows the token may count, which costs a look and nothing else
    at = np.flatnonzero(((first_eight & NOT_ASCII) != 0) & (lengths > 4))
    if not len(at):
        return
    shift = np.uint64(65 - none.bit_length())
    position = starts.take(at)
    first_byte = folded.take(position)
    hangul = np.flatnonzero((first_byte >= 0xEA) & (first_byte <= 0xED))
    reached: list[NDArray[np.intp]] = []
    for _ in range(6):
        position = position + LENGTH_OF_LEAD.take(folded.take(position))  # inside the padding at most
        reached.append(position)
    for usual, fewer in ((3, 1), (5, 2)):
        reached[usual][hangul] = reached[fewer][hangul]
    for row, reached_end in ((1, reached[3]), (2, reached[5])):
        token_buckets[row, at] = none
        here = np.flatnonzero(reached_end < ends.take(at))
        token = at.take(here)
        start = starts.take(token)
        hashes = _hash_spans(loads, start, reached_end.take(here) - start, first_eight.take(token), PREFIX_MULTIPLIERS[row])
        token_buckets[row, token] = (hashes >> shift).view(np.int64)


def _hash_runs(
    loads: _Loads,
    starts: NDArray[np.intp],
    ends: NDArray[np.intp],
    first_eight: NDArray[np.uint64],
    none: int,
    token_buckets: NDArray[np.int64],
    unspaced: NDArray[np.intp],
) -> None:
    """Set the buckets of the runs of 3 and of 4 characters of unspaced scripts, in place of prefixes; each of these characters is a token."""
    shift = np.uint64(65 - none.bit_length())
    alone = np.searchsorted(starts, unspaced)
    second_eight = loads.at(starts.take(alone) + 8)
    touches = np.append(unspaced[1:] == ends.take(alone[:-1]), False)  # whether another follows each without a gap
    run = touches
    for row, more in ((1, 2), (2, 3)):
        token_buckets[row, alone] = none
        run = run[:-1] & touches[more - 1 :]
        here = run.nonzero()[0]
        token = alone.take(here)
        length = ends.take(token + more) - starts.take(token)  # 16 at most
        hashes = first_eight.take(token) & WORD_MASKS.take(length, mode="clip")
        hashes *= PREFIX_MULTIPLIERS[row]
        rest = second_eight.take(here) & WORD_MASKS.take(length - 8, mode="clip")
        rest *= np.uint64(MULTIPLIERS[1])
        hashes += rest
        token_buckets[row, token] = (hashes >> shift).view(np.int64)


def _blank_lines(folded: NDArray[np.uint8], spaces: NDArray[np.intp], newlines: NDArray[np.intp], tokens: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which lines hold only white space; lines with a token need no look, so only the few others are read byte by byte."""
    blank = np.asarray(tokens[1:] == tokens[:-1], np.bool_)
    without = np.flatnonzero(blank)
    if not len(without):
        return blank
    edges = np.concatenate(([-1], newlines, [len(folded)]))
    starts = edges[without] + 1
    length = edges[without + 1] - starts
    doubtful = np.flatnonzero(length > 0)
    if len(doubtful):
        starts, length, doubtful = starts[doubtful], length[doubtful], without[doubtful]
        offsets = np.cumsum(length) - length
        bytes_of = np.repeat(starts - offsets, length) + np.arange(int(length.sum()))
        is_space = (CLASS_OF_CODE[folded[bytes_of]] == SPACE) & (folded[bytes_of] < 0x80)
        is_space |= np.isin(bytes_of, spaces)
        blank[doubtful] = np.logical_and.reduceat(is_space, offsets)
    return blank
