"""How a question's words stand in its candidates: what neither leg says, read off their texts.

For the few candidates of one question, so that no index has to know of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

from rag.analyse import analyse

T = TypeVar("T", bound=Hashable)
_SATURATION = 1.2  # BM25's k1; all candidates are about as long


@dataclass(frozen=True, slots=True)
class Wording:
    """`covered` in [0, 1] is how much of the question the candidate that holds most of its words
    holds, by rarity: where it is little, people ask in other words than the documents use, and
    BM25's best hit is not to be trusted much. `beside` maps each candidate to how many of the
    question's words stand side by side in it, as in the question: a bag of words cannot see that,
    and a vector blurs it. In [0, 1)."""

    covered: float = 1.0
    beside: Mapping[str, float] = field(default_factory=dict)


def wording(question: str, held: Mapping[str, Sequence[str]]) -> Wording:
    """Of the candidates' analysed words (`rag.analyse`), by chunk. A pair of neighbouring content
    words scores as a term does (Metzler and Croft, SIGIR 2005, whose ordered window of two it is):
    repeating saturates; `beside` is the mean over the question's pairs. Rarity is BM25's inverse
    document frequency over the candidates."""
    asked = analyse(question)
    if not asked or not held:
        return Wording()
    terms = set(asked)
    shares = {chunk: terms.intersection(words) for chunk, words in held.items()}
    rarity = _rarity(terms, shares.values())
    whole = math.fsum(rarity.values())
    pairs = {pair for pair in pairwise(asked) if pair[0] != pair[1]}
    counted = {chunk: _pairs(pairs, shares[chunk], words) for chunk, words in held.items()}
    return Wording(
        max(math.fsum(rarity[term] for term in share) for share in shares.values()) / whole,
        _beside(pairs, counted),
    )


def _pairs(
    pairs: set[tuple[str, str]], share: set[str], words: Sequence[str]
) -> Mapping[tuple[str, str], int]:
    """Those of `pairs` that stand in `words`, which hold of the question's terms `share`."""
    if len(share) < 2:
        return {}
    possible = {pair for pair in pairs if share.issuperset(pair)}
    return Counter(filter(possible.__contains__, pairwise(words))) if possible else {}


def _beside(
    pairs: set[tuple[str, str]], counted: Mapping[str, Mapping[tuple[str, str], int]]
) -> dict[str, float]:
    rarity = _rarity(pairs, counted.values())

    def score(found: Mapping[tuple[str, str], int]) -> float:
        parts = (rarity[pair] * n / (n + _SATURATION) for pair, n in found.items())
        return math.fsum(parts) / len(pairs)

    return {chunk: score(found) if found else 0.0 for chunk, found in counted.items()}


def _rarity(wanted: Iterable[T], held: Collection[Iterable[T]]) -> dict[T, float]:
    """In (0, 1], as a share of the rarity of what no candidate holds."""
    frequency = Counter(each for share in held for each in share)
    rarest = _idf(0, len(held))
    return {each: _idf(frequency[each], len(held)) / rarest for each in wanted}


def _idf(holding: int, of: int) -> float:
    return math.log(1 + (of - holding + 0.5) / (holding + 0.5))
