"""Documents and their versions in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, select

from rag.domain import Block, Copy, Document, Findings, Job, MetadataValue, Version
from rag.errors import Conflict, Corrupt, UnknownDocument
from rag.ports import Publication
from rag.store.accept import Upload, accept
from rag.store.access import change_access, end_document
from rag.store.checked import checked_groups, checked_metadata, checked_name
from rag.store.copies import copies
from rag.store.generations import locked
from rag.store.jobs import job_noun
from rag.store.publish import publish, publish_all
from rag.store.reread import reread
from rag.store.tables import BlocksRow, CollectionRow, DocumentRow, VersionRow
from rag.store.transaction import Transaction
from rag.wire import from_json


class SqlDocuments:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def accept(
        self,
        collection: str,
        name: str,
        sha256: str,
        size: int,
        readers: frozenset[str] | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        *,
        bulk: bool = False,
    ) -> Job:
        upload = Upload(name, sha256, size, readers, metadata, bulk=bulk)
        return job_noun(accept(self._tx, collection, upload))

    def reread(self, collection: str, document: str | None = None) -> list[str]:
        return reread(self._tx, collection, document)

    def publish(self, job: str, worker: str, publication: Publication) -> int:
        return publish(self._tx, job, worker, publication)

    def publish_all(self, worker: str, publications: Mapping[str, Publication]) -> dict[str, int]:
        return publish_all(self._tx, worker, publications)

    def get(self, id: str) -> Document:
        """Raises UnknownDocument. A deleted one is still found, without a version."""
        found = self._tx.read().execute(_documents().where(DocumentRow.id == id)).first()
        if found is None:
            raise UnknownDocument(f"there is no document {id!r:.100}")
        return _document_noun(*found)

    def named(self, collection: str, name: str) -> Document:
        query = _documents().where(
            DocumentRow.collection == collection,
            DocumentRow.name == name,
            DocumentRow.gone.is_(None),
        )
        found = self._tx.read().execute(query).first()
        if found is None:
            raise UnknownDocument(f"there is no document named {name!r:.200}")
        return _document_noun(*found)

    def all(self, collection: str) -> list[Document]:
        query = _documents().where(DocumentRow.collection == collection, DocumentRow.gone.is_(None))
        found = self._tx.read().execute(query)
        return sorted((_document_noun(*row) for row in found), key=lambda noun: noun.name)

    def version(self, id: str) -> Version:
        row = self._tx.read().scalar(select(VersionRow).where(VersionRow.id == id))
        if row is None:
            raise UnknownDocument(
                f"there is no version {id!r:.100}; if there was one, it was replaced or deleted, "
                "and is purged by now"
            )
        return _version_noun(row)

    def versions(self, document: str) -> list[Version]:
        """Oldest first."""
        query = select(VersionRow).where(VersionRow.document == document)
        rows = self._tx.read().scalars(query.order_by(VersionRow.born))
        return [_version_noun(row) for row in rows]

    def blocks(self, version: str) -> list[Block]:
        self.version(version)
        query = select(BlocksRow.items).where(BlocksRow.version == version)
        items = self._tx.read().scalar(query)
        if items is None:
            raise Corrupt(f"version {version} has no blocks row; ingest its document again")
        return [from_json(Block, item) for item in items]

    def copies(self, collection: str, document: str | None = None) -> Mapping[str, Sequence[Copy]]:
        return copies(self._tx.read(), collection, document)

    def delete(self, id: str) -> int:
        owner, document = self._held(id)
        return end_document(self._tx, owner, document)

    def rename(self, id: str, name: str) -> None:
        """Raises BadName, UnknownDocument, Conflict."""
        checked_name(name, "a document")
        owner, document = self._held(id)
        if document.gone is not None:
            raise UnknownDocument(f"document {id!r:.100} was deleted")
        session = self._tx.write()
        taken = select(DocumentRow.id).where(
            DocumentRow.collection == owner.id,
            DocumentRow.name == name,
            DocumentRow.gone.is_(None),
            DocumentRow.id != id,
        )
        if session.scalar(taken) is not None:
            raise Conflict(f"there is already a document named {name!r:.200}")
        document.name = name
        session.flush()

    def set_access(
        self, id: str, readers: frozenset[str] | None, metadata: Mapping[str, MetadataValue]
    ) -> int:
        """Metadata found in the file itself stays, under what is given here."""
        groups = None if readers is None else checked_groups(readers)
        given = checked_metadata(metadata)
        owner, document = self._held(id)
        if document.gone is not None:
            raise UnknownDocument(f"document {id!r:.100} was deleted")
        return change_access(self._tx, owner, document, groups, given)

    def _held(self, id: str) -> tuple[CollectionRow, DocumentRow]:
        """The document, with its collection held against other changes."""
        session = self._tx.write()
        query = select(DocumentRow).where(DocumentRow.id == id)
        row = session.scalar(query)
        if row is None:
            raise UnknownDocument(f"there is no document {id!r:.100}")
        owner = locked(session, row.collection)
        session.refresh(row)
        return owner, row


def _documents() -> Select[tuple[DocumentRow, str | None, dict[str, Any] | None]]:
    live = and_(VersionRow.document == DocumentRow.id, VersionRow.died.is_(None))
    return select(DocumentRow, VersionRow.id, VersionRow.own).outerjoin(VersionRow, live)


def _document_noun(row: DocumentRow, version: str | None, own: dict[str, Any] | None) -> Document:
    return Document(
        id=row.id,
        collection=row.collection,
        name=row.name,
        readers=None if row.readers is None else frozenset(row.readers),
        metadata=(own or {}) | row.given,
        version=version,
        created=row.created,
        parent=row.parent,
    )


def _version_noun(row: VersionRow) -> Version:
    return Version(
        id=row.id,
        document=row.document,
        sha256=row.sha256,
        media_type=row.media_type,
        title=row.title,
        size=row.size,
        pages=row.pages,
        text_blob=row.text_blob,
        layout_blob=row.layout_blob,
        chunks=row.chunks,
        born=row.born,
        died=row.died,
        created=row.created,
        findings=None if row.findings is None else from_json(Findings, row.findings),
    )
