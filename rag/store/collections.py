"""Collections in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import uuid4

from sqlalchemy import Select, and_, bindparam, delete, select

from rag.domain import Collection, EmbeddingState, MetadataValue, Right
from rag.errors import Conflict, UnknownCollection
from rag.store.checked import checked_groups, checked_metadata, checked_name
from rag.store.generations import locked
from rag.store.holding import note_unused
from rag.store.showing import shown_of
from rag.store.tables import (
    AnswerRow,
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
from rag.store.transaction import Transaction


class SqlCollections:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def create(self, name: str, rights: Mapping[str, Right]) -> Collection:
        session = self._tx.write()
        row = CollectionRow(
            id=uuid4().hex,
            name=checked_name(name, "a collection"),
            rights=_rights(rights),
            settings={},
            generation=0,
            created=self._tx.now(),
        )
        first = EmbeddingRow(  # of whichever embedder makes the first document's vectors
            id=row.id,
            collection=row.id,
            embedder="",
            state=EmbeddingState.CURRENT.value,
            born=0,
            progress=1.0,
            created=row.created,
        )
        if session.scalar(select(CollectionRow.id).where(CollectionRow.name == name)):
            raise Conflict(f"there is already a collection named {name!r}")
        try:
            session.add(row)
            session.flush()
        except Conflict as exc:  # another process was quicker
            raise Conflict(f"there is already a collection named {name!r}") from exc
        session.add(first)
        session.flush()
        return _noun(row, "")

    def get(self, id: str) -> Collection:
        found = self._tx.read().execute(_BY_ID, {"id": id}).first()
        if found is None:
            raise UnknownCollection(f"there is no collection {id!r:.100}")
        return _noun(*found)

    def embedder(self, id: str) -> str:
        found: str | None = self._tx.read().connection().execute(_EMBEDDER, {"id": id}).scalar()
        if found is None:
            raise UnknownCollection(f"there is no collection {id!r:.100}")
        return found

    def named(self, name: str) -> Collection:
        found = self._tx.read().execute(_collections().where(CollectionRow.name == name)).first()
        if found is None:
            raise UnknownCollection(f"there is no collection named {name!r:.100}")
        return _noun(*found)

    def all(self) -> list[Collection]:
        rows = self._tx.read().execute(_collections().order_by(CollectionRow.name))
        return [_noun(*row) for row in rows]

    def set_rights(self, id: str, rights: Mapping[str, Right]) -> None:
        session = self._tx.write()
        locked(session, id).rights = _rights(rights)
        session.flush()

    def set_settings(self, id: str, settings: Mapping[str, MetadataValue]) -> None:
        session = self._tx.write()
        locked(session, id).settings = checked_metadata(settings)
        session.flush()

    def delete(self, id: str) -> None:
        """Its answers go too, because they quote it. Blobs stay for the purge to judge, since
        another collection may hold the same bytes."""
        session = self._tx.write()
        locked(session, id)
        self._tx.ended.update(shown_of(session, ChunkRow.collection == id))
        names = (VersionRow.sha256, VersionRow.text_blob, VersionRow.layout_blob, JobRow.sha256)
        for name in names:
            note_unused(session, session.scalars(select(name).where(name.class_.collection == id)))
        versions = select(VersionRow.id).where(VersionRow.collection == id)
        session.execute(delete(BlocksRow).where(BlocksRow.version.in_(versions)))
        chunks = select(ChunkRow.chunk).where(ChunkRow.collection == id)
        session.execute(delete(VectorRow).where(VectorRow.chunk.in_(chunks)))
        for table in (
            AnswerRow,
            JobRow,
            ChunkRow,
            VersionRow,
            DocumentRow,
            GenerationRow,
            EmbeddingRow,
        ):
            session.execute(delete(table).where(table.collection == id))
        session.execute(delete(CollectionRow).where(CollectionRow.id == id))


def _rights(rights: Mapping[str, Right]) -> dict[str, str]:
    checked_groups(rights)
    return {group: Right(right).value for group, right in sorted(rights.items())}


def _collections() -> Select[CollectionRow, str]:
    current = and_(
        EmbeddingRow.collection == CollectionRow.id,
        EmbeddingRow.state == EmbeddingState.CURRENT.value,
    )
    return select(CollectionRow, EmbeddingRow.embedder).join(EmbeddingRow, current)


_BY_ID = _collections().where(CollectionRow.id == bindparam("id"))  # for every question
_EMBEDDER = select(EmbeddingRow.embedder).where(
    EmbeddingRow.collection == bindparam("id"),
    EmbeddingRow.state == EmbeddingState.CURRENT.value,
)


def _noun(row: CollectionRow, embedder: str) -> Collection:
    return Collection(
        id=row.id,
        name=row.name,
        rights={group: Right(right) for group, right in row.rights.items()},
        embedder=embedder,
        generation=row.generation,
        settings=dict(row.settings),
        created=row.created,
    )
