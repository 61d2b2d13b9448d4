"""How far a collection has come: what searchers compare their own state with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.orm import Session

from rag.errors import UnknownCollection
from rag.ports import News
from rag.store.tables import ChunkRow, CollectionRow, GenerationRow

# Made once: it is asked before every question.
_NEWEST = (
    select(CollectionRow.generation, GenerationRow.at, GenerationRow.document)
    .outerjoin(
        GenerationRow,
        (GenerationRow.collection == CollectionRow.id)
        & (GenerationRow.number == bindparam("generation")),
    )
    .where(CollectionRow.id == bindparam("collection"))
)


def news_since(session: Session, collection: str, generation: int) -> News:
    """Raises UnknownCollection. Both counts are answered by an index alone, so a million rows take
    a tenth of a second."""
    asked = {"collection": collection, "generation": generation}
    found = session.connection().execute(_NEWEST, asked).one_or_none()
    if found is None:
        raise UnknownCollection(f"there is no collection {collection!r:.100}")
    newest, at, document = found
    mark = "" if at is None else _mark(at, document)
    if newest <= generation:
        return News(newest, 0, 0, mark)
    born = _count(session, collection, ChunkRow.born > generation, ChunkRow.born <= newest)
    died = _count(session, collection, ChunkRow.died > generation, ChunkRow.died <= newest)
    return News(newest, born, died, mark)


def mark_of(session: Session, collection: str, generation: int) -> str:
    took = session.execute(
        select(GenerationRow.at, GenerationRow.document).where(
            GenerationRow.collection == collection, GenerationRow.number == generation
        )
    )
    return "".join(_mark(*each) for each in took)


def _mark(at: datetime, document: str) -> str:
    return f"{at.isoformat()} {document}"


def settled_before(session: Session, collection: str, before: datetime) -> int:
    query = select(func.max(GenerationRow.number)).where(
        GenerationRow.collection == collection, GenerationRow.at <= before
    )
    return session.scalar(query) or 0


def _count(session: Session, collection: str, *where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(ChunkRow)
    return session.scalar(query.where(ChunkRow.collection == collection, *where)) or 0
