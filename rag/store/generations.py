"""Taking the next generation: the one place where a collection's number grows."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.errors import UnknownCollection
from rag.store.tables import CollectionRow, GenerationRow
from rag.store.transaction import Transaction


def locked(session: Session, collection: str) -> CollectionRow:
    """The collection's row, held by this transaction until it ends, so that changes of one
    collection follow each other. Raises UnknownCollection."""
    query = select(CollectionRow).where(CollectionRow.id == collection)
    row = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    if row is None:
        raise UnknownCollection(f"there is no collection {collection}")
    return row


def next_generation(tx: Transaction, row: CollectionRow, change: str, document: str) -> int:
    """The new number; `row` comes from `locked`. It becomes visible with the commit."""
    session = tx.write()
    row.generation += 1
    session.add(
        GenerationRow(
            collection=row.id,
            number=row.generation,
            change=change,
            document=document,
            at=tx.now(),
        )
    )
    session.flush()
    return row.generation
