"""The audit log: append-only, each entry's digest covering the one before.

digest = sha256(previous digest + canonical JSON of number, time, user, action, subject, detail).
Writers queue for the one row of `audit_head` until they commit, so add the entry last in a unit
of work. The head also shows entries that were cut off at the end.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from rag.domain import MetadataValue
from rag.ports import AuditEntry
from rag.store.checked import checked_metadata
from rag.store.tables import AuditHeadRow, AuditRow
from rag.store.transaction import Transaction

START = "0" * 64  # what the first entry follows


class SqlAudit:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def add(
        self, user: str, action: str, subject: str, detail: Mapping[str, MetadataValue]
    ) -> None:
        self.add_all(user, action, [(subject, detail)])

    def add_all(
        self, user: str, action: str, entries: Sequence[tuple[str, Mapping[str, MetadataValue]]]
    ) -> None:
        session = self._tx.write()
        head, at = _head(session), self._tx.now()
        for subject, detail in entries:
            row = AuditRow(
                number=head.number + 1,
                at=at,
                user=user,
                action=action,
                subject=subject,
                detail=_canonical(checked_metadata(detail)),
                previous=head.digest,
            )
            row.digest = _digest(row)
            session.add(row)
            head.number, head.digest = row.number, row.digest
        session.flush()

    def entries(self, after: int = 0, limit: int = 1000) -> list[AuditEntry]:
        """Oldest first, those numbered above `after`."""
        query = select(AuditRow).where(AuditRow.number > after).order_by(AuditRow.number)
        return [_noun(row) for row in self._tx.read().scalars(query.limit(limit))]

    def verify(self) -> int | None:
        session = self._tx.read()
        head = session.scalar(select(AuditHeadRow))
        return _first_broken(_rows(session), (head.number, head.digest) if head else (0, START))


def _rows(session: Session) -> Iterator[AuditRow]:
    """Every entry, oldest first, a thousand in memory at a time."""
    after: int | None = None
    while True:
        query = select(AuditRow).order_by(AuditRow.number).limit(1000)
        page = list(
            session.scalars(query if after is None else query.where(AuditRow.number > after))
        )
        yield from page
        if len(page) < 1000:
            return
        after = page[-1].number


def _first_broken(rows: Iterable[AuditRow], head: tuple[int, str]) -> int | None:
    number, previous = 0, START
    for row in rows:
        if row.number != number + 1 or row.previous != previous or row.digest != _digest(row):
            return number + 1
        number, previous = row.number, row.digest
    if (number, previous) == head:
        return None
    return number + 1 if head[0] > number else number


def _head(session: Session) -> AuditHeadRow:
    """The head, locked until the transaction ends; the migration makes it."""
    row = session.scalar(
        select(AuditHeadRow).with_for_update().execution_options(populate_existing=True)
    )
    if row is None:
        row = AuditHeadRow(id=1, number=0, digest=START)
        session.add(row)
        session.flush()
    return row


def _digest(row: AuditRow) -> str:
    content = {
        "number": row.number,
        "at": _moment(row.at),
        "user": row.user,
        "action": row.action,
        "subject": row.subject,
        "detail": row.detail,
    }
    return hashlib.sha256((row.previous + _canonical(content)).encode()).hexdigest()


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _canonical(content: Mapping[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _noun(row: AuditRow) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        user=row.user,
        action=row.action,
        subject=row.subject,
        detail=json.loads(row.detail),
        previous=row.previous,
        digest=row.digest,
    )
