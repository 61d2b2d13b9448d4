"""Taking the next generation: the one place where a collection's number grows."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import insert, select
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
    return next_generations(tx, row, change, [document])[0]


def next_generations(
    tx: Transaction, row: CollectionRow, change: str, documents: Sequence[str]
) -> list[int]:
    """As `next_generation`, one for each of the documents, in their order."""
    session, at = tx.write(), tx.now()
    numbers = [row.generation + 1 + i for i in range(len(documents))]
    row.generation = numbers[-1]
    shared = {"collection": row.id, "change": change, "at": at}
    made = [
        shared | {"number": number, "document": document}
        for number, document in zip(numbers, documents, strict=True)
    ]
    session.execute(insert(GenerationRow), made)
    return numbers
