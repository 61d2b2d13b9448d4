"""What readers are shown of stored chunks."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from rag.ports import Fresh
from rag.prompt import shown_text
from rag.store.tables import ChunkRow, VersionRow

_BATCH = 500  # rows fetched at a time


def shown_of(session: Session, *where: ColumnElement[bool]) -> Iterator[str]:
    """The text of `rag.prompt.shown` of each chunk row that meets all of `where`."""
    rows = session.execute(
        select(VersionRow.title, ChunkRow.heading_path, ChunkRow.text)
        .join(VersionRow, VersionRow.id == ChunkRow.version)
        .where(*where)
        .execution_options(yield_per=_BATCH)
    )
    for title, heading_path, text in rows:
        yield shown_text(title, heading_path, text)


def newest_of(
    session: Session, limit: int, before: int | None, collection: str | None
) -> list[Fresh]:
    """See `rag.ports.Chunks.newest`."""
    query = (
        select(
            ChunkRow.row,
            ChunkRow.collection,
            VersionRow.title,
            ChunkRow.heading_path,
            ChunkRow.text,
        )
        .join(VersionRow, VersionRow.id == ChunkRow.version)
        .where(ChunkRow.died.is_(None))
        .order_by(ChunkRow.row.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(ChunkRow.row < before)
    if collection is not None:
        query = query.where(ChunkRow.collection == collection)
    return [
        Fresh(row, owner, shown_text(title, heading_path, text))
        for row, owner, title, heading_path, text in session.execute(query)
    ]
