"""Two ranked lists to one. Pure functions; the result's hits have leg `hybrid`, ties go to the
chunk that stood higher in either list, then by chunk id. `beside` is what `rag.beside` says of each
chunk, a third and smaller voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.domain import Hit, Leg

RRF_K = 60
BESIDE = 1.5  # words side by side, against 1 for the two legs together (docs/experiments.md)
NOTHING: Mapping[str, float] = {}


def convex(
    dense: Sequence[Hit],
    lexical: Sequence[Hit],
    dense_weight: float,
    beside: Mapping[str, float] = NOTHING,
) -> list[Hit]:
    """`w * dense + (1 - w) * lexical` over scores scaled to [0, 1] within each list: 0 is a leg's
    least possible score and 1 the list's best, the scaling that Bruch, Gai and Ingber (2022, arXiv
    2210.11934) found most robust. Least is 0 for BM25, and for cosine too, where unrelated texts
    stand. A chunk that a list lacks counts 0 there. To that comes `BESIDE * beside`, which is 0 for
    most. Raises ValueError for a weight outside [0, 1].
    """
    if not 0 <= dense_weight <= 1:
        raise ValueError(f"the dense weight is {dense_weight}; it must be between 0 and 1")
    parts = ((dense_weight, _scaled(dense)), (1 - dense_weight, _scaled(lexical)))
    scores: dict[str, float] = {}
    for weight, scaled in parts:
        for chunk, score in scaled.items():
            scores[chunk] = scores.get(chunk, 0.0) + weight * score
    scores = {chunk: score + BESIDE * beside.get(chunk, 0.0) for chunk, score in scores.items()}
    return _ranked(scores, dense, lexical)


def rrf(
    dense: Sequence[Hit],
    lexical: Sequence[Hit],
    beside: Mapping[str, float] = NOTHING,
    k: int = RRF_K,
) -> list[Hit]:
    """Reciprocal rank fusion: the sum of `1 / (k + rank)` over the lists (Cormack, Clarke and
    Buettcher, SIGIR 2009), the third of which is that of `beside`, equals at one rank."""
    scores: dict[str, float] = {}
    for hit in (*dense, *lexical):
        scores[hit.chunk] = scores.get(hit.chunk, 0.0) + 1 / (k + hit.rank)
    for chunk in scores.keys() & beside.keys():
        if beside[chunk] > 0:
            rank = 1 + sum(other > beside[chunk] for other in beside.values())
            scores[chunk] += 1 / (k + rank)
    return _ranked(scores, dense, lexical)


def _scaled(hits: Sequence[Hit]) -> dict[str, float]:
    """Scores scaled by the list's best; a list that goes below 0 is moved up first."""
    if not hits:
        return {}
    least = min(0.0, *(hit.score for hit in hits))
    span = max(hit.score for hit in hits) - least
    return {hit.chunk: (hit.score - least) / span if span > 0 else 1.0 for hit in hits}


def _ranked(scores: Mapping[str, float], *lists: Sequence[Hit]) -> list[Hit]:
    best: dict[str, int] = {}
    for hit in (hit for hits in lists for hit in hits):
        best[hit.chunk] = min(hit.rank, best.get(hit.chunk, hit.rank))
    order = sorted(scores, key=lambda chunk: (-scores[chunk], best[chunk], chunk))
    return [Hit(chunk, scores[chunk], rank, Leg.HYBRID) for rank, chunk in enumerate(order, 1)]
