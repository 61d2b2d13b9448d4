"""Words of the question that stand side by side in a passage: what a bag of words cannot see and a
vector blurs.

Pairs of neighbouring content words score like terms do (Metzler and Croft, SIGIR 2005, whose
ordered window of two this is): rarer among the candidates counts more, repeating saturates. It is
for the candidates of one question, so no index has to know of pairs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from rag.analyse import analyse

_SATURATION = 1.2  # BM25's k1; all candidates are about as long


def beside(question: str, texts: Sequence[str]) -> list[float]:
    """For each text the mean over the question's pairs of `rarity * times / (times + 1.2)`, rarity
    being the pair's BM25 inverse document frequency over `texts` as a share of the highest there
    can be. In [0, 1); 0 for a question of one word."""
    asked = {pair for pair in pairwise(analyse(question)) if pair[0] != pair[1]}
    if not asked or not texts:
        return [0.0] * len(texts)
    held = [Counter(pair for pair in pairwise(analyse(text)) if pair in asked) for text in texts]
    frequency = Counter(pair for counted in held for pair in counted)
    rarity = {pair: _idf(frequency[pair], len(texts)) / _idf(0, len(texts)) for pair in asked}

    def score(counted: Counter[tuple[str, str]]) -> float:
        found = (rarity[pair] * n / (n + _SATURATION) for pair, n in counted.items())
        return math.fsum(found) / len(asked)

    return [score(counted) for counted in held]


def _idf(holding: int, of: int) -> float:
    return math.log(1 + (of - holding + 0.5) / (holding + 0.5))
