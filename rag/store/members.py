"""The documents inside a document: the files of an archive, the attachments of a mail.

They are taken in, replaced and ended in the transaction that publishes or ends the document around
them, so that no kill leaves half of an archive behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.errors import Conflict, LimitExceeded
from rag.ports import Enclosed
from rag.store.accept import Upload, accept
from rag.store.access import change_access, end_document, inside
from rag.store.tables import CollectionRow, DocumentRow, JobRow
from rag.store.transaction import Transaction

DEEPEST: Final = 5  # mails in archives in mails, each a document
MOST: Final = 10_000  # documents inside the outermost one


def take_members(
    tx: Transaction,
    owner: CollectionRow,
    row: JobRow,
    members: Sequence[Enclosed],
    *,
    access_changed: bool,
) -> None:
    """Make `members` what is inside the document that the job `row` publishes: all are accepted,
    those of the earlier version that are gone end. New ones get its readers and metadata; with
    `access_changed` the others do too. Raises Conflict when a name is taken by a document from
    elsewhere, LimitExceeded."""
    session = tx.write()
    _check(session, row, members)
    earlier = {child.name: child for child in inside(session, row.document)}
    wanted = {f"{row.name}/{member.name}": member for member in members}
    for name, child in earlier.items():
        if name not in wanted:
            end_document(tx, owner, child)
        elif access_changed:
            change_access(tx, owner, child, row.readers, row.given)
    readers = None if row.readers is None else frozenset(row.readers)
    for name, member in wanted.items():
        kept = name in earlier  # with the access it has
        upload = Upload(
            name,
            member.sha256,
            member.size,
            None if kept else readers,
            None if kept else row.given,
            row.document,
            bulk=True,
        )
        accept(tx, row.collection, upload)


def _check(session: Session, row: JobRow, members: Sequence[Enclosed]) -> None:
    if not members:
        return
    names = [f"{row.name}/{member.name}" for member in members]
    taken = session.scalar(
        select(DocumentRow.name).where(
            DocumentRow.collection == row.collection,
            DocumentRow.name.in_(names),
            DocumentRow.gone.is_(None),
            DocumentRow.parent.is_distinct_from(row.document),
        )
    )
    if taken is not None:
        raise Conflict(
            f"there is a document {taken!r} already that did not come from {row.name!r}; delete "
            "it, or hand this file in under another name"
        )
    outermost, depth = row.document, 0
    while (parent := _parent(session, outermost)) is not None:
        outermost, depth = parent, depth + 1
    if depth >= DEEPEST:
        raise LimitExceeded(f"files lie in files more than {DEEPEST} deep; hand them in unpacked")
    if len(members) + _count(session, outermost) > MOST:
        raise LimitExceeded(f"more than {MOST:,} files lie in one; hand them in unpacked")


def _parent(session: Session, document: str) -> str | None:
    return session.scalar(select(DocumentRow.parent).where(DocumentRow.id == document))


def _count(session: Session, outermost: str) -> int:
    """How many documents lie anywhere inside."""
    waiting, count = [outermost], 0
    while waiting:
        query = select(DocumentRow.id).where(
            DocumentRow.parent == waiting.pop(), DocumentRow.gone.is_(None)
        )
        found = list(session.scalars(query))
        waiting += found
        count += len(found)
    return count
