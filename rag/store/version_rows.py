"""A finished version as rows of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from rag.ports import Publication, Vectors
from rag.resemblance import bands
from rag.store.checked import checked_metadata
from rag.store.tables import JobRow
from rag.wire import to_json


@dataclass(frozen=True, slots=True)
class Made:
    """`overtaken`: a later upload of the document is live already; this one only enters its
    history."""

    job: JobRow
    version: Publication
    generation: int
    overtaken: bool

    @property
    def own(self) -> dict[str, Any]:
        """The file's own metadata. Raises BadInput."""
        return checked_metadata(self.version.metadata)


def version_row(each: Made, now: datetime) -> dict[str, Any]:
    version = each.version
    return {
        "id": version.version,
        "collection": each.job.collection,
        "document": each.job.document,
        "sha256": each.job.sha256,
        "media_type": version.media_type,
        "title": version.title,
        "size": version.size,
        "pages": version.pages,
        "text_blob": version.text_blob,
        "layout_blob": version.layout_blob,
        "own": each.own,
        "findings": None if version.findings is None else to_json(version.findings),
        "signature": version.signature,
        "chunks": len(version.chunks),
        "born": each.generation,
        "died": each.generation if each.overtaken else None,
        "created": now,
    }


def blocks_row(each: Made) -> dict[str, Any]:
    blocks = [to_json(block) for block in each.version.blocks]
    return {"version": each.version.version, "items": blocks}


def band_rows(each: Made) -> Iterator[dict[str, Any]]:
    for band in bands(each.version.signature):
        yield {"version": each.version.version, "collection": each.job.collection, "band": band}


def chunk_rows(each: Made) -> Iterator[dict[str, Any]]:
    row, publication, merged = each.job, each.version, each.own | each.job.given
    for chunk, indexed in zip(publication.chunks, publication.indexed, strict=True):
        yield {
            "collection": row.collection,
            "document": row.document,
            "version": publication.version,
            "chunk": chunk.id,
            "start": chunk.start,
            "end": chunk.end,
            "heading_path": list(chunk.heading_path),
            "page": chunk.page,
            "text": chunk.text,
            "indexed": indexed,
            "readers": row.readers,
            "metadata": merged,
            "born": each.generation,
            "died": None,
        }


def vectors_of(each: Made, embedding: str) -> Iterator[dict[str, Any]]:
    ids = [chunk.id for chunk in each.version.chunks]
    return vector_rows(embedding, ids, each.version.vectors)


def vector_rows(
    embedding: str, chunks: Sequence[str], vectors: Vectors
) -> Iterator[dict[str, Any]]:
    """Rows of `vectors` for the chunks (ids), to which the vectors belong one by one."""
    whole = np.ascontiguousarray(vectors, dtype="<f4")
    for chunk, vector in zip(chunks, whole, strict=True):
        yield {"chunk": chunk, "embedding": embedding, "vector": vector.tobytes()}
