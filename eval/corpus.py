"""A corpus of texts in a real store and a real index, for as long as a measurement takes."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eval.beir import Item
from eval.progress import Say
from eval.vectors import embed_cached
from rag.domain import LOCAL_GROUP, Chunk, Filter, Right, chunk_id
from rag.index.embedded import EmbeddedIndex
from rag.ports import Embedder, Publication, SearchIndex, Store, Vectors
from rag.store.migrate import upgrade
from rag.store.unit import open_store

Lexical = Literal["tantivy", "rank_bm25"]
_WORKER = "evaluation"


@dataclass(frozen=True, slots=True)
class Corpus:
    """`items` maps a chunk's id to the item it holds; `filter` permits all of them."""

    store: Store
    collection: str
    index: SearchIndex
    filter: Filter
    items: dict[str, Item]


@contextmanager
def open_corpus(
    items: Sequence[Item],
    embedder: Embedder,
    cache: Path,
    lexical: Lexical = "tantivy",
    say: Say | None = None,
) -> Iterator[Corpus]:
    """The items as one version with a chunk each, published into a temporary SQLite store and
    caught up by the embedded index. Items without words cannot be found and are left out."""
    spoken = [item for item in items if item.text.strip()]
    vectors = embed_cached([item.indexed for item in spoken], embedder, cache, say)
    with tempfile.TemporaryDirectory(prefix="attest-eval-") as folder:
        url = f"sqlite:///{Path(folder) / 'corpus.db'}"
        upgrade(url)
        store = open_store(url)
        try:
            collection, named = _publish(store, spoken, vectors, embedder.identity)
            index = EmbeddedIndex(store, collection, embedder.dimension, lexical)
            permitted = Filter(generation=index.catch_up(), groups=frozenset({LOCAL_GROUP}))
            yield Corpus(store, collection, index, permitted, named)
        finally:
            store.close()


def _publish(
    store: Store, items: Sequence[Item], vectors: Vectors, embedder: str
) -> tuple[str, dict[str, Item]]:
    text = "\n".join(item.text for item in items)
    sha = hashlib.sha256(text.encode()).hexdigest()
    chunks: list[Chunk] = []
    at = 0
    for item in items:
        end = at + len(item.text)
        path = (item.title,) if item.title else ()
        chunks.append(Chunk(chunk_id(sha, at, end), sha, at, end, item.text, path))
        at = end + 1
    publication = Publication(
        version=sha,
        media_type="text/plain",
        title="",
        size=len(text),
        pages=None,
        text_blob=sha,
        layout_blob=None,
        metadata={},
        blocks=(),
        chunks=chunks,
        indexed=[item.indexed for item in items],
        vectors=vectors,
        embedder=embedder,
    )
    with store() as work:
        collection = work.collections.create("corpus", {LOCAL_GROUP: Right.MANAGE})
        job = work.documents.accept(collection.id, "corpus", sha, len(text))
        work.jobs.lease(job.id, _WORKER, 3600)
        work.documents.publish(job.id, _WORKER, publication)
        work.commit()
    return collection.id, {c.id: item for c, item in zip(chunks, items, strict=True)}
