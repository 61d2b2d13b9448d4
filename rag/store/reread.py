"""Reading documents again from their stored bytes: a job for each, all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from sqlalchemy import and_, exists, insert, select
from sqlalchemy.orm import Session

from rag.domain import JobState
from rag.store.access import inside
from rag.store.generations import locked
from rag.store.jobs import WAITING
from rag.store.tables import DocumentRow, JobRow, VersionRow
from rag.store.transaction import Transaction

_BATCH = 500  # rows per statement


def reread(tx: Transaction, collection: str, document: str | None) -> list[str]:
    """Queue what is live to be read again: the document (by id) with all that lies inside it, or
    the whole collection, in bulk. What waits already is read with the settings of now as well, and
    gets no second job. Returns the ids of all their jobs. Raises UnknownCollection."""
    session = tx.write()
    locked(session, collection)
    live = and_(VersionRow.document == DocumentRow.id, VersionRow.died.is_(None))
    waits = exists().where(JobRow.document == DocumentRow.id, JobRow.state.in_(WAITING))
    query = select(DocumentRow, VersionRow.sha256, VersionRow.size).join(VersionRow, live)
    query = query.where(DocumentRow.collection == collection, DocumentRow.gone.is_(None))
    jobs = select(JobRow.id).where(JobRow.collection == collection, JobRow.state.in_(WAITING))
    if document is not None:
        wanted = _with_all_inside(session, document)
        query = query.where(DocumentRow.id.in_(wanted))
        jobs = jobs.where(JobRow.document.in_(wanted))
    ids, now = list(session.scalars(jobs.order_by(JobRow.number))), tx.now()
    made = [
        {
            "id": uuid4().hex, "collection": collection, "document": row.id, "name": row.name,
            "sha256": sha256, "size": size, "readers": row.readers, "given": row.given,
            "bulk": document is None, "reread": True, "state": JobState.QUEUED.value,
            "created": now, "updated": now,
        }
        for row, sha256, size in session.execute(query.where(~waits).order_by(DocumentRow.name))
    ]  # fmt: skip
    for start in range(0, len(made), _BATCH):
        session.execute(insert(JobRow), made[start : start + _BATCH])
    return [*ids, *(str(each["id"]) for each in made)]


def _with_all_inside(session: Session, document: str) -> Sequence[str]:
    found = [document]
    for id in found:  # grows meanwhile
        found.extend(child.id for child in inside(session, id))
    return found
