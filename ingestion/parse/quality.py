"""Whether a page's text layer says what the page shows. Fonts without a map to Unicode, or with a
wrong one, print well and read as nonsense; such pages are read as pictures instead."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable

_LEAST = 40  # characters below which nothing can be told
_UNMAPPED = 0.1  # share of characters that no text holds
_SIGNS = 0.5  # share of punctuation and symbols
_LEADERS = frozenset(".-_|…·•–—")
_ODD_WORDS = 0.4  # share of Latin words that no language has
_LEAST_WORDS = 20
_WORD = re.compile(r"[^\W_]{2,}")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]+")
_VOWELS = frozenset("aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿœāēīōūăĕĭŏŭąęįųőű")


def garbled(text: str) -> bool:
    """Whether `text` can be told to be no language: signs of no script, or words without vowels and
    with capitals inside."""
    letters = Counter(text)
    for blank in filter(str.isspace, list(letters)):
        del letters[blank]
    count = letters.total()
    if count < _LEAST:
        return False
    if _share(letters, _unmapped) > _UNMAPPED * count or _share(letters, _sign) > _SIGNS * count:
        return True
    latin = [word for word in _WORD.findall(text) if len(word) > 3 and _LATIN.fullmatch(word)]
    return len(latin) >= _LEAST_WORDS and sum(map(_odd, latin)) > _ODD_WORDS * len(latin)


def _share(letters: Counter[str], test: Callable[[str], bool]) -> int:
    """How many of the letters pass the test, which is asked once for each kind of letter."""
    return sum(times for letter, times in letters.items() if test(letter))


def _unmapped(c: str) -> bool:
    return c == "\ufffd" or unicodedata.category(c) in ("Co", "Cn", "Cc")


def _sign(c: str) -> bool:
    """Punctuation and symbols, but for those that lead the eye in lists and tables."""
    return unicodedata.category(c)[0] in "PS" and c not in _LEADERS


def _odd(word: str) -> bool:
    """A Latin word that is unlikely in any language: no vowels, or capitals in its middle."""
    if word.isupper():
        return False  # an abbreviation, a code
    small = word.lower()
    if _VOWELS.isdisjoint(small):
        return True
    return small[1:] != word[1:] and sum(c.isupper() for c in word[1:]) > 1
