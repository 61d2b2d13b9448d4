"""Text to the tokens that the lexical leg counts; the same for documents and questions.

Knows no index. A word becomes its English Snowball stem. An identifier such as `INV-2041` is kept
whole and also gives its parts, so that either finds it; a hyphenated word gives its parts and its
joined form (`e-mail`: `e`, `mail`, `email`). Thousands separators go (`1,000` is `1000`). Scripts
written without spaces become overlapping pairs of characters.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from itertools import chain

import Stemmer

LONGEST = 256  # characters of one token; what is longer is cut (index terms are bounded)

_STOP_WORDS = """
a about an and any are aren as at be been being but by can could couldn did didn do does doesn
don for from had hadn has hasn have he her his how i if in into is isn it its me my no nor not
of on or our she should shouldn so some such than that the their them then there these they this
those to us was wasn we were weren what when where which while who whom whose why will with
would wouldn you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
ACRONYMS = frozenset({"IT", "US", "WHO"})  # stop words, unless written like this

_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")  # soft hyphens break words of PDFs
_ACCENTS = re.compile("[\u0300-\u036f]")
_LETTER = (
    r"[\w\u0591-\u05c7\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e00-\u0edf]"  # with vowel signs
)
_WORD = re.compile(rf"\d{{1,3}}(?:,\d{{3}})+(?:\.\d+)?(?!\w)|{_LETTER}+(?:[-./:'’‐‑]+{_LETTER}+)*")
_JOINT = re.compile(r"[-_./:]+")
_DECIMAL = re.compile(r"\d+\.\d+")
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")

_REMEMBERED = 1 << 16  # words, at most about 20 MB
_SHORT = 32  # characters of a word that is remembered

_local = threading.local()  # a PyStemmer object must not be shared between threads


def analyse(text: str) -> list[str]:
    """The tokens of `text` in order, repeated as often as they occur; none for blanks, punctuation
    or stop words alone. No token holds white space or is longer than `LONGEST` characters, and none
    comes from both sides of white space: so each word with what it is written together with is
    analysed once, and of texts that repeat such words the rest is looking them up."""
    return list(chain.from_iterable(map(_known.__getitem__, text.split())))


class _Known(dict[str, tuple[str, ...]]):
    """The tokens of words, each found out when it is first asked for. Reading a text takes six
    tenths of what it takes with `lru_cache`; so what is full is emptied, and frequent words are
    soon back."""

    def __missing__(self, word: str) -> tuple[str, ...]:
        tokens = tuple(_analysed(word))
        if len(word) <= _SHORT:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[word] = tokens
        return tokens


_known = _Known()


def _analysed(text: str) -> list[str]:
    text = _ACCENTS.sub("", unicodedata.normalize("NFKD", _INVISIBLE.sub("", text)))
    text = unicodedata.normalize("NFKC", text)
    plain: list[str] = []
    for match in _WORD.finditer(text):
        word = match.group()
        if word.isalnum() and word.isascii():
            if word in ACRONYMS or (word := word.lower()) not in STOP_WORDS:
                plain.append(word.lower()[:LONGEST])
        else:
            plain.extend(token[:LONGEST] for token in _tokens(word) if token not in STOP_WORDS)
    return _stems(plain)


def _tokens(word: str) -> Iterator[str]:
    """The tokens of a number, compound or foreign word, before stemming."""
    word = word.casefold().replace("’", "'").replace("‐", "-").replace("‑", "-").strip("_")
    if word[:1].isdigit() and "," in word:
        word = word.replace(",", "")
    if _DECIMAL.fullmatch(word):
        yield word
        return
    parts = [_bare(part) for part in _JOINT.split(word) if part]
    for part in parts:
        yield from _spaced(part)
    if len(parts) < 2:
        return
    if any(character.isdigit() for character in word):
        yield word
    elif set(_JOINT.findall(word)) == {"-"}:
        yield "".join(parts)


def _bare(part: str) -> str:
    """Without the possessive and the single letters at an apostrophe: `dog's`, `l'avion`."""
    if "'" not in part:
        return part
    pieces = [piece for piece in part.split("'") if piece]
    return "".join(piece for piece in pieces if len(piece) > 1) or pieces[0]


def _spaced(part: str) -> Iterator[str]:
    """`part` itself, but pairs of characters for each run of a script without spaces."""
    start = 0
    for run in _UNSPACED.finditer(part):
        if run.start() > start:
            yield part[start : run.start()]
        text, start = run.group(), run.end()
        yield from (text[i : i + 2] for i in range(max(1, len(text) - 1)))
    if start < len(part):
        yield part[start:]


def _stems(words: list[str]) -> list[str]:
    """Snowball stems of the purely alphabetic ASCII words; numbers and identifiers stay."""
    stemmer = getattr(_local, "stemmer", None)
    if stemmer is None:
        stemmer = _local.stemmer = Stemmer.Stemmer("english")
    stems: list[str] = stemmer.stemWords(words)
    return [
        stem if word.isalpha() and word.isascii() else word
        for word, stem in zip(words, stems, strict=True)
    ]
