"""Whether an answer is right: one yes or no per answer, which error rates are made of."""

from __future__ import annotations

from collections.abc import Sequence

from eval.scorers.numbers import number_match
from eval.scorers.squad import contains, f1, tokens

ENOUGH = 0.5  # token F1


def right(answer: str, golds: Sequence[str], kind: str, scale: str = "") -> bool:
    """yesno: the first word is a gold. number: it says the gold number, or the gold's words.
    Otherwise it contains a gold or overlaps one with F1 >= 0.5. Raises ValueError without a
    gold: whether a refusal is right is not asked here."""
    if not golds:
        raise ValueError("there is no gold answer to compare with")
    if kind == "yesno":
        return tokens(answer)[:1] in [tokens(gold)[:1] for gold in golds]
    if kind == "number" and number_match(answer, golds, scale) == 1.0:
        return True
    return contains(answer, golds) == 1.0 or f1(answer, golds) >= ENOUGH
