"""What `attest doctor` asks the truth: does it agree with itself, and are its blobs there?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Final, Literal

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from rag.domain import EmbeddingState, JobState
from rag.errors import Corrupt, NotFound
from rag.ports import Blobs
from rag.store.audit import SqlAudit
from rag.store.holding import unnamed
from rag.store.jobs import WAITING
from rag.store.tables import (
    BlocksRow,
    ChunkRow,
    CollectionRow,
    DocumentRow,
    EmbeddingRow,
    GenerationRow,
    JobRow,
    VectorRow,
    VersionRow,
)
from rag.store.transaction import Clock, Transaction
from rag.store.unit import SqlStore

Severity = Literal["error", "warning"]

_PURGED_WITHIN: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` is stable, `subject` the id of what is wrong, `message` says what to do. An error
    breaks a promise; a warning is a state that should pass by itself."""

    code: str
    subject: str
    message: str
    severity: Severity = "error"


def examine(
    store: SqlStore,
    blobs: Blobs,
    *,
    read_blobs: bool = False,
    stuck_after: timedelta = timedelta(hours=1),
    clock: Clock | None = None,
) -> list[Finding]:
    """Everything wrong, worst first; [] is a sound store. `read_blobs` reads every blob and checks
    its hash, which takes as long as reading them. A job that has waited longer than `stuck_after`
    is reported. Changes nothing. Raises StoreUnavailable, Corrupt for a damaged database file."""
    tx = Transaction(store.engine, clock)
    try:
        session = tx.read()
        found = [
            *_blobs(session, blobs, read_blobs),
            *_unpurged(session, blobs, tx, read_blobs),
            *_versions(session),
            *_chunks(session),
            *_vectors(session),
            *_generations(session),
            *_jobs(session, tx, stuck_after),
            *_audit(tx),
        ]
    finally:
        tx.close()
    return sorted(found, key=lambda finding: finding.severity)


def _blobs(session: Session, blobs: Blobs, read: bool) -> Iterator[Finding]:
    """Text, layout and original of every version, and the original of every waiting job."""
    versions = select(
        VersionRow.id, VersionRow.text_blob, VersionRow.layout_blob, VersionRow.sha256
    )
    for id, text, layout, original in session.execute(versions):
        for kind, sha256 in (("text", text), ("layout", layout), ("original", original)):
            if sha256 is not None:
                yield from _blob(blobs, sha256, f"{kind} of version {id}", read)
    jobs = select(JobRow.id, JobRow.sha256).where(JobRow.state.in_(WAITING))
    for id, sha256 in session.execute(jobs):
        yield from _blob(blobs, sha256, f"original of job {id}", read)


def _blob(blobs: Blobs, sha256: str, what: str, read: bool) -> Iterator[Finding]:
    if read:
        try:
            with suppress(NotFound):
                blobs.get(sha256)
                return
        except Corrupt:
            message = f"the {what} is damaged; restore the blob or upload it again"
            yield Finding("blob_corrupt", sha256, message)
            return
    elif blobs.has(sha256):
        return
    yield Finding("blob_missing", sha256, f"the {what} is not stored; restore a backup")


def _unpurged(session: Session, blobs: Blobs, tx: Transaction, read: bool) -> Iterator[Finding]:
    """What is deleted must be gone for good after a while, and nothing may be left of it."""
    before = tx.now() - _PURGED_WITHIN
    old = (
        select(DocumentRow.id)
        .join(
            GenerationRow,
            and_(
                GenerationRow.collection == DocumentRow.collection,
                GenerationRow.number == DocumentRow.gone,
            ),
        )
        .where(GenerationRow.at < before)
    )
    for id in session.scalars(old):
        message = "was deleted more than a day ago and is still stored; run attest purge"
        yield Finding("deleted_not_purged", id, message, "warning")
    held = exists().where(ChunkRow.chunk == VectorRow.chunk)
    loose = select(VectorRow.embedding, func.count()).where(~held).group_by(VectorRow.embedding)
    for id, n in session.execute(loose):
        message = f"{n} vectors belong to no chunk; run attest purge"
        yield Finding("vector_orphan", id, message, "warning")
    if read:
        strays, names = 0, blobs.untouched(_PURGED_WITHIN.total_seconds())
        while some := list(islice(names, 10_000)):
            strays += len(unnamed(session, some))
        if strays:
            message = f"{strays} blobs are named by nothing; run attest purge"
            yield Finding("blob_orphan", "", message, "warning")


def _versions(session: Session) -> Iterator[Finding]:
    """Live versions must have their blocks, their document and as many live rows as they say."""
    live_rows = (
        select(ChunkRow.version, func.count().label("rows"))
        .where(ChunkRow.died.is_(None))
        .group_by(ChunkRow.version)
        .subquery()
    )
    counted = func.coalesce(live_rows.c.rows, 0)
    wrong = (
        select(VersionRow.id, VersionRow.chunks, counted)
        .outerjoin(live_rows, live_rows.c.version == VersionRow.id)
        .where(VersionRow.died.is_(None), VersionRow.chunks != counted)
    )
    for id, said, rows in session.execute(wrong):
        message = f"says {said} chunks and has {rows} live rows; ingest its document again"
        yield Finding("chunks_mismatch", id, message)
    bare = select(VersionRow.id).outerjoin(BlocksRow, BlocksRow.version == VersionRow.id)
    for id in session.scalars(bare.where(BlocksRow.version.is_(None))):
        yield Finding("blocks_missing", id, "has no blocks; ingest its document again")
    orphans = select(VersionRow.id).outerjoin(DocumentRow, DocumentRow.id == VersionRow.document)
    for id in session.scalars(orphans.where(DocumentRow.id.is_(None))):
        yield Finding("version_orphan", id, "belongs to no document")
    undead = select(VersionRow.id).join(DocumentRow, DocumentRow.id == VersionRow.document)
    for id in session.scalars(
        undead.where(DocumentRow.gone.is_not(None), VersionRow.died.is_(None))
    ):
        yield Finding("deleted_but_live", id, "is live although its document was deleted")


def _chunks(session: Session) -> Iterator[Finding]:
    """Rows must belong to a version and live within it."""
    version = aliased(VersionRow)
    rows = select(ChunkRow.version, func.count()).outerjoin(version, version.id == ChunkRow.version)
    rows = rows.group_by(ChunkRow.version)
    for id, n in session.execute(rows.where(version.id.is_(None))):
        yield Finding("chunk_orphan", id, f"{n} chunk rows belong to this version, which is gone")
    outlives = or_(
        ChunkRow.born < version.born,
        and_(version.died.is_not(None), ChunkRow.died.is_(None)),
        ChunkRow.died > version.died,
    )
    for id, n in session.execute(rows.where(version.id.is_not(None), outlives)):
        yield Finding("chunk_outlives", id, f"{n} chunk rows are visible when it is not")


def _vectors(session: Session) -> Iterator[Finding]:
    """As long as their embedding's, and one for each live chunk in what questions read."""
    size = func.length(VectorRow.vector)
    wrong = (
        select(EmbeddingRow.collection, func.count())
        .join(VectorRow, VectorRow.embedding == EmbeddingRow.id)
        .where(or_(EmbeddingRow.dimension.is_(None), size != EmbeddingRow.dimension * 4))
        .group_by(EmbeddingRow.collection)
    )
    for id, n in session.execute(wrong):
        yield Finding("vector_size", id, f"{n} vectors have another length than the collection's")
    current = and_(
        EmbeddingRow.collection == ChunkRow.collection,
        EmbeddingRow.state == EmbeddingState.CURRENT.value,
    )
    held = and_(VectorRow.chunk == ChunkRow.chunk, VectorRow.embedding == EmbeddingRow.id)
    missing = (
        select(ChunkRow.collection, func.count())
        .outerjoin(EmbeddingRow, current)
        .outerjoin(VectorRow, held)
        .where(ChunkRow.died.is_(None), VectorRow.chunk.is_(None))
        .group_by(ChunkRow.collection)
    )
    for id, n in session.execute(missing):
        message = f"{n} live chunks have no vector; read their documents again: attest reindex"
        yield Finding("vector_missing", id, message)


def _generations(session: Session) -> Iterator[Finding]:
    """Numbers run from 1 to the collection's without a gap, and no row is from beyond."""
    numbers = select(
        GenerationRow.collection,
        func.count().label("n"),
        func.max(GenerationRow.number).label("top"),
    ).group_by(GenerationRow.collection)
    held = numbers.subquery()
    rows = select(CollectionRow.id, CollectionRow.generation, held.c.n, held.c.top).outerjoin(
        held, held.c.collection == CollectionRow.id
    )
    for id, newest, count, last in session.execute(rows):
        if (count or 0, last or 0) != (newest, newest):
            message = f"is at generation {newest}, but {count or 0} up to {last or 0} are recorded"
            yield Finding("generation_gap", id, message)
    beyond = (
        select(ChunkRow.collection, func.count())
        .join(CollectionRow, CollectionRow.id == ChunkRow.collection)
        .where(
            or_(ChunkRow.born > CollectionRow.generation, ChunkRow.died > CollectionRow.generation)
        )
        .group_by(ChunkRow.collection)
    )
    for id, n in session.execute(beyond):
        yield Finding("row_from_the_future", id, f"{n} chunk rows are newer than the collection")


def _jobs(session: Session, tx: Transaction, stuck_after: timedelta) -> Iterator[Finding]:
    now = tx.now()
    expired = (JobRow.state == JobState.RUNNING.value, JobRow.lease_until <= now)
    for job in session.scalars(select(JobRow).where(*expired).order_by(JobRow.number)):
        message = (
            f"{job.name!r}: the lease of {job.lease_owner} ran out in step {job.step!r}; "
            "the sweep sends it again, if worker and scheduler run"
        )
        yield Finding("lease_expired", job.id, message, "warning")
    waiting = (JobRow.state == JobState.QUEUED.value, JobRow.updated < now - stuck_after)
    for job in session.scalars(select(JobRow).where(*waiting).order_by(JobRow.number)):
        message = (
            f"{job.name!r} has waited since {job.updated:%Y-%m-%d %H:%M}; is a worker running?"
        )
        yield Finding("job_stuck", job.id, message, "warning")
    poisoned = select(JobRow).where(JobRow.state == JobState.POISONED.value)
    for job in session.scalars(poisoned.order_by(JobRow.number)):
        yield Finding("job_poisoned", job.id, f"{job.name!r}: {job.error}", "warning")


def _audit(tx: Transaction) -> Iterator[Finding]:
    broken = SqlAudit(tx).verify()
    if broken is not None:
        message = "the chain is broken here: an entry was changed, removed or cut off"
        yield Finding("audit_broken", str(broken), message)
