"""How good the legs and their fusion are on judged questions; how far lexical adapters agree.

    python -m benchmarks.index FOLDER... --weights MODELS/all-minilm-l6-v2 --cache DIR

FOLDER is in BEIR's format; every item is one row, every grade above 0 counts as relevant. Each leg
gives `--candidates` hits, as in answering. Vectors are kept in the cache folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eval.beir import RetrievalSet, load
from eval.scorers.retrieval import ndcg_at
from eval.statistics import mean
from eval.vectors import embed_cached
from models.embedder import SentenceEmbedder
from rag.analyse import analyse
from rag.domain import Hit, Leg
from rag.fuse import convex, rrf
from rag.index.dense import DenseLeg
from rag.index.lexical import Lexical
from rag.index.mask import Mask
from rag.index.ranked import Ranked
from rag.index.reference import RankBm25Lexical
from rag.index.tantivy_lexical import TantivyLexical
from rag.ports import Embedder
from rag.wording import Wording, wording

WEIGHTS = tuple(tenth / 10 for tenth in range(1, 10))
PLAIN = 0.5
Lists = dict[str, list[Hit]]  # query id -> hits


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.index", description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="the embedder's folder")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--candidates", type=int, default=50)
    options = parser.parse_args(arguments)
    embedder = SentenceEmbedder(options.weights)
    for folder in options.folders:
        report(load(folder).binary(), embedder, options.cache, options.candidates)


def report(judged: RetrievalSet, embedder: Embedder, cache: Path, candidates: int) -> None:
    print(f"\n{judged.name}: {len(judged.items)} rows, {len(judged.queries)} questions")
    tantivy = lexical_lists(judged, TantivyLexical(), candidates)
    reference = lexical_lists(judged, RankBm25Lexical(), candidates)
    print(f"top 10 of tantivy also in rank_bm25's top 10: {agreement(tantivy, reference):.3f}")
    dense = dense_lists(judged, embedder, cache, candidates)
    table = {"tantivy": tantivy, "rank_bm25": reference, "dense": dense}
    worded = {q: words(judged, q, dense[q], tantivy[q]) for q in judged.queries}
    table["rrf"] = {q: rrf(dense[q], tantivy[q]) for q in judged.queries}
    for weight in WEIGHTS:
        table[f"convex, dense {weight}"] = {
            q: convex(dense[q], tantivy[q], weight, worded[q]) for q in judged.queries
        }
    table[f"{PLAIN}, without wording"] = {
        q: convex(dense[q], tantivy[q], PLAIN) for q in judged.queries
    }
    print("nDCG@10 with a bootstrap 95% interval")
    for name, lists in table.items():
        value = mean(scores(judged, lists))
        print(f"  {name:18} {value.value:.3f}  [{value.low:.3f}, {value.high:.3f}]", flush=True)


def lexical_lists(judged: RetrievalSet, lexical: Lexical, k: int) -> Lists:
    lexical.add([analyse(item.indexed) for item in judged.items])
    lexical.show()
    every = Mask(np.ones(len(judged.items), bool))
    return {
        q: _hits(judged, lexical.search(analyse(text), every, k), Leg.LEXICAL)
        for q, text in judged.queries.items()
    }


def dense_lists(judged: RetrievalSet, embedder: Embedder, cache: Path, k: int) -> Lists:
    leg = DenseLeg(embedder.dimension)
    leg.extend(embed_cached([item.indexed for item in judged.items], embedder, cache))
    vectors = embed_cached(list(judged.queries.values()), embedder, cache)
    every = Mask(np.ones(len(judged.items), bool))
    return {
        q: _hits(judged, leg.search(vector, every, k), Leg.DENSE)
        for q, vector in zip(judged.queries, vectors, strict=True)
    }


def words(judged: RetrievalSet, query: str, *lists: list[Hit]) -> Wording:
    """How one question's words stand in its candidates."""
    found = {hit.chunk for hits in lists for hit in hits}
    held = {item.id: analyse(item.indexed) for item in judged.items if item.id in found}
    return wording(judged.queries[query], held)


def agreement(one: Lists, other: Lists) -> float:
    """Mean over questions of the share of one's first 10 that are among the other's first 10."""
    shares = []
    for query, hits in one.items():
        top = {hit.chunk for hit in hits[:10]}
        if top:
            shares.append(len(top & {hit.chunk for hit in other[query][:10]}) / len(top))
    return float(np.mean(shares))


def scores(judged: RetrievalSet, lists: Lists) -> list[float]:
    found = (ndcg_at([h.chunk for h in lists[q]], judged.grades[q], 10) for q in judged.queries)
    return [score for score in found if score is not None]  # None: nothing relevant was judged


def _hits(judged: RetrievalSet, ranked: Ranked, leg: Leg) -> list[Hit]:
    found = zip(ranked.positions.tolist(), ranked.scores.tolist(), strict=True)
    return [Hit(judged.items[at].id, score, rank, leg) for rank, (at, score) in enumerate(found, 1)]


if __name__ == "__main__":
    main()
