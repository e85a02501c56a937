"""The features of `detector.features`, written slowly and plainly: what they should be, one character at a time."""

from __future__ import annotations

import itertools
from collections import Counter

from detector.characters import PUNCTUATIONS, SPACES, UNSPACEDS, ZEROS
from detector.features import KIND_MULTIPLIERS, KINDS, LONGEST, MULTIPLIERS, PAIR

MASK = 0xFFFFFFFF
MASK64 = 0xFFFFFFFFFFFFFFFF


def fold(text: str) -> str:
    out = []
    for c in text:
        if c == "\u00ad":
            continue
        if c in "İı":
            out.append("i")
        elif c.isascii():
            out.append("0" if c.isdigit() else c.lower())
        else:
            out.append(fold_one(c))
    return "".join(out)


def fold_one(c: str) -> str:
    code = ord(c)
    digit = next((zero for zero in ZEROS if zero <= code <= zero + 9), None)
    if digit is not None:
        return chr(digit)
    blocks = ("À", "և"), ("Ḁ", "\u1fff"), ("Ⰰ", "\u2dff"), ("Ꙁ", "\ua7ff"), ("Ａ", "Ｚ")
    if not any(low <= c <= high for low, high in blocks):
        return c
    lower = c.lower()
    if len(lower) == 1 and len(lower.encode()) == len(c.encode()):
        c = lower
    return {"ά": "α", "έ": "ε", "ή": "η", "ί": "ι", "ό": "ο", "ύ": "υ", "ώ": "ω", "ϊ": "ι", "ϋ": "υ", "ΐ": "ι", "ΰ": "υ", "ς": "σ"}.get(c, c)


def in_ranges(c: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= ord(c) <= high for low, high in ranges)


def is_unspaced(c: str) -> bool:
    return in_ranges(c, UNSPACEDS)


def separates(c: str) -> bool:
    return in_ranges(c, SPACES) or in_ranges(c, PUNCTUATIONS)


def tokens(line: str) -> list[tuple[str, bool]]:
    """Tokens of a folded line; the flag says that the next token touches it and both are unspaced."""
    found: list[tuple[str, bool]] = []
    word = ""
    for i, c in enumerate(line):
        if not separates(c) and not is_unspaced(c):
            word += c
            continue
        if word:
            found.append((word, False))
            word = ""
        if is_unspaced(c):
            found.append((c, i + 1 < len(line) and is_unspaced(line[i + 1])))
    if word:
        found.append((word, False))
    return found


def span_hash(text: str, multiplier: int = MULTIPLIERS[0]) -> int:
    """64-bit hash of a run of characters: its 8-byte words times their multipliers."""
    raw = text.encode("utf-8", "surrogatepass")
    words = [int.from_bytes(raw[i : i + 8], "little") for i in range(0, min(len(raw), LONGEST), 8)]
    total = sum(word * factor for word, factor in zip(words, (multiplier, *MULTIPLIERS[1:]), strict=False))
    if len(raw) > LONGEST:
        total += len(raw) * (PAIR << 32 | PAIR)
    return total & MASK64


def bucket(value: int, kind: str, bits: int) -> int:
    """Bucket of the 32-bit hash of a word or a pair."""
    mixed = value ^ (value >> 15)
    return ((mixed * KIND_MULTIPLIERS[KINDS.index(kind)]) & MASK) >> (32 - bits)


def prefix(word: str, tokens_after: list[tuple[str, bool]], letters: int) -> str | None:
    """The prefix feature of a token: of a word its first characters, of an unspaced character the run that it begins."""
    if is_unspaced(word[0]):
        run = {4: 3, 6: 4}[letters]
        if len(tokens_after) < run or not all(touches for _, touches in tokens_after[: run - 1]):
            return None
        return "".join(token for token, _ in tokens_after[:run])
    if 0xA000 <= ord(word[0]) <= 0xDFFF:  # the UTF-8 lead bytes of Hangul syllables, and what shares them
        letters //= 2
    return word[:letters] if len(word) > letters else None


def features(line: str, bits: int) -> Counter[int]:
    """Count of each bucket of a line."""
    found = tokens(fold(line))
    words = [word for word, _ in found]
    hashes = [span_hash(word) >> 32 for word in words]
    pairs = [(a * PAIR + b) & MASK for a, b in itertools.pairwise(hashes)]
    out = Counter(span_hash(word) >> (64 - bits) for word in words)
    for i, word in enumerate(words):
        for letters, kind in ((4, "prefix4"), (6, "prefix6")):
            start = prefix(word, found[i:], letters)
            if start is not None:
                out[span_hash(start, KIND_MULTIPLIERS[KINDS.index(kind)]) >> (64 - bits)] += 1
    out.update(bucket(pair, "bigram", bits) for pair in pairs)
    if hashes:
        out[bucket(hashes[0], "first", bits)] += 1
        out[bucket(hashes[-1], "last", bits)] += 1
    if pairs:
        out[bucket(pairs[0], "first_two", bits)] += 1
        out[bucket(pairs[-1], "last_two", bits)] += 1
    return out
