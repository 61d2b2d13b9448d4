"""Two ranked lists to one. Pure functions; the result's hits have leg `hybrid`, ties go to the
chunk that stood higher in either list, then by chunk id. `wording` is a third and smaller voice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rag.domain import Hit, Leg
from rag.wording import Wording

RRF_K = 60
PLAIN = Wording()


def convex(
    dense: Sequence[Hit],
    lexical: Sequence[Hit],
    dense_weight: float,
    wording: Wording = PLAIN,
) -> list[Hit]:
    """`w * meaning + (1 - w) * words`. Meaning is the dense score and words the lexical one, each
    scaled to 1 for its list's best (Bruch, Gai and Ingber 2022, arXiv 2210.11934); 0 is a leg's
    least possible score: 0 for BM25, and for cosine too, where unrelated texts stand. A chunk that
    the dense list lacks counts as its last, which is at least as near; one without the question's
    words counts 0. BM25's best hit counts not 1 but as much of the question as its candidates
    cover, and to it comes how the words stand. Raises ValueError for a weight outside [0, 1].
    """
    if not 0 <= dense_weight <= 1:
        raise ValueError(f"the dense weight is {dense_weight}; it must be between 0 and 1")
    meaning, words = _scaled(dense), _scaled(lexical)
    least = min(meaning.values(), default=0.0)
    scores = {
        chunk: dense_weight * meaning.get(chunk, least)
        + (1 - dense_weight)
        * (wording.covered * words.get(chunk, 0.0) + wording.standing.get(chunk, 0.0))
        for chunk in {**meaning, **words}
    }
    return _ranked(scores, dense, lexical)


def rrf(
    dense: Sequence[Hit],
    lexical: Sequence[Hit],
    wording: Wording = PLAIN,
    k: int = RRF_K,
) -> list[Hit]:
    """Reciprocal rank fusion: the sum of `1 / (k + rank)` over the lists (Cormack, Clarke and
    Buettcher, SIGIR 2009). Ranks have no measure to weigh the wording in; it is left out."""
    scores: dict[str, float] = {}
    for hit in (*dense, *lexical):
        scores[hit.chunk] = scores.get(hit.chunk, 0.0) + 1 / (k + hit.rank)
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
