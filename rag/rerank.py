"""The order of retrieval and a second reading, joined. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from rag.domain import Leg, Passage

NAME = "rerank"  # in a passage's `scores`


def reranked(passages: Sequence[Passage], read: Sequence[float], prior: float) -> list[Passage]:
    """Passages best first, given the scores of the first `len(read)` in nats.

    One that was read counts its score plus `prior` times its fused score, which is scaled to 1 for
    the best, so the reading corrects retrieval and does not replace it. The rest stay below in
    their order. `scores["rerank"]` is the reading alone, `scores["hybrid"]` stays; `score` is the
    softmax over the passages that were read: how sure it is that this is the best one, 0 for the
    rest. Equal ones keep their order.
    """
    first, rest = passages[: len(read)], passages[len(read) :]
    best = max((_fused(passage) for passage in first), default=0.0) or 1.0
    total = [
        score + prior * _fused(passage) / best for score, passage in zip(read, first, strict=True)
    ]
    top = max(total, default=0.0)
    weights = [math.exp(value - top) for value in total]
    order = sorted(range(len(first)), key=lambda i: -total[i])
    return [
        replace(
            first[i],
            score=weights[i] / math.fsum(weights),
            scores={**first[i].scores, NAME: read[i]},
        )
        for i in order
    ] + [replace(passage, score=0.0) for passage in rest]


def _fused(passage: Passage) -> float:
    return passage.scores.get(Leg.HYBRID.value, passage.score)
