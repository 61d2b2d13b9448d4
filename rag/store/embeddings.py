"""Embeddings in SQL: another embedder's vectors, built beside those in use and swapped in whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from uuid import uuid4

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, or_, select
from sqlalchemy.orm import Session

from rag.domain import Embedding, EmbeddingState
from rag.errors import Conflict, Corrupt, NotFound
from rag.ports import Unembedded, Vectors
from rag.store.generations import locked, next_generation
from rag.store.spaces import current_of
from rag.store.tables import VECTORS, ChunkRow, EmbeddingRow, VectorRow
from rag.store.transaction import Transaction
from rag.store.version_rows import vector_rows

_BATCH = 500  # rows per statement
_ERROR_LENGTH = 2_000
_BUILDING, _CURRENT = EmbeddingState.BUILDING.value, EmbeddingState.CURRENT.value
_LEAVING, _FORMER = EmbeddingState.LEAVING.value, EmbeddingState.FORMER.value
_DROPPED = EmbeddingState.DROPPED.value


class SqlEmbeddings:
    """Every change holds the collection's row first, as publishing does: so what is complete stays
    complete until the swap that is of the same transaction."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def get(self, id: str) -> Embedding:
        row = self._tx.read().scalar(select(EmbeddingRow).where(EmbeddingRow.id == id))
        if row is None:
            raise NotFound(f"there is no embedding {id!r:.100}; its vectors were removed")
        return _noun(row)

    def current(self, collection: str) -> Embedding:
        return _noun(current_of(self._tx.read(), collection))

    def all(self, collection: str) -> list[Embedding]:
        query = select(EmbeddingRow).where(EmbeddingRow.collection == collection)
        rows = self._tx.read().scalars(query.order_by(EmbeddingRow.created, EmbeddingRow.id))
        return [_noun(row) for row in rows]

    def searched(self) -> set[str]:
        states = [_BUILDING, _CURRENT]
        query = select(EmbeddingRow.id).where(EmbeddingRow.state.in_(states))
        return set(self._tx.read().scalars(query))

    def begin(self, collection: str, embedder: str, dimension: int, user: str) -> Embedding:
        session = self._tx.write()
        locked(session, collection)
        current = current_of(session, collection)
        if current.embedder == embedder:
            raise Conflict(f"the collection is embedded by {embedder} already")
        if not current.embedder:
            raise Conflict(
                "the collection has no document yet; its first will be embedded by the `embedder` "
                "of the settings"
            )
        building = session.scalar(_of(collection, _BUILDING))
        if building is not None and building.embedder != embedder:
            raise Conflict(
                f"vectors of {building.embedder} are being made ({building.progress:.0%}); "
                "cancel that first"
            )
        row = building or session.scalar(
            _of(collection, _FORMER, _LEAVING).where(EmbeddingRow.embedder == embedder)
        )
        if row is None:
            row = EmbeddingRow(
                id=uuid4().hex, collection=collection, embedder=embedder, born=0,
                created=self._tx.now(),
            )  # fmt: skip
            session.add(row)
        if row.state != _BUILDING:
            row.state, row.dimension, row.user = _BUILDING, dimension, user
            row.through, row.after, row.left_at = None, 0, None
            row.step, row.progress, row.error = "", 0.0, ""
            row.lease_owner = row.lease_until = None
        session.flush()
        return _noun(row)

    def drop(self, collection: str, states: Sequence[EmbeddingState]) -> list[Embedding]:
        session = self._tx.write()
        locked(session, collection)
        if EmbeddingState.CURRENT in states:
            raise Conflict("what questions read cannot be dropped")
        rows = list(session.scalars(_of(collection, *(state.value for state in states))))
        for row in rows:
            row.state, row.after = _DROPPED, 0
            row.lease_owner = row.lease_until = None
        session.flush()
        return [_noun(row) for row in rows]

    def due(self, kept_seconds: float) -> list[str]:
        session, now = self._tx.read(), self._tx.now()
        old = and_(
            EmbeddingRow.state == _FORMER,
            EmbeddingRow.left_at <= now - timedelta(seconds=kept_seconds),
        )
        working = EmbeddingRow.state.in_([_BUILDING, _LEAVING, _DROPPED])
        query = select(EmbeddingRow.id).where(or_(working, old), _free(now))
        return list(session.scalars(query.order_by(EmbeddingRow.created)))

    def lease(self, id: str, worker: str, seconds: float) -> Embedding | None:
        session = self._tx.write()
        row, now = _locked(session, id), self._tx.now()
        if row is None or (row.lease_until is not None and row.lease_until > now):
            return None
        if row.state == _FORMER:
            row.state, row.after = _DROPPED, 0  # it was kept long enough
        if row.state == _CURRENT:
            return None
        row.lease_owner, row.lease_until = worker, now + timedelta(seconds=seconds)
        session.flush()
        return _noun(row)

    def heartbeat(self, id: str, worker: str, seconds: float, step: str, progress: float) -> bool:
        session = self._tx.write()
        row = _locked(session, id)
        if row is None or row.lease_owner != worker:
            return False
        row.lease_until = self._tx.now() + timedelta(seconds=seconds)
        row.step, row.progress = step, min(1.0, max(0.0, progress))
        session.flush()
        return True

    def release(self, id: str, worker: str, error: str) -> None:
        session = self._tx.write()
        row = _locked(session, id)
        if row is not None and row.lease_owner == worker:
            row.lease_owner = row.lease_until = None
            row.error = error.replace("\0", " ")[:_ERROR_LENGTH]
            session.flush()

    def counted(self, id: str) -> tuple[int, int]:
        session = self._tx.read()
        collection = select(EmbeddingRow.collection).where(EmbeddingRow.id == id)
        live = select(func.count()).where(
            ChunkRow.collection == collection.scalar_subquery(), ChunkRow.died.is_(None)
        )
        total = session.scalar(live) or 0
        return total - (session.scalar(live.where(~_embedded(id))) or 0), total

    def missing(self, id: str, limit: int) -> list[Unembedded]:
        session = self._tx.read()
        row = session.get_one(EmbeddingRow, id)
        query = select(ChunkRow.row, ChunkRow.chunk, ChunkRow.indexed).where(
            *_bare(row), ChunkRow.row > row.after
        )
        found = session.execute(query.order_by(ChunkRow.row).limit(limit))
        return [Unembedded(each.row, each.chunk, each.indexed) for each in found]

    def put(self, id: str, worker: str, chunks: Sequence[Unembedded], vectors: Vectors) -> None:
        session = self._tx.write()
        row = self._held(session, id, worker)
        if vectors.shape != (len(chunks), row.dimension):
            raise Corrupt(f"{len(chunks)} chunks came with vectors of shape {vectors.shape}")
        query = select(ChunkRow.row).where(ChunkRow.row.in_([each.row for each in chunks]))
        there = set(session.scalars(query))  # the others were purged meanwhile
        kept = [at for at, each in enumerate(chunks) if each.row in there]
        rows = vector_rows(id, [chunks[at].chunk for at in kept], vectors[kept])
        while batch := list(islice(rows, _BATCH)):
            session.execute(insert(VECTORS), batch)
        row.after = max(each.row for each in chunks)
        session.flush()

    def complete(self, id: str, worker: str) -> bool:
        session = self._tx.write()
        row = self._held(session, id, worker)
        owner = locked(session, row.collection)
        if session.scalar(select(exists().where(*_bare(row)))):
            row.after = 0
            session.flush()
            return False
        row.through = owner.generation
        session.flush()
        return True

    def swap(self, id: str, worker: str) -> int | None:
        session = self._tx.write()
        row = self._held(session, id, worker)
        owner = locked(session, row.collection)
        if row.through is None:
            raise Conflict("its vectors are not complete yet")
        if session.scalar(select(exists().where(*_bare(row), ChunkRow.born > row.through))):
            row.after = 0
            session.flush()
            return None
        generation = next_generation(self._tx, owner, "embedder", id)
        current = current_of(session, row.collection)
        current.state, current.left_at = _LEAVING, self._tx.now()
        session.flush()  # one current at a time, at every moment
        row.state, row.born, row.step, row.progress = _CURRENT, generation, "", 1.0
        row.error, row.lease_owner, row.lease_until = "", None, None
        session.flush()
        return generation

    def left(self, id: str, worker: str) -> None:
        session = self._tx.write()
        row = self._held(session, id, worker)
        row.state, row.lease_owner, row.lease_until = _FORMER, None, None
        session.flush()

    def remove(self, id: str, worker: str, limit: int) -> bool:
        session = self._tx.write()
        row = self._held(session, id, worker)
        collection = row.collection
        some = (
            select(ChunkRow.chunk, ChunkRow.row)
            .where(ChunkRow.collection == collection, ChunkRow.row > row.after)
            .order_by(ChunkRow.row)
            .limit(limit)
        )
        found = list(session.execute(some))
        if not found:
            session.delete(row)
            session.flush()
            return True
        chunks = [each.chunk for each in found]
        session.execute(
            delete(VectorRow).where(VectorRow.chunk.in_(chunks), VectorRow.embedding == id)
        )
        row.after = found[-1].row
        session.flush()
        return False

    def _held(self, session: Session, id: str, worker: str) -> EmbeddingRow:
        row = _locked(session, id)
        if row is None or row.lease_owner != worker:
            raise Conflict(f"worker {worker!r} no longer holds the embedding {id}")
        return row


def _locked(session: Session, id: str) -> EmbeddingRow | None:
    """The row, locked until the transaction ends, its collection's first."""
    collection = session.scalar(select(EmbeddingRow.collection).where(EmbeddingRow.id == id))
    if collection is None:
        return None
    locked(session, collection)
    query = select(EmbeddingRow).where(EmbeddingRow.id == id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(EmbeddingRow.lease_until.is_(None), EmbeddingRow.lease_until <= now)


def _embedded(id: str) -> ColumnElement[bool]:
    return exists().where(VectorRow.chunk == ChunkRow.chunk, VectorRow.embedding == id)


def _bare(row: EmbeddingRow) -> tuple[ColumnElement[bool], ...]:
    """Live chunks of its collection without a vector in it."""
    return (
        ChunkRow.collection == row.collection,
        ChunkRow.died.is_(None),
        ~_embedded(row.id),
    )


def _of(collection: str, *states: str) -> Select[EmbeddingRow]:
    return select(EmbeddingRow).where(
        EmbeddingRow.collection == collection, EmbeddingRow.state.in_(states)
    )


def _noun(row: EmbeddingRow) -> Embedding:
    return Embedding(
        id=row.id,
        collection=row.collection,
        embedder=row.embedder,
        dimension=row.dimension,
        state=EmbeddingState(row.state),
        born=row.born,
        user=row.user,
        step=row.step,
        progress=row.progress,
        error=row.error,
        created=row.created,
    )
