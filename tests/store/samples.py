"""Small publications for the store's tests. Vectors have 4 numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from rag.domain import (
    Block,
    BlockKind,
    Box,
    Chunk,
    Filter,
    Job,
    MetadataValue,
    Right,
    chunk_id,
)
from rag.ports import Publication
from rag.store.unit import SqlStore

RIGHTS = {"local": Right.MANAGE, "staff": Right.READ}
EMBEDDER = "hash-4@float32"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def vector(text: str) -> np.ndarray:
    raw = np.frombuffer(
        hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:4], dtype=np.uint8
    )
    made = raw.astype(np.float32) + 1
    return made / np.linalg.norm(made)


def publication(
    version: str,
    texts: Sequence[str],
    *,
    metadata: Mapping[str, MetadataValue] | None = None,
    embedder: str = EMBEDDER,
    dimension: int = 4,
) -> Publication:
    chunks, start = [], 0
    for text in texts:
        end = start + len(text)
        chunks.append(Chunk(chunk_id(version, start, end), version, start, end, text, ("Part",), 1))
        start = end + 1
    rows = [np.resize(vector(text), dimension) for text in texts]
    return Publication(
        version=version,
        media_type="text/plain",
        title=f"Title of {version}",
        size=start,
        pages=1,
        text_blob=sha("\n".join(texts)),
        layout_blob=None,
        metadata=metadata or {},
        blocks=[
            Block(BlockKind.PARAGRAPH, c.start, c.end, 1, (Box(1, 0.5, 1, 2, 3),)) for c in chunks
        ],
        chunks=chunks,
        indexed=[f"Title of {version}\nPart\n{text}" for text in texts],
        vectors=np.array(rows, dtype=np.float32).reshape(len(texts), dimension),
        embedder=embedder,
    )


def collection(store: SqlStore, name: str = "handbook") -> str:
    with store() as unit:
        made = unit.collections.create(name, RIGHTS)
        unit.commit()
    return made.id


def accept(
    store: SqlStore,
    into: str,
    name: str,
    content: str,
    readers: frozenset[str] | None = None,
    metadata: Mapping[str, MetadataValue] | None = None,
) -> Job:
    with store() as unit:
        job = unit.documents.accept(into, name, sha(content), len(content), readers, metadata)
        unit.commit()
    return job


def lease(store: SqlStore, job: str, worker: str = "w1", seconds: float = 60) -> Job | None:
    with store() as unit:
        taken = unit.jobs.lease(job, worker, seconds)
        unit.commit()
    return taken


def publish(store: SqlStore, job: str, texts: Sequence[str], worker: str = "w1") -> int:
    """The version's id is the job's."""
    with store() as unit:
        generation = unit.documents.publish(job, worker, publication(job, texts))
        unit.commit()
    return generation


def ingest(
    store: SqlStore,
    into: str,
    name: str,
    texts: Sequence[str],
    readers: frozenset[str] | None = None,
    metadata: Mapping[str, MetadataValue] | None = None,
) -> tuple[Job, int]:
    job = accept(store, into, name, "\n".join(texts), readers, metadata)
    assert lease(store, job.id) is not None
    return job, publish(store, job.id, texts)


def seen(
    store: SqlStore, into: str, generation: int, groups: frozenset[str] = frozenset({"local"})
) -> list[str]:
    """The texts that a question at `generation` may read, sorted."""
    with store() as unit:
        ids = [row.chunk for row in unit.chunks.since(into, 0).born]
        found = unit.chunks.passages(into, ids, Filter(generation, groups))
    return sorted(passage.chunk.text for passage in found)
