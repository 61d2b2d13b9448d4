"""Making a finished version visible: one transaction, so that no reader sees half of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from rag.domain import JobState
from rag.errors import Conflict, Corrupt, EmbedderChanged, NotFound
from rag.ports import Publication, Vectors
from rag.prompt import shown_text
from rag.resemblance import bands
from rag.store.access import end_live
from rag.store.checked import checked_metadata
from rag.store.generations import locked, next_generation
from rag.store.holding import name_blobs
from rag.store.jobs import held_by, held_job
from rag.store.members import take_members
from rag.store.spaces import current_of
from rag.store.tables import (
    CHUNKS,
    VECTORS,
    BandRow,
    BlocksRow,
    CollectionRow,
    DocumentRow,
    JobRow,
    VersionRow,
)
from rag.store.transaction import Transaction
from rag.wire import to_json

_BATCH = 500  # rows per statement; bounds the memory of the bound parameters


def publish(tx: Transaction, job: str, worker: str, publication: Publication) -> int:
    """The generation at which `publication` is live. Raises NotFound, Conflict, Corrupt."""
    _check(publication)
    session = tx.write()
    collection = session.scalar(select(JobRow.collection).where(JobRow.id == job))
    if collection is None:
        raise NotFound(f"there is no job {job!r:.100}; its collection may have been deleted")
    owner = locked(session, collection)  # first the collection, then the job: no deadlock
    name_blobs(session)
    row = held_job(session, job)
    if row is not None and row.state == JobState.DONE and row.generation is not None:
        return row.generation
    if row is None or not held_by(row, worker):
        raise Conflict(f"worker {worker!r} no longer holds the lease of job {job}")
    embedding = _check_embedder(session, owner, publication)
    generation = next_generation(tx, owner, "published", row.document)
    if _overtaken(session, row):
        _insert_version(tx, row, publication, generation, died=generation)
    else:
        changed = _replace(tx, row, publication, generation, embedding)
        take_members(tx, owner, row, publication.members, access_changed=changed)
    _finish(tx, row, publication.version, generation)
    return generation


def _check(publication: Publication) -> None:
    n = len(publication.chunks)
    shape = publication.vectors.shape
    if len(shape) != 2 or shape[0] != n or len(publication.indexed) != n:
        raise Corrupt(
            f"version {publication.version} has {n} chunks, {len(publication.indexed)} indexed "
            f"texts and vectors of shape {shape}; they must belong to each other one by one"
        )
    if any(chunk.version != publication.version for chunk in publication.chunks):
        raise Corrupt(f"version {publication.version} holds a chunk of another version")
    if not np.isfinite(publication.vectors).all():
        raise Corrupt(f"version {publication.version} has a vector that is not a number")


def _check_embedder(session: Session, owner: CollectionRow, publication: Publication) -> str:
    """The id of the embedding that the vectors belong to."""
    current, dimension = current_of(session, owner.id), publication.vectors.shape[1]
    if not current.embedder:
        current.embedder = publication.embedder
    if current.embedder != publication.embedder:
        raise EmbedderChanged(
            f"collection {owner.name!r} is embedded by {current.embedder}, this version by "
            f"{publication.embedder}; vectors of two models cannot be compared"
        )
    if not len(publication.chunks):
        return current.id
    if current.dimension is None:
        current.dimension = dimension
    if current.dimension != dimension:
        raise Conflict(
            f"collection {owner.name!r} has vectors of {current.dimension} numbers, this version "
            f"of {dimension}"
        )
    return current.id


def _overtaken(session: Session, row: JobRow) -> bool:
    """A later upload of the document is live already; this one then only enters its history."""
    later = exists().where(
        JobRow.document == row.document,
        JobRow.number > row.number,
        JobRow.state == JobState.DONE.value,
    )
    return bool(session.scalar(select(later)))


def _replace(
    tx: Transaction, row: JobRow, publication: Publication, generation: int, embedding: str
) -> bool:
    """Returns whether the document's access changes with its words."""
    session = tx.write()
    document = session.get_one(DocumentRow, row.document, populate_existing=True)
    changed = (document.readers, document.given) != (row.readers, row.given)
    document.readers, document.given = row.readers, row.given
    end_live(tx, row.document, generation)
    tx.ended -= {
        shown_text(publication.title, chunk.heading_path, chunk.text)
        for chunk in publication.chunks
    }
    own = _insert_version(tx, row, publication, generation, died=None)
    rows = _chunk_rows(row, publication, own | row.given, generation)
    while batch := list(islice(rows, _BATCH)):
        session.execute(insert(CHUNKS), batch)
    vectors = vector_rows(embedding, [c.id for c in publication.chunks], publication.vectors)
    while batch := list(islice(vectors, _BATCH)):
        session.execute(insert(VECTORS), batch)
    return changed


def _insert_version(
    tx: Transaction, row: JobRow, publication: Publication, generation: int, died: int | None
) -> dict[str, Any]:
    """Returns the file's own metadata."""
    session = tx.write()
    if session.scalar(select(VersionRow.id).where(VersionRow.id == publication.version)):
        raise Conflict(
            f"version {publication.version} exists already; a version's id is used for one job"
        )
    own = checked_metadata(publication.metadata)
    session.add(
        VersionRow(
            id=publication.version,
            collection=row.collection,
            document=row.document,
            sha256=row.sha256,
            media_type=publication.media_type,
            title=publication.title,
            size=publication.size,
            pages=publication.pages,
            text_blob=publication.text_blob,
            layout_blob=publication.layout_blob,
            own=own,
            findings=None if publication.findings is None else to_json(publication.findings),
            signature=publication.signature,
            chunks=len(publication.chunks),
            born=generation,
            died=died,
            created=tx.now(),
        )
    )
    session.flush()
    blocks = [to_json(block) for block in publication.blocks]
    session.execute(insert(BlocksRow), [{"version": publication.version, "items": blocks}])
    shared = {"version": publication.version, "collection": row.collection}
    if found := [shared | {"band": band} for band in bands(publication.signature)]:
        session.execute(insert(BandRow), found)
    return own


def _chunk_rows(
    row: JobRow, publication: Publication, merged: dict[str, Any], generation: int
) -> Iterator[dict[str, Any]]:
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
            "born": generation,
            "died": None,
        }


def vector_rows(
    embedding: str, chunks: Sequence[str], vectors: Vectors
) -> Iterator[dict[str, Any]]:
    """Rows of `vectors` for the chunks (ids), to which the vectors belong one by one."""
    whole = np.ascontiguousarray(vectors, dtype="<f4")
    for chunk, vector in zip(chunks, whole, strict=True):
        yield {"chunk": chunk, "embedding": embedding, "vector": vector.tobytes()}


def _finish(tx: Transaction, row: JobRow, version: str, generation: int) -> None:
    row.state, row.step, row.progress, row.error = JobState.DONE.value, "done", 1.0, ""
    row.version, row.generation = version, generation
    row.lease_owner = row.lease_until = None
    row.updated = tx.now()
    tx.write().flush()
