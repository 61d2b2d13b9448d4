"""Exact match and token F1, letter for letter as in SQuAD's evaluation script v2.0 (which equals
v1.1 on answerable questions): https://rajpurkar.github.io/SQuAD-explorer/.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = frozenset(string.punctuation)


def normalise(text: str) -> str:
    """Lower case, no ASCII punctuation, no articles, single spaces."""
    kept = "".join(c for c in text.lower() if c not in _PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", kept).split())


def tokens(text: str) -> list[str]:
    return normalise(text).split()


def exact_match(answer: str, golds: Sequence[str]) -> float:
    """1 when the answer equals one of the golds after normalising. No gold means no answer: then 1
    if and only if the answer is empty too."""
    said = normalise(answer)
    return float(any(said == normalise(gold) for gold in _usable(golds)))


def f1(answer: str, golds: Sequence[str]) -> float:
    """The best token F1 over the golds; with an empty side, 1 if and only if both are empty."""
    said = tokens(answer)
    return max(_f1(said, tokens(gold)) for gold in _usable(golds))


def contains(answer: str, golds: Sequence[str]) -> float:
    """1 when a gold stands in the answer as whole words (both normalised). Full sentences are
    right answers that exact match cannot see. No gold: as `exact_match`."""
    said = f" {normalise(answer)} "
    usable = _usable(golds)
    if usable == [""]:
        return float(not said.strip())
    return float(any(f" {normalise(gold)} " in said for gold in usable))


def _usable(golds: Sequence[str]) -> list[str]:
    return [gold for gold in golds if normalise(gold)] or [""]


def _f1(said: list[str], gold: list[str]) -> float:
    if not said or not gold:
        return float(said == gold)
    same = sum((Counter(said) & Counter(gold)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(said), same / len(gold)
    return 2 * precision * recall / (precision + recall)
