"""How a question's words stand in its candidates: what neither leg says, read off their texts.

For the few candidates of one question, so that no index has to know of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from rag.analyse import analyse

T = TypeVar("T", bound=Hashable)
Pair = tuple[str, str]
Places = Sequence[tuple[int, str]]  # where in a candidate tokens of the question stand, in order

_SATURATION = 1.2  # BM25's k1; all candidates are about as long
_WINDOW = 16  # words that count as one place
_NEAR = 4  # words between two that still belong together

# What each reading of the words counts beside BM25's best hit, which counts 1; fitted with the
# weight of the dense leg on 8,000 questions of other data (docs/experiments.md).
HELD, CLOSE, NEAR, BESIDE = 0.35, 0.5, 0.35, 2.0


@dataclass(frozen=True, slots=True)
class Wording:
    """`covered` in [0, 1] is how much of the question the candidate that holds most of its words
    holds, by rarity: where it is little, people ask in other words than the documents use, and
    BM25's best hit is not to be trusted much. `standing` maps each candidate to how well its words
    stand for the question's, at least 0 and under 3.2: a bag of words cannot see where they stand,
    and a vector blurs it."""

    covered: float = 1.0
    standing: Mapping[str, float] = field(default_factory=dict)


def wording(question: str, held: Mapping[str, Sequence[str]]) -> Wording:
    """Of the candidates' analysed words (`rag.analyse`), by chunk."""
    asked = analyse(question)
    terms = set(asked)
    return standing(asked, {chunk: places(terms, words) for chunk, words in held.items()})


def places(terms: Set[str], words: Sequence[str]) -> Places:
    """Where `terms` stand among the analysed words of a candidate."""
    return [(at, word) for at, word in enumerate(words) if word in terms]


def standing(asked: Sequence[str], places: Mapping[str, Places]) -> Wording:
    """Of the places in each candidate, by chunk, where tokens of the question stand; `asked` are
    these in order. Four readings of each, in [0, 1] and weighted by rarity, BM25's inverse document
    frequency over the candidates: the share of the question's words that it holds, the share that
    it holds within 16 words, the share of the question's neighbouring words that stand near each
    other, and how often those stand side by side as in the question, which scores as a term does
    (Metzler and Croft, SIGIR 2005, whose windows these are): repeating saturates."""
    if not asked or not places:
        return Wording()
    terms = set(asked)
    pairs = {pair for pair in pairwise(asked) if pair[0] != pair[1]}
    shares = {chunk: {word for _, word in found} for chunk, found in places.items()}
    side = {chunk: _side_by_side(pairs, found) for chunk, found in places.items()}
    rarity, of_pairs = _rarity(terms, shares.values()), _rarity(pairs, side.values())
    whole = math.fsum(rarity.values())
    share = {chunk: math.fsum(map(rarity.__getitem__, has)) for chunk, has in shares.items()}
    stand = {
        chunk: HELD * share[chunk] / whole
        + CLOSE * _closest(found, rarity) / whole
        + NEAR * _near(pairs, found)
        + BESIDE * _beside(side[chunk], of_pairs)
        for chunk, found in places.items()
    }
    return Wording(max(share.values()) / whole, stand)


def _side_by_side(pairs: set[Pair], places: Places) -> Mapping[Pair, int]:
    """How often each of `pairs` stands there word by word."""
    found: dict[Pair, int] = {}
    for (i, a), (j, b) in pairwise(places):
        if j == i + 1 and (a, b) in pairs:
            found[a, b] = found.get((a, b), 0) + 1
    return found


def _beside(side: Mapping[Pair, int], rarity: Mapping[Pair, float]) -> float:
    if not side:
        return 0.0
    return math.fsum(rarity[pair] * n / (n + _SATURATION) for pair, n in side.items()) / len(rarity)


def _near(pairs: set[Pair], places: Places) -> float:
    """The share of `pairs` whose words stand within a few words of each other, in any order."""
    if not pairs:
        return 0.0
    found: set[Pair] = set()
    for first, (i, a) in enumerate(places, 1):
        for j, b in places[first : first + _NEAR]:
            if j - i > _NEAR:
                break
            found.add((a, b))
    return sum((a, b) in found or (b, a) in found for a, b in pairs) / len(pairs) if found else 0.0


def _closest(places: Places, rarity: Mapping[str, float]) -> float:
    """The rarity of the question's words in the window that holds most of it."""
    best = now = 0.0
    inside = dict.fromkeys(rarity, 0)
    start = 0
    for at, word in places:
        while places[start][0] <= at - _WINDOW:
            gone = places[start][1]
            inside[gone] -= 1
            if not inside[gone]:
                now -= rarity[gone]
            start += 1
        if not inside[word]:
            now += rarity[word]
            if now > best:
                best = now
        inside[word] += 1
    return best


def _rarity(wanted: Iterable[T], held: Collection[Iterable[T]]) -> dict[T, float]:
    """In (0, 1], as a share of the rarity of what no candidate holds."""
    frequency = Counter(each for share in held for each in share)
    rarest = _idf(0, len(held))
    return {each: _idf(frequency[each], len(held)) / rarest for each in wanted}


def _idf(holding: int, of: int) -> float:
    return math.log(1 + (of - holding + 0.5) / (holding + 0.5))
