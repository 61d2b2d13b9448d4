"""How surprising a text's letters are to a model of its language, to find what no language has: the
noise of a bad scan.

The model is an n-gram model of letters, up to three in a row, with the next shorter one behind what
was never seen (Jelinek and Mercer, Interpolated estimation of Markov source parameters, 1980). Its
counts are the profiles that `langdetect` carries, made of Wikipedia in 55 languages.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from rag.domain import Block, BlockKind, Finding, FindingKind

_WINDOW = 1_500  # characters looked at together
_LEAST = 200  # letters in a window below which nothing is said
_NOISY = 4.4  # bits a letter; see docs/experiments.md
_WEIGHTS = (0.7, 0.25, 0.05)  # of three letters, two, one
_ALPHABET = 500  # letters that share what is left for unseen ones
_EUROPEAN = ("en", "de", "fr", "es")  # to hold against what is no language
NO_LANGUAGE = "zxx"  # ISO 639-2
# Letters are not what these are written in, or are more than a model of three can tell.
_OTHER_SCRIPTS = re.compile("ar|bn|fa|gu|he|hi|ja|kn|ko|ml|mr|ne|pa|ta|te|th|ur|zh")
_RUN = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Legibility:
    """`surprise` is in bits a letter over the text's windows, None where nothing could be said."""

    surprise: float | None
    noise: tuple[Finding, ...]


def legibility(text: str, blocks: Sequence[Block], language: str) -> Legibility:
    """`language` is ISO 639-1 or NO_LANGUAGE. Tables are left out: what stands in them are names,
    codes and numbers."""
    codes = _EUROPEAN if language == NO_LANGUAGE else (language,)
    models = [model for model in map(letters_of, codes) if model is not None]
    if not models:
        return Legibility(None, ())
    total, letters = 0.0, 0
    noise: list[Finding] = []
    for start, end in _windows(text, blocks):
        bits, count = min(model.bits(text[start:end]) for model in models)
        if count < _LEAST:
            continue
        total, letters = total + bits, letters + count
        if bits > _NOISY * count:
            noise.append(
                Finding(FindingKind.NOISE, f"{bits / count:.1f} bits a letter", start, end)
            )
    return Legibility(total / letters if letters else None, tuple(noise))


class Letters:
    """One language's letters. `counts` maps one to three letters in a row, " " standing for the
    edge of a word, to how often they occur."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self._of_one = sum(count for row, count in counts.items() if len(row) == 1)
        self._word = lru_cache(maxsize=50_000)(self._bits_of_word)

    def bits(self, text: str) -> tuple[float, int]:
        """The bits that the text's letters cost, and how many they are."""
        total, letters = 0.0, 0
        for word in _RUN.findall(text.lower()):
            total += self._word(word)
            letters += len(word) + 1
        return total, letters

    def _bits_of_word(self, word: str) -> float:
        row = f" {word} "
        return -sum(math.log2(self._chance(row, at)) for at in range(1, len(row)))

    def _chance(self, row: str, at: int) -> float:
        count = self._counts.get
        chance = _WEIGHTS[2] * (count(row[at], 0) / self._of_one + 1 / _ALPHABET)
        for length, weight in ((2, _WEIGHTS[1]), (3, _WEIGHTS[0])):
            if at + 1 >= length and (before := count(row[at + 1 - length : at], 0)):
                chance += weight * min(1.0, count(row[at + 1 - length : at + 1], 0) / before)
        return chance


@lru_cache(maxsize=8)
def letters_of(language: str) -> Letters | None:
    """The model of a language (ISO 639-1), None where there is none."""
    if not re.fullmatch(r"[a-z]{2}", language) or _OTHER_SCRIPTS.fullmatch(language):
        return None
    profile = files("langdetect").joinpath("profiles", "no" if language == "nb" else language)
    if not profile.is_file():
        return None
    counts: dict[str, int] = {}
    for row, count in json.loads(profile.read_text("utf-8"))["freq"].items():
        counts[row.lower()] = counts.get(row.lower(), 0) + count
    edges = sum(count for row, count in counts.items() if len(row) == 2 and row[0] == " ")
    counts[" "] = counts.get(" ", 0) or edges
    return Letters(counts)


def _windows(text: str, blocks: Sequence[Block]) -> Iterator[tuple[int, int]]:
    """Blocks side by side on one page are looked at together, long ones in pieces."""
    start = end = 0
    page: int | None = None
    for block in blocks:
        if block.kind is BlockKind.TABLE:
            continue
        if end > start and (block.page != page or block.end - start > _WINDOW):
            yield from _pieces(start, end)
            start = block.start
        elif end <= start:
            start = block.start
        end, page = block.end, block.page
    if end > start:
        yield from _pieces(start, end)


def _pieces(start: int, end: int) -> Iterator[tuple[int, int]]:
    for at in range(start, end, _WINDOW):
        yield at, min(at + _WINDOW, end)
