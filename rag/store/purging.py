"""Removing rows for good: of deleted documents at once, of what was replaced once it is old.

Every call is one bounded transaction that the caller commits, and finds what is left by the rows
themselves: so a purge that is killed goes on where it was. Nobody else is blocked for longer than
one batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    LargeBinary,
    and_,
    cast,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from rag.domain import JobState
from rag.ports import Doomed, Removed
from rag.store.generations import locked
from rag.store.holding import hold_blobs, note_unused, unnamed
from rag.store.progress import settled_before
from rag.store.tables import (
    AnswerRow,
    AnswerSourceRow,
    BandRow,
    BlocksRow,
    ChunkRow,
    CollectionRow,
    DocumentRow,
    FeedbackRow,
    JobRow,
    UnusedBlobRow,
    VectorRow,
    VersionRow,
)
from rag.store.transaction import Transaction

_LATE = 10_000  # answers; one that was being written while its document was purged is among them
_VERSIONS = 50  # with their blocks; one has thousands of those


class SqlPurging:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def doomed(self, limit: int) -> list[Doomed]:
        query = select(DocumentRow.id, DocumentRow.collection).where(DocumentRow.gone.is_not(None))
        return [Doomed(*row) for row in self._tx.read().execute(query.limit(limit))]

    def answers(self, limit: int) -> int:
        session = self._tx.write()
        resting = _resting(session, limit)
        for answer, rests in resting.items():
            if rests:
                self._erase(session, answer)
            else:
                _unname(session, answer)
        session.flush()
        return sum(resting.values())

    def document(self, doomed: Doomed, limit: int) -> tuple[Removed, bool]:
        session = self._tx.write()
        locked(session, doomed.collection)
        its = (ChunkRow.document == doomed.document,)
        removed = _rows(session, its, limit)
        if removed.chunks:
            return removed, False
        removed = _versions(session, (VersionRow.document == doomed.document,))
        if removed.versions:
            return removed, False
        jobs = select(JobRow.sha256).where(JobRow.document == doomed.document)
        note_unused(session, session.scalars(jobs))
        session.execute(delete(JobRow).where(JobRow.document == doomed.document))
        gone = session.execute(
            delete(DocumentRow).where(
                DocumentRow.id == doomed.document, DocumentRow.gone.is_not(None)
            )
        )
        return Removed(documents=int(getattr(gone, "rowcount", 0))), True

    def replaced(self, collection: str, seconds: float, limit: int) -> Removed:
        session = self._tx.write()
        locked(session, collection)
        until = self.cutoff(collection, seconds)
        removed = _rows(session, _spare(collection, until), limit)
        return removed if removed.chunks else _versions(session, _bare(collection, until))

    def cutoff(self, collection: str, seconds: float) -> int:
        before = self._tx.now() - timedelta(seconds=seconds)
        return settled_before(self._tx.read(), collection, before)

    def unused(self, limit: int) -> tuple[list[str], bool]:
        session = self._tx.write()
        hold_blobs(session)
        names = list(session.scalars(select(UnusedBlobRow.sha256).limit(limit)))
        session.execute(delete(UnusedBlobRow).where(UnusedBlobRow.sha256.in_(names)))
        return sorted(unnamed(session, names)), bool(names)

    def strays(self, names: Sequence[str]) -> list[str]:
        session = self._tx.write()
        hold_blobs(session)
        return sorted(unnamed(session, names))

    def loose_vectors(self, limit: int) -> Removed:
        session = self._tx.write()
        held = exists().where(ChunkRow.chunk == VectorRow.chunk)
        some = select(VectorRow.chunk, func.length(VectorRow.vector)).where(~held).limit(limit)
        found = list(session.execute(some))
        chunks = [chunk for chunk, _ in found]
        session.execute(delete(VectorRow).where(VectorRow.chunk.in_(chunks), ~held))
        return Removed(vectors=len(found), bytes=sum(size for _, size in found))

    def due(self, seconds: float) -> tuple[Removed, set[str]]:
        session = self._tx.read()
        gone = select(DocumentRow.id).where(DocumentRow.gone.is_not(None))
        found = Removed(documents=_count(session, gone))
        found += Removed(answers=sum(_resting(session, None).values()))
        wanted: list[tuple[ColumnElement[bool], ...]] = [(ChunkRow.document.in_(gone),)]
        versions: list[tuple[ColumnElement[bool], ...]] = [(VersionRow.document.in_(gone),)]
        for collection in session.scalars(select(CollectionRow.id)):
            until = self.cutoff(collection, seconds)
            live = ChunkRow.document.not_in(gone)
            wanted.append((*_spare(collection, until), live))
            left = exists().where(ChunkRow.version == VersionRow.id, ~_spared(until))
            versions.append((
                VersionRow.collection == collection,
                VersionRow.died <= until,
                VersionRow.document.not_in(gone),
                ~left,
            ))  # fmt: skip
        for where in wanted:
            found += _measured(session, where)
        leaving: set[str] = set()
        for these in versions:
            leaving.update(session.scalars(select(VersionRow.id).where(*these)))
        found += Removed(versions=len(leaving))
        return found, _blobs_of(session, leaving, gone)

    def _erase(self, session: Session, answer: str) -> None:
        """Its row stays, without a word, to say why the answer is gone."""
        session.execute(delete(FeedbackRow).where(FeedbackRow.answer == answer))
        session.execute(delete(AnswerSourceRow).where(AnswerSourceRow.answer == answer))
        empty: dict[str, Any] = {"question": "", "text": "", "citations": [], "passages": []}
        session.execute(
            update(AnswerRow)
            .where(AnswerRow.id == answer)
            .values(**empty, timings={}, replay={}, usage=None, erased=self._tx.now())
        )


def _resting(session: Session, limit: int | None) -> dict[str, bool]:
    """Answers that name a document which is deleted, or not there any more; whether each was given
    words of it."""
    named = select(AnswerSourceRow.answer, func.max(AnswerSourceRow.chunk))
    gone = named.join(DocumentRow, DocumentRow.id == AnswerSourceRow.document).where(
        DocumentRow.gone.is_not(None)
    )
    newest = select(func.max(AnswerRow.number)).scalar_subquery()
    there = exists().where(DocumentRow.id == AnswerSourceRow.document)
    late = named.join(AnswerRow, AnswerRow.id == AnswerSourceRow.answer).where(
        AnswerRow.number > newest - _LATE, ~there
    )
    found: dict[str, bool] = {}
    for query in (gone, late):
        for answer, chunk in session.execute(query.group_by(AnswerSourceRow.answer).limit(limit)):
            found[answer] = found.get(answer, False) or chunk != ""
    return found


def _unname(session: Session, answer: str) -> None:
    """Take out the names of documents that are gone and said the same as a passage."""
    its = AnswerSourceRow.answer == answer
    live = exists().where(DocumentRow.id == AnswerSourceRow.document, DocumentRow.gone.is_(None))
    gone = set(session.scalars(select(AnswerSourceRow.document).where(its, ~live)))
    row = session.scalar(select(AnswerRow).where(AnswerRow.id == answer))
    if row is not None:
        row.passages = [
            {
                **each,
                "also": [copy for copy in each.get("also", ()) if copy["document"] not in gone],
            }
            for each in row.passages
        ]
    session.execute(delete(AnswerSourceRow).where(its, AnswerSourceRow.document.in_(gone)))


def _spared(until: int) -> ColumnElement[bool]:
    """A row of `chunks` that ended by `until`, and that no kept answer was given."""
    given = exists().where(
        AnswerSourceRow.chunk == ChunkRow.chunk,
        AnswerSourceRow.generation >= ChunkRow.born,
        AnswerSourceRow.generation < ChunkRow.died,
    )
    return and_(ChunkRow.died.is_not(None), ChunkRow.died <= until, ~given)


def _spare(collection: str, until: int) -> tuple[ColumnElement[bool], ...]:
    return ChunkRow.collection == collection, _spared(until)


def _bare(collection: str, until: int) -> tuple[ColumnElement[bool], ...]:
    """Versions that ended by `until` and have no chunks any more."""
    return (
        VersionRow.collection == collection,
        VersionRow.died.is_not(None),
        VersionRow.died <= until,
        ~exists().where(ChunkRow.version == VersionRow.id),
    )


def _rows(session: Session, where: Sequence[ColumnElement[bool]], limit: int) -> Removed:
    """At most `limit` rows of `chunks`, with the vectors of chunks that have none left."""
    size = _octets(session, ChunkRow.text) + _octets(session, ChunkRow.indexed)
    query = select(ChunkRow.row, ChunkRow.chunk, size).where(*where).limit(limit)
    found = list(session.execute(query))
    if not found:
        return Removed()
    session.execute(delete(ChunkRow).where(ChunkRow.row.in_([row for row, _, _ in found])))
    chunks = sorted({chunk for _, chunk, _ in found})
    held = exists().where(ChunkRow.chunk == VectorRow.chunk)
    loose = (VectorRow.chunk.in_(chunks), ~held)
    length = func.coalesce(func.sum(func.length(VectorRow.vector)), 0)
    vectors, its_bytes = session.execute(select(func.count(), length).where(*loose)).one()
    session.execute(delete(VectorRow).where(*loose))
    return Removed(
        chunks=len(found), vectors=vectors, bytes=sum(size for _, _, size in found) + its_bytes
    )


def _versions(session: Session, where: Sequence[ColumnElement[bool]]) -> Removed:
    """Some versions, with their blocks; their blobs are noted."""
    columns = (VersionRow.id, VersionRow.sha256, VersionRow.text_blob, VersionRow.layout_blob)
    found = list(session.execute(select(*columns).where(*where).limit(_VERSIONS)))
    ids = [row.id for row in found]
    note_unused(session, [name for _, *names in found for name in names])
    for table in (BlocksRow, BandRow):
        session.execute(delete(table).where(table.version.in_(ids)))
    session.execute(delete(VersionRow).where(VersionRow.id.in_(ids)))
    return Removed(versions=len(found))


def _measured(session: Session, where: Sequence[ColumnElement[bool]]) -> Removed:
    """What `_rows` would remove, were there no limit."""
    size = _octets(session, ChunkRow.text) + _octets(session, ChunkRow.indexed)
    total = func.coalesce(func.sum(size), 0)
    chunks, its_bytes = session.execute(select(func.count(), total).where(*where)).one()
    other = aliased(ChunkRow)
    going = select(ChunkRow.row).where(*where)
    stays = exists().where(other.chunk == VectorRow.chunk, other.row.not_in(going))
    ids = select(ChunkRow.chunk).where(*where)
    length = func.coalesce(func.sum(func.length(VectorRow.vector)), 0)
    loose = select(func.count(), length).where(VectorRow.chunk.in_(ids), ~stays)
    vectors, their_bytes = session.execute(loose).one()
    return Removed(chunks=chunks, vectors=vectors, bytes=its_bytes + their_bytes)


def _blobs_of(session: Session, versions: set[str], documents: Any) -> set[str]:
    """Blobs that nothing names once these versions, and the jobs of these documents, are gone."""
    going: set[str | None] = set(session.scalars(select(UnusedBlobRow.sha256)))
    kept: set[str | None] = set()
    columns = (VersionRow.id, VersionRow.sha256, VersionRow.text_blob, VersionRow.layout_blob)
    for id, *names in session.execute(select(*columns).execution_options(yield_per=1000)):
        (going if id in versions else kept).update(names)
    going.update(session.scalars(select(JobRow.sha256).where(JobRow.document.in_(documents))))
    waiting = (JobRow.document.not_in(documents), JobRow.state != JobState.DONE.value)
    kept.update(session.scalars(select(JobRow.sha256).where(*waiting)))
    return {name for name in going - kept if name is not None}


def _octets(session: Session, column: InstrumentedAttribute[str]) -> ColumnElement[int]:
    if session.get_bind().dialect.name == "sqlite":
        return func.length(cast(column, LargeBinary))
    return func.octet_length(column)


def _count(session: Session, query: Any) -> int:
    return session.scalar(select(func.count()).select_from(query.subquery())) or 0
