"""Groundedness: how far the passages support what is said. Refusals are not scored."""

from __future__ import annotations

from collections.abc import Sequence

from eval.scorers.citation import Entail


def sentence_support(sentences: Sequence[str], passages: Sequence[str], entail: Entail) -> float:
    """Mean over the sentences of the best single passage's support. Raises ValueError without a
    sentence."""
    if not sentences:
        raise ValueError("there is no sentence to support")
    best = [max((entail(p, s) for p in passages), default=0.0) for s in sentences]
    return sum(best) / len(best)


def grounded_share(
    sentences: Sequence[str], passages: Sequence[str], entail: Entail, threshold: float
) -> float:
    """Share of the sentences that one passage supports at `threshold` or above: faithfulness with
    sentences as claims (RAGAS, arXiv 2309.15217). Raises ValueError without a sentence."""
    if not sentences:
        raise ValueError("there is no sentence to support")
    held = [any(entail(p, s) >= threshold for p in passages) for s in sentences]
    return sum(held) / len(held)
