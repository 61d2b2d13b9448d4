"""Which of a collection's embeddings a searcher reads, and how far it may."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from rag.domain import EmbeddingState
from rag.errors import EmbedderChanged, UnknownCollection
from rag.store.tables import ChunkRow, CollectionRow, EmbeddingRow, VectorRow


@dataclass(frozen=True, slots=True)
class Space:
    """An embedding that can be searched, up to `newest`. `whole`: every row of the collection has a
    vector in it; else those that ended before it was built have none, and do not count."""

    embedding: str
    collection: str
    newest: int
    whole: bool

    @property
    def holds(self) -> ColumnElement[bool]:
        """Where a row of `chunks` meets its row of `vectors`."""
        return and_(VectorRow.chunk == ChunkRow.chunk, VectorRow.embedding == self.embedding)


def space_of(session: Session, embedding: str) -> Space:
    """Raises UnknownCollection, EmbedderChanged for one that questions do not read any more."""
    found = session.execute(
        select(EmbeddingRow, CollectionRow.generation)
        .join(CollectionRow, CollectionRow.id == EmbeddingRow.collection)
        .where(EmbeddingRow.id == embedding)
        .execution_options(populate_existing=True)
    ).first()
    if found is None:
        raise UnknownCollection(f"there is no collection {embedding!r:.100}")
    row, generation = found
    if row.state == EmbeddingState.CURRENT:
        return Space(row.id, row.collection, generation, whole=row.born == 0)
    if row.state == EmbeddingState.BUILDING and row.through is not None:
        return Space(row.id, row.collection, row.through, whole=False)
    raise EmbedderChanged(
        f"the collection is not read through {row.embedder or 'this embedder'} any more; ask again"
    )


def current_of(session: Session, collection: str) -> EmbeddingRow:
    """Raises UnknownCollection."""
    row = session.scalar(
        select(EmbeddingRow)
        .where(
            EmbeddingRow.collection == collection,
            EmbeddingRow.state == EmbeddingState.CURRENT.value,
        )
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise UnknownCollection(f"there is no collection {collection!r:.100}")
    return row
