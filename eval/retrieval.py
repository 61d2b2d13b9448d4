"""Measuring search on a BEIR set through the product's own index and fusion."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any

from eval import statistics
from eval.beir import RetrievalSet
from eval.corpus import Corpus
from eval.progress import Progress, Say
from eval.scorers.latency import percentiles
from eval.scorers.retrieval import mrr_at, ndcg_at, recall_at
from rag.domain import Leg
from rag.fuse import convex, rrf
from rag.ports import Embedder, Reranker
from rag.retrieve import Fuse, retrieve
from rag.settings import Settings

DEPTH = 100  # hits asked of each leg
LEGS = ("hybrid", "dense", "lexical", "rrf", "reranked")
METRICS: dict[str, Callable[[Sequence[str], Mapping[str, int]], float | None]] = {
    "ndcg@10": lambda ranked, grades: ndcg_at(ranked, grades, 10),
    "recall@10": lambda ranked, grades: recall_at(ranked, grades, 10),
    "recall@100": lambda ranked, grades: recall_at(ranked, grades, 100),
    "mrr@10": lambda ranked, grades: mrr_at(ranked, grades, 10),
}
Search = Callable[[str], list[str]]


def searches(
    corpus: Corpus, embedder: Embedder, fuse: Fuse, reranker: Reranker
) -> Mapping[str, Search]:
    """A search for each leg: query text -> item ids, best first. `hybrid` fuses as `fuse` says,
    `rrf` always by reciprocal ranks; `reranked` is `hybrid` read again."""

    def search(leg: Leg, fused: Fuse, query: str, again: Reranker | None = None) -> list[str]:
        found = retrieve(
            corpus.store,
            corpus.index,
            embedder,
            corpus.collection,
            query,
            corpus.filter.groups,
            fuse=fused,
            leg=leg,
            candidates=DEPTH,
        )
        ranked = found.passages if again is None else again.rerank(query, found.passages)
        return [corpus.items[passage.chunk.id].id for passage in ranked][:DEPTH]

    legs = {leg.value: partial(search, leg, fuse) for leg in Leg}
    read = partial(search, Leg.HYBRID, fuse, again=reranker)
    return legs | {"rrf": partial(search, Leg.HYBRID, rrf), "reranked": read}


def fusion(settings: Settings) -> Fuse:
    """How the settings fuse the legs."""
    if settings.fusion == "rrf":
        return rrf
    return partial(convex, dense_weight=settings.fusion_dense_weight)


def measure(
    found: RetrievalSet,
    search: Mapping[str, Search],
    legs: Sequence[str],
    *,
    limit: int | None = None,
    seed: int = 0,
    say: Say | None = None,
) -> dict[str, Any]:
    """Every metric of every leg with n and interval, the milliseconds of one query, and each
    query's scores. A query that finds nothing scores 0 and stays in."""
    queries = list(found.queries.items())[:limit]
    progress = Progress(f"retrieval {found.name}", len(queries) * len(legs), say)
    rows: dict[str, Any] = {}
    samples: dict[str, Any] = {"ids": [id for id, _ in queries], "scores": {}}
    for leg in legs:
        scores: dict[str, list[float]] = {name: [] for name in METRICS}
        took: list[float] = []
        for id, text in queries:
            began = time.perf_counter()
            ranked = search[leg](text)
            took.append((time.perf_counter() - began) * 1000)
            for name, metric in METRICS.items():
                value = metric(ranked, found.grades[id])
                scores[name].append(0.0 if value is None else value)
            progress.step()
        means = {name: asdict(statistics.mean(held, seed)) for name, held in scores.items()}
        rows[leg] = {"metrics": means, "milliseconds_per_query": percentiles(took)}
        samples["scores"][leg] = scores
    return {"n": len(queries), "legs": rows, "samples": samples}


def report(
    found: RetrievalSet, measured: Mapping[str, Any], leg: str, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The JSON document: the asked leg's numbers in front, the other legs beside them, and how far
    the asked leg is from the best single one (paired over queries)."""
    rows, columns = measured["legs"], measured["samples"]["scores"]
    front = {name: row["value"] for name, row in rows[leg]["metrics"].items()}
    singles = [name for name in ("dense", "lexical") if name in rows and name != leg]
    beside: dict[str, Any] | None = None
    if singles:
        best = max(singles, key=lambda name: float(rows[name]["metrics"]["ndcg@10"]["value"]))
        pair = columns[best]["ndcg@10"], columns[leg]["ndcg@10"]
        difference = statistics.paired(*pair, seed=int(settings.get("seed", 0)))
        beside = {"leg": best, "ndcg@10_difference": asdict(difference)}
    return {
        "id": uuid.uuid4().hex,
        "kind": "retrieval",
        "name": found.name,
        "created": datetime.now(UTC).isoformat(),
        "settings": dict(settings),
        "n": measured["n"],
        "items": len(found.items),
        "leg": leg,
        **front,
        "milliseconds_per_query": rows[leg]["milliseconds_per_query"],
        "better_single_leg": beside,
        "legs": rows,
        "samples": measured["samples"],
    }
