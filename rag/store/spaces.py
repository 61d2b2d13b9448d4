"""Which of a collection's embeddings a searcher reads, and how far it may."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, ColumnElement, and_, bindparam, select
from sqlalchemy.orm import Session

from rag.domain import EmbeddingState
from rag.errors import EmbedderChanged, UnknownCollection
from rag.store.tables import ChunkRow, CollectionRow, EmbeddingRow, GenerationRow, VectorRow


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
    return space_and_mark(session, embedding, 0)[0]


def space_and_mark(session: Session, embedding: str, generation: int) -> tuple[Space, str]:
    """With the mark of a generation of its collection (`rag.ports.Chunks.mark`). Raises as
    `space_of`."""
    asked = {"embedding": embedding, "number": generation}
    row = session.connection().execute(_SPACE, asked).first()
    if row is None:
        raise UnknownCollection(f"there is no collection {embedding!r:.100}")
    mark = "" if row.at is None else f"{row.at.isoformat()} {row.document}"
    if row.state == EmbeddingState.CURRENT:
        return Space(embedding, row.collection, row.generation, whole=row.born == 0), mark
    if row.state == EmbeddingState.BUILDING and row.through is not None:
        return Space(embedding, row.collection, row.through, whole=False), mark
    raise EmbedderChanged(
        f"the collection is not read through {row.embedder or 'this embedder'} any more; ask again"
    )


_SPACE = (  # made once, and of columns: every question asks
    select(
        EmbeddingRow.collection,
        EmbeddingRow.state,
        EmbeddingRow.born,
        EmbeddingRow.through,
        EmbeddingRow.embedder,
        CollectionRow.generation,
        GenerationRow.at,
        GenerationRow.document,
    )
    .join(CollectionRow, CollectionRow.id == EmbeddingRow.collection)
    .outerjoin(
        GenerationRow,
        and_(
            GenerationRow.collection == EmbeddingRow.collection,
            GenerationRow.number == bindparam("number", type_=BigInteger),
        ),
    )
    .where(EmbeddingRow.id == bindparam("embedding"))
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
