"""Haystack's hybrid pipeline as its documentation puts it together: `InMemoryBM25Retriever` and
`InMemoryEmbeddingRetriever` over one `InMemoryDocumentStore`, joined by `DocumentJoiner` in the
mode "reciprocal_rank_fusion". All else is its defaults; a `depth` of 10 is one, too. Runs in the
environment that has it, see pipeline_child.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from haystack import Document, Pipeline
from haystack.components.joiners import DocumentJoiner
from haystack.components.retrievers.in_memory import (
    InMemoryBM25Retriever,
    InMemoryEmbeddingRetriever,
)
from haystack.document_stores.in_memory import InMemoryDocumentStore


def build(
    texts: Sequence[str], vectors: Any, questions: Mapping[str, Any], depth: int
) -> Callable[[str], list[int]]:
    """A question to the positions of its texts, best first."""
    store = InMemoryDocumentStore()
    store.write_documents(
        [
            Document(id=str(n), content=text, embedding=vector.tolist())
            for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
        ]
    )
    known = {text: vector.tolist() for text, vector in questions.items()}
    pipeline = Pipeline()
    pipeline.add_component("bm25", InMemoryBM25Retriever(store, top_k=depth))
    pipeline.add_component("dense", InMemoryEmbeddingRetriever(store, top_k=depth))
    pipeline.add_component("join", DocumentJoiner(join_mode="reciprocal_rank_fusion"))
    pipeline.connect("bm25", "join")
    pipeline.connect("dense", "join")

    def ask(question: str) -> list[int]:
        asked = {"bm25": {"query": question}, "dense": {"query_embedding": known[question]}}
        return [int(held.id) for held in pipeline.run(asked)["join"]["documents"]]

    return ask


def settings(depth: int) -> dict[str, Any]:
    return {"haystack-ai": version("haystack-ai"), "top_k": depth}
