"""Changing who may read a document, and ending it: each one new generation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, bindparam, insert, null, select, update
from sqlalchemy.orm import Session

from rag.domain import JobState
from rag.store.generations import next_generation
from rag.store.jobs import WAITING
from rag.store.showing import shown_of
from rag.store.tables import CHUNKS, ChunkRow, CollectionRow, DocumentRow, JobRow, Json, VersionRow
from rag.store.transaction import Transaction

_KEPT = ("collection", "document", "version", "chunk", "start", "end", "heading_path", "page")
_COPIED = (*_KEPT, "text", "indexed")


def change_access(
    tx: Transaction,
    owner: CollectionRow,
    document: DocumentRow,
    readers: list[str] | None,
    given: dict[str, Any],
) -> int:
    """Give the document and those inside it these readers and metadata from the returned generation
    on; uploads still waiting will keep them. `owner` comes from `locked`."""
    session = tx.write()
    for child in inside(session, document.id):
        change_access(tx, owner, child, readers, given)
    document.readers, document.given = readers, given
    session.execute(
        update(JobRow)
        .where(JobRow.document == document.id, JobRow.state.in_(WAITING))
        .values(readers=readers, given=given)
    )
    live = session.scalar(
        select(VersionRow).where(VersionRow.document == document.id, VersionRow.died.is_(None))
    )
    if live is None:
        session.flush()
        return owner.generation
    generation = next_generation(tx, owner, "access", document.id)
    _start_anew(session, live, readers, live.own | given, generation)
    return generation


def end_document(tx: Transaction, owner: CollectionRow, document: DocumentRow) -> int:
    """End its live version and fail its waiting jobs, and those of the documents inside it; the
    generation from which all is gone. A document that is gone already gives the generation of that
    time."""
    session = tx.write()
    if document.gone is not None:
        return document.gone
    for child in inside(session, document.id):
        end_document(tx, owner, child)
    live = select(VersionRow.id).where(
        VersionRow.document == document.id, VersionRow.died.is_(None)
    )
    if session.scalar(live) is None:
        document.gone = owner.generation
    else:
        document.gone = next_generation(tx, owner, "deleted", document.id)
        end_live(tx, document.id, document.gone)
    session.execute(
        update(JobRow)
        .where(JobRow.document == document.id, JobRow.state.in_(WAITING))
        .values(
            state=JobState.FAILED.value,
            error="cancelled: the document was deleted",
            lease_owner=None,
            lease_until=None,
            updated=tx.now(),
        )
    )
    session.flush()
    return document.gone


def inside(session: Session, document: str) -> list[DocumentRow]:
    """The documents whose files lie in this one's, those deleted left out."""
    query = select(DocumentRow).where(DocumentRow.parent == document, DocumentRow.gone.is_(None))
    return list(session.scalars(query.order_by(DocumentRow.name)))


def end_live(tx: Transaction, document: str, generation: int) -> None:
    """End the live version and its rows, if there is one."""
    session = tx.write()
    tx.ended.update(shown_of(session, ChunkRow.document == document, ChunkRow.died.is_(None)))
    for table in (VersionRow, ChunkRow):
        session.execute(
            update(table)
            .where(table.document == document, table.died.is_(None))
            .values(died=generation)
        )


def _start_anew(
    session: Session,
    live: VersionRow,
    readers: list[str] | None,
    merged: dict[str, Any],
    generation: int,
) -> None:
    """End the live rows and start copies under the new access, inside the database."""
    session.execute(
        update(ChunkRow)
        .where(ChunkRow.version == live.id, ChunkRow.died.is_(None))
        .values(died=generation)
    )
    new_readers = null() if readers is None else bindparam("readers", readers, type_=Json)
    columns = [getattr(ChunkRow, name) for name in _COPIED]
    copies = (
        select(
            *columns,
            new_readers.label("readers"),
            bindparam("merged", merged, type_=JSON()).label("merged"),
            bindparam("born", generation).label("born"),
        )
        .where(ChunkRow.version == live.id, ChunkRow.died == generation)
        .order_by(ChunkRow.row)
    )
    names = [*_COPIED, "readers", "metadata", "born"]
    session.execute(insert(CHUNKS).from_select(names, copies))
