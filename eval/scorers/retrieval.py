"""Ranked retrieval. `ranked` are ids, best first, without repeats; `grades` maps an id to its grade
(> 0 is relevant). A query without hits scores 0 and stays in; one without a relevant item has no
score (None).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def recall_at(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float | None:
    """Relevant items among the first k / all relevant items."""
    relevant = {id for id, grade in grades.items() if grade > 0}
    return len(relevant & set(ranked[:k])) / len(relevant) if relevant else None


def ndcg_at(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float | None:
    """DCG@k / ideal DCG@k with the grade itself as gain and log2(rank + 1) as discount, as in
    trec_eval (Järvelin and Kekäläinen 2002)."""
    ideal = _dcg(sorted((g for g in grades.values() if g > 0), reverse=True)[:k])
    if ideal == 0:
        return None
    return _dcg([max(grades.get(id, 0), 0) for id in ranked[:k]]) / ideal


def mrr_at(ranked: Sequence[str], grades: Mapping[str, int], k: int) -> float | None:
    """1 / rank of the first relevant item among the first k, else 0."""
    if not any(grade > 0 for grade in grades.values()):
        return None
    ranks = (rank for rank, id in enumerate(ranked[:k], 1) if grades.get(id, 0) > 0)
    return 1 / next(ranks, math.inf)


def _dcg(gains: Sequence[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))
