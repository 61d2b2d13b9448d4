"""What a sentence and its evidence have in common, as numbers: the lexical inputs of the trained
verifier. Pure; knows no model.

How long the evidence is, or in how many pieces it came, is no feature: in public sets of labelled
pairs that tells the label by how the set was made.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from rag.analyse import analyse
from rag.sentences import units
from rag.verify import NEGATION, check, missing_names, missing_numbers

NAMES = (
    "score",
    "precision",
    "one_unit",
    "worst_part",
    "bigrams",
    "longest_run",
    "missing_words",
    "missing_numbers",
    "numbers",
    "missing_names",
    "negation",
    "negated",
    "direction",
    "hedge",
    "question",
    "length",
)
_RISING = r"increas|higher|rais|rise|rising|rose|gain|grow|grew|more|improv|enhanc|promot|activat"
_RISING += (
    r"|induc|greater|accelerat|upregulat|strengthen|expand|above|most|stimulat|elevat|win|won"
)
_FALLING = r"decreas|lower|reduc|fall|fell|drop|declin|los[est]|less|worsen|impair|inhibit|suppress"
_FALLING += (
    r"|smaller|diminish|slow|downregulat|weaken|shrink|shrank|below|fewer|least|block|prevent"
)
_UP = re.compile(rf"\b(?:{_RISING})", re.IGNORECASE)
_DOWN = re.compile(rf"\b(?:{_FALLING})", re.IGNORECASE)
_HEDGE = re.compile(r"\b(?:may|might|could|possibl[ey]|suggest\w*|likely|perhaps)\b", re.IGNORECASE)


def features(evidence: str, sentence: str) -> tuple[float, ...]:
    """One number for each of `NAMES`, about within [-1, 2]."""
    claim = sentence.strip()
    words = analyse(claim)
    spans = [evidence[a:b] for a, b in units(evidence)] or [evidence]
    said = [analyse(span) for span in spans]
    known = set().union(*map(set, said))
    shares = [_share(words, set(have)) for have in said]
    best = max(range(len(spans)), key=lambda i: (shares[i], -i))
    parts = [_share(analyse(claim[a:b]), known) for a, b in units(claim)] or [0.0]
    closest = spans[best]
    numbers = len(re.findall(r"\d[\d,.]*", claim))
    return (
        check(evidence, claim).score,
        _share(words, known),
        shares[best],
        min(parts),
        _bigrams(words, said),
        _longest_run(words, said) / max(1, len(words)),
        min(sum(w not in known for w in words), 8) / 8,
        min(len(missing_numbers(evidence, claim)), 3) / 3,
        min(numbers, 3) / 3,
        min(len(missing_names(known, claim)), 3) / 3,
        float(bool(NEGATION.search(claim)) != bool(NEGATION.search(closest))),
        float(bool(NEGATION.search(claim))),
        _turned(claim, closest),
        float(bool(_HEDGE.search(closest))) - float(bool(_HEDGE.search(claim))),
        float(claim.endswith("?")),
        min(len(words), 40) / 40,
    )


def _share(words: Sequence[str], known: set[str]) -> float:
    return sum(word in known for word in words) / len(words) if words else 0.0


def _bigrams(words: Sequence[str], said: Sequence[Sequence[str]]) -> float:
    pairs = list(pairwise(words))
    have = {pair for each in said for pair in pairwise(each)}
    return sum(pair in have for pair in pairs) / len(pairs) if pairs else 0.0


def _longest_run(words: Sequence[str], said: Sequence[Sequence[str]]) -> int:
    """Words of the longest run that one unit holds too, in their order."""
    longest = 0
    for each in said:
        row = [0] * (len(each) + 1)
        for word in words:
            last = 0
            for i, other in enumerate(each, 1):
                last, row[i] = row[i], (last + 1 if word == other else 0)
                longest = max(longest, row[i])
    return longest


def _turned(claim: str, evidence: str) -> float:
    """1 where one of the two says more or up and the other less or down, -1 where both say the
    same, else 0."""
    said = len(_UP.findall(claim)) - len(_DOWN.findall(claim))
    held = len(_UP.findall(evidence)) - len(_DOWN.findall(evidence))
    return float((said * held < 0) - (said * held > 0))
