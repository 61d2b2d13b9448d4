"""How far a collection has come: what searchers compare their own state with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from rag.ports import News
from rag.store.spaces import Space, space_and_mark
from rag.store.tables import ChunkRow, GenerationRow, VectorRow


def news_since(session: Session, embedding: str, generation: int) -> News:
    """Both counts are answered by an index alone where the space is whole, so a million rows take
    a tenth of a second."""
    space, mark = space_and_mark(session, embedding, generation)
    newest = space.newest
    if newest <= generation:
        return News(newest, 0, 0, mark)
    born = _count(session, space, ChunkRow.born > generation, ChunkRow.born <= newest)
    died = _count(session, space, ChunkRow.died > generation, ChunkRow.died <= newest)
    return News(newest, born, died, mark)


def settled_before(session: Session, collection: str, before: datetime) -> int:
    query = select(func.max(GenerationRow.number)).where(
        GenerationRow.collection == collection, GenerationRow.at <= before
    )
    return session.scalar(query) or 0


def _count(session: Session, space: Space, *where: ColumnElement[bool]) -> int:
    query = select(func.count()).select_from(ChunkRow)
    if not space.whole:
        query = query.join(VectorRow, space.holds)
    return session.scalar(query.where(ChunkRow.collection == space.collection, *where)) or 0
