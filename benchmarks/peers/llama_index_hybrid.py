"""LlamaIndex's hybrid pipeline as its documentation puts it together: `VectorStoreIndex` over its
own in-memory store and `BM25Retriever`, joined by `QueryFusionRetriever` in the mode
"reciprocal_rerank".

Its defaults but for two: no language model rewrites the question (`num_queries` 1 for 4), and more
than 2 passages are asked for. Runs in the environment that has it, see pipeline_child.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.llms import MockLLM
from llama_index.core.retrievers import QueryFusionRetriever
from llama_index.core.schema import TextNode
from llama_index.retrievers.bm25 import BM25Retriever
from pydantic import PrivateAttr


class Known(BaseEmbedding):
    """The vectors of the questions, made before the clock starts."""

    _vectors: Mapping[str, Any] = PrivateAttr()

    def __init__(self, vectors: Mapping[str, Any]) -> None:
        super().__init__(model_name="known")
        self._vectors = {text: vector.tolist() for text, vector in vectors.items()}

    def _get_query_embedding(self, query: str) -> list[float]:
        found: list[float] = self._vectors[query]
        return found

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return self._get_query_embedding(query)

    def _get_text_embedding(self, text: str) -> list[float]:
        raise AssertionError("every node came with its vector")


def build(
    texts: Sequence[str], vectors: Any, questions: Mapping[str, Any], depth: int
) -> Callable[[str], list[int]]:
    """A question to the positions of its texts, best first."""
    nodes = [
        TextNode(id_=str(n), text=text, embedding=vector.tolist())
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]
    dense = VectorStoreIndex(nodes, embed_model=Known(questions))
    retriever = QueryFusionRetriever(
        [
            dense.as_retriever(similarity_top_k=depth),
            BM25Retriever.from_defaults(nodes=nodes, similarity_top_k=depth),
        ],
        llm=MockLLM(),
        mode="reciprocal_rerank",
        similarity_top_k=depth,
        num_queries=1,
    )
    return lambda question: [int(held.node.node_id) for held in retriever.retrieve(question)]


def settings(depth: int) -> dict[str, Any]:
    names = ("llama-index-core", "llama-index-retrievers-bm25", "bm25s")
    return {name: version(name) for name in names} | {"similarity_top_k": depth, "num_queries": 1}
