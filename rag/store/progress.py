"""How far a collection has come: what searchers compare their own state with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from rag.errors import UnknownCollection
from rag.ports import News
from rag.store.tables import ChunkRow, CollectionRow, GenerationRow


def news_since(session: Session, collection: str, generation: int) -> News:
    """Raises UnknownCollection. Both counts are answered by an index alone, so a million rows take
    a tenth of a second."""
    newest = session.scalar(select(CollectionRow.generation).where(CollectionRow.id == collection))
    if newest is None:
        raise UnknownCollection(f"there is no collection {collection!r:.100}")
    if newest <= generation:
        return News(newest, 0, 0)
    born = _count(session, collection, ChunkRow.born > generation, ChunkRow.born <= newest)
    died = _count(session, collection, ChunkRow.died > generation, ChunkRow.died <= newest)
    return News(newest, born, died)


def mark_of(session: Session, collection: str, generation: int) -> str:
    took = session.execute(
        select(GenerationRow.at, GenerationRow.document).where(
            GenerationRow.collection == collection, GenerationRow.number == generation
        )
    )
    return "".join(f"{row.at.isoformat()} {row.document}" for row in took)


def settled_before(session: Session, collection: str, before: datetime) -> int:
    query = select(func.max(GenerationRow.number)).where(
        GenerationRow.collection == collection, GenerationRow.at <= before
    )
    return session.scalar(query) or 0


def _count(session: Session, collection: str, *where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(ChunkRow)
    return session.scalar(query.where(ChunkRow.collection == collection, *where)) or 0
