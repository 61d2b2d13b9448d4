"""Accepting an upload: the document, and a job to make it searchable. One transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from sqlalchemy import exists, select
from sqlalchemy.orm import Session, aliased

from rag.domain import JobState, MetadataValue
from rag.errors import BadInput
from rag.store.access import change_access
from rag.store.checked import checked_groups, checked_metadata, checked_name
from rag.store.generations import locked
from rag.store.holding import name_blobs
from rag.store.jobs import WAITING
from rag.store.tables import CollectionRow, DocumentRow, JobRow, VersionRow
from rag.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Upload:
    """`readers` and `metadata` None: as the document has them (nothing, when it is new). `parent`
    is the document that a new one lies in. `bulk`: those that a person waits for go first."""

    name: str
    sha256: str
    size: int
    readers: frozenset[str] | None
    metadata: Mapping[str, MetadataValue] | None
    parent: str | None = None
    bulk: bool = False


def accept(tx: Transaction, collection: str, upload: Upload) -> JobRow:
    """The job that will make `upload` the live version, or did so already. Raises
    UnknownCollection, BadName, BadInput."""
    _check(upload)
    session = tx.write()
    owner = locked(session, collection)
    name_blobs(session)
    document = _document(session, collection, upload.name)
    if document is None:
        return _queued(tx, _new_document(tx, collection, upload), upload)
    waiting = _newest_waiting(session, document.id)
    if waiting is not None and waiting.sha256 == upload.sha256:
        waiting.readers, waiting.given = _wanted(upload, waiting.readers, waiting.given)
        waiting.bulk = waiting.bulk and upload.bulk
        session.flush()
        return waiting
    live = _live(session, document.id)
    if waiting is None and live is not None and live.sha256 == upload.sha256:
        return _unchanged(tx, owner, document, live, upload)
    if waiting is not None:
        readers, given = _wanted(upload, waiting.readers, waiting.given)
    else:
        readers, given = _wanted(upload, document.readers, document.given)
    return _queued(tx, document, upload, readers=readers, given=given)


def _check(upload: Upload) -> None:
    checked_name(upload.name, "a document")
    checked_groups(upload.readers or ())
    checked_metadata(upload.metadata or {})
    if len(upload.sha256) != 64 or upload.size < 0:
        raise BadInput(f"{upload.name!r} comes with a wrong sha256 or size")


def _wanted(
    upload: Upload, readers: list[str] | None, given: dict[str, Any]
) -> tuple[list[str] | None, dict[str, Any]]:
    return (
        readers if upload.readers is None else checked_groups(upload.readers),
        given if upload.metadata is None else checked_metadata(upload.metadata),
    )


def _document(session: Session, collection: str, name: str) -> DocumentRow | None:
    return session.scalar(
        select(DocumentRow).where(
            DocumentRow.collection == collection,
            DocumentRow.name == name,
            DocumentRow.gone.is_(None),
        )
    )


def _newest_waiting(session: Session, document: str) -> JobRow | None:
    """The upload that will be live when all work is done; None when that is the live version. One
    that a later upload has overtaken will never be visible and counts for nothing."""
    later = aliased(JobRow)
    overtaken = exists().where(
        later.document == document,
        later.number > JobRow.number,
        later.state == JobState.DONE.value,
    )
    query = select(JobRow).where(JobRow.document == document, JobRow.state.in_(WAITING), ~overtaken)
    newest = query.order_by(JobRow.number.desc()).limit(1)
    return session.scalar(newest.with_for_update().execution_options(populate_existing=True))


def _live(session: Session, document: str) -> VersionRow | None:
    query = select(VersionRow).where(VersionRow.document == document, VersionRow.died.is_(None))
    return session.scalar(query)


def _new_document(tx: Transaction, collection: str, upload: Upload) -> DocumentRow:
    readers, given = _wanted(upload, None, {})
    row = DocumentRow(
        id=uuid4().hex,
        collection=collection,
        name=upload.name,
        readers=readers,
        given=given,
        gone=None,
        parent=upload.parent,
        created=tx.now(),
    )
    session = tx.write()
    session.add(row)
    session.flush()
    return row


def _queued(
    tx: Transaction,
    document: DocumentRow,
    upload: Upload,
    *,
    readers: list[str] | None = None,
    given: dict[str, Any] | None = None,
) -> JobRow:
    now = tx.now()
    row = JobRow(
        id=uuid4().hex,
        collection=document.collection,
        document=document.id,
        name=document.name,
        sha256=upload.sha256,
        size=upload.size,
        readers=document.readers if given is None else readers,
        given=document.given if given is None else given,
        bulk=upload.bulk,
        state=JobState.QUEUED.value,
        attempts=0,
        step="",
        progress=0.0,
        error="",
        created=now,
        updated=now,
    )
    session = tx.write()
    session.add(row)
    session.flush()
    return row


def _unchanged(
    tx: Transaction,
    owner: CollectionRow,
    document: DocumentRow,
    live: VersionRow,
    upload: Upload,
) -> JobRow:
    """The bytes are live already: at most rights and metadata change, and nothing is parsed."""
    readers, given = _wanted(upload, document.readers, document.given)
    if (readers, given) != (document.readers, document.given):
        change_access(tx, owner, document, readers, given)
    row = _queued(tx, document, upload)
    row.state, row.progress, row.step = JobState.DONE.value, 1.0, "unchanged"
    row.version, row.generation = live.id, owner.generation
    tx.write().flush()
    return row
