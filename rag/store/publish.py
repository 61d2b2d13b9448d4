"""Making finished versions visible: one transaction, so that no reader sees half of one.

Those of a batch share the statements; each has a generation of its own.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import numpy as np
from sqlalchemy import Insert, exists, insert, select
from sqlalchemy.orm import Session, aliased

from rag.domain import JobState
from rag.errors import Conflict, Corrupt, EmbedderChanged, NotFound
from rag.ports import Publication
from rag.prompt import shown_text
from rag.store.access import end_live
from rag.store.generations import locked, next_generations
from rag.store.holding import name_blobs
from rag.store.jobs import held_by, held_jobs
from rag.store.members import take_members
from rag.store.spaces import current_of
from rag.store.tables import (
    CHUNKS,
    VECTORS,
    BandRow,
    BlocksRow,
    CollectionRow,
    DocumentRow,
    EmbeddingRow,
    JobRow,
    VersionRow,
)
from rag.store.transaction import Transaction
from rag.store.version_rows import (
    Made,
    band_rows,
    blocks_row,
    chunk_rows,
    vectors_of,
    version_row,
)

_BATCH = 500  # rows per statement; bounds the memory of the bound parameters


def publish(tx: Transaction, job: str, worker: str, publication: Publication) -> int:
    """The generation at which `publication` is live. Raises NotFound, Conflict, Corrupt."""
    generations = publish_all(tx, worker, {job: publication})
    if job not in generations:
        raise Conflict(f"worker {worker!r} no longer holds the lease of job {job}")
    return generations[job]


def publish_all(
    tx: Transaction, worker: str, publications: Mapping[str, Publication]
) -> dict[str, int]:
    """The generations at which the publications (by job, of one collection) are live, without those
    whose lease was lost. Raises NotFound, Conflict, Corrupt."""
    for publication in publications.values():
        _check(publication)
    session = tx.write()
    collection = session.scalar(select(JobRow.collection).where(JobRow.id.in_(list(publications))))
    if collection is None:
        raise NotFound(
            f"there is no job {next(iter(publications))!r:.100}; its collection may have been "
            "deleted"
        )
    owner = locked(session, collection)  # first the collection, then the jobs: no deadlock
    name_blobs(session)
    rows = held_jobs(session, publications)
    found = {row.id: row.generation for row in rows if row.state == JobState.DONE}
    held = [row for row in rows if held_by(row, worker)]
    current = current_of(session, owner.id)
    for row in held:
        _check_embedder(owner, current, publications[row.id])
    for several in _of_different_documents(held):
        versions = [publications[row.id] for row in several]
        found |= _publish(tx, owner, several, versions, current.id)
    return {job: generation for job, generation in found.items() if generation is not None}


def _of_different_documents(rows: list[JobRow]) -> Iterator[list[JobRow]]:
    """In the order of acceptance: a document's later version replaces its earlier one."""
    while rows:
        first = {row.document: row for row in reversed(rows)}
        yield [row for row in rows if first[row.document] is row]
        rows = [row for row in rows if first[row.document] is not row]


def _publish(
    tx: Transaction,
    owner: CollectionRow,
    rows: list[JobRow],
    versions: list[Publication],
    embedding: str,
) -> dict[str, int]:
    numbers = next_generations(tx, owner, "published", [row.document for row in rows])
    overtaken = _overtaken(tx.write(), rows)
    made = [
        Made(row, version, number, row.id in overtaken)
        for row, version, number in zip(rows, versions, numbers, strict=True)
    ]
    live = [each for each in made if not each.overtaken]
    changed = _replace(tx, live)
    _insert_versions(tx, made)
    _insert(tx, insert(CHUNKS), (row for each in live for row in chunk_rows(each)))
    _insert(tx, insert(VECTORS), (row for each in live for row in vectors_of(each, embedding)))
    _take_members(tx, owner, live, changed)
    now = tx.now()
    for each in made:
        _finish(each.job, each.version.version, each.generation, now)
    tx.write().flush()
    return {each.job.id: each.generation for each in made}


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


def _check_embedder(owner: CollectionRow, current: EmbeddingRow, publication: Publication) -> None:
    dimension = publication.vectors.shape[1]
    if not current.embedder:
        current.embedder = publication.embedder
    if current.embedder != publication.embedder:
        raise EmbedderChanged(
            f"collection {owner.name!r} is embedded by {current.embedder}, this version by "
            f"{publication.embedder}; vectors of two models cannot be compared"
        )
    if len(publication.chunks) and current.dimension is None:
        current.dimension = dimension
    if len(publication.chunks) and current.dimension != dimension:
        raise Conflict(
            f"collection {owner.name!r} has vectors of {current.dimension} numbers, this version "
            f"of {dimension}"
        )


def _overtaken(session: Session, rows: Sequence[JobRow]) -> set[str]:
    """Ids of the jobs whose documents have a later upload live."""
    later = aliased(JobRow)
    query = select(JobRow.id).where(
        JobRow.id.in_([row.id for row in rows]),
        exists().where(
            later.document == JobRow.document,
            later.number > JobRow.number,
            later.state == JobState.DONE.value,
        ),
    )
    return set(session.scalars(query))


def _replace(tx: Transaction, made: Sequence[Made]) -> set[str]:
    """End what was live. Returns the documents whose access changes with their words."""
    session = tx.write()
    ids = [each.job.document for each in made]
    found = select(DocumentRow).where(DocumentRow.id.in_(ids))
    documents = {
        row.id: row for row in session.scalars(found.execution_options(populate_existing=True))
    }
    changed = set()
    for each in made:
        document, job = documents[each.job.document], each.job
        if (document.readers, document.given) != (job.readers, job.given):
            document.readers, document.given = job.readers, job.given
            changed.add(document.id)
    live = select(VersionRow.document).where(
        VersionRow.document.in_(ids), VersionRow.died.is_(None)
    )
    before = set(session.scalars(live))
    for each in made:
        if each.job.document in before:
            end_live(tx, each.job.document, each.generation)
        if tx.ended:
            tx.ended -= {
                shown_text(each.version.title, chunk.heading_path, chunk.text)
                for chunk in each.version.chunks
            }
    return changed


def _insert_versions(tx: Transaction, made: Sequence[Made]) -> None:
    session = tx.write()
    taken = select(VersionRow.id).where(VersionRow.id.in_([each.version.version for each in made]))
    if (id := session.scalar(taken.limit(1))) is not None:
        raise Conflict(f"version {id} exists already; a version's id is used for one job")
    now = tx.now()
    session.execute(insert(VersionRow), [version_row(each, now) for each in made])
    session.execute(insert(BlocksRow), [blocks_row(each) for each in made])
    _insert(tx, insert(BandRow), (row for each in made for row in band_rows(each)))


def _insert(tx: Transaction, into: Insert, rows: Iterator[dict[str, Any]]) -> None:
    while batch := list(islice(rows, _BATCH)):
        tx.write().execute(into, batch)


def _take_members(
    tx: Transaction, owner: CollectionRow, made: Sequence[Made], changed: Container[str]
) -> None:
    """Of those that hold files, or held some."""
    ids = [each.job.document for each in made]
    query = select(DocumentRow.parent).where(
        DocumentRow.parent.in_(ids), DocumentRow.gone.is_(None)
    )
    before = set(tx.write().scalars(query.distinct()))
    for each in made:
        document, members = each.job.document, each.version.members
        if members or document in before:
            take_members(tx, owner, each.job, members, access_changed=document in changed)


def _finish(row: JobRow, version: str, generation: int, now: datetime) -> None:
    row.state, row.step, row.progress, row.error = JobState.DONE.value, "done", 1.0, ""
    row.version, row.generation = version, generation
    row.lease_owner = row.lease_until = None
    row.updated = now
