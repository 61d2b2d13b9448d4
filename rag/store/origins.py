"""Origins and what was seen there, in SQL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, delete, func, or_, select
from sqlalchemy.orm import Session

from rag.domain import Origin, OriginItem, OriginKind
from rag.errors import Conflict, UnknownOrigin
from rag.store.checked import checked_groups, checked_metadata, checked_name
from rag.store.tables import OriginItemRow, OriginRow
from rag.store.transaction import Transaction

_ERROR_LENGTH = 2_000


class SqlOrigins:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def add(self, origin: Origin) -> Origin:
        """Raises Conflict, BadName, BadInput."""
        session = self._tx.write()
        now = self._tx.now()
        row = OriginRow(
            id=uuid4().hex,
            collection=origin.collection,
            name=checked_name(origin.name, "a source"),
            kind=origin.kind.value,
            addresses=list(origin.addresses),
            rules={
                "include": list(origin.include),
                "exclude": list(origin.exclude),
                "prefix": origin.prefix,
            },
            every=origin.every,
            readers=None if origin.readers is None else checked_groups(origin.readers),
            given=checked_metadata(origin.metadata),
            user=origin.user,
            created=now,
            due=now,
            counts={},
        )
        taken = select(OriginRow.id).where(
            OriginRow.collection == origin.collection, OriginRow.name == origin.name
        )
        if session.scalar(taken) is not None:
            raise Conflict(f"the collection already has a source named {origin.name!r}")
        session.add(row)
        session.flush()
        return _noun(row, 0, now)

    def get(self, id: str) -> Origin:
        """Raises UnknownOrigin."""
        return self._one(OriginRow.id == id, id)

    def named(self, collection: str, name: str) -> Origin:
        its = and_(OriginRow.collection == collection, OriginRow.name == name)
        return self._one(its, name)

    def all(self, collection: str) -> list[Origin]:
        query = select(OriginRow).where(OriginRow.collection == collection)
        return self._nouns(self._tx.read().scalars(query.order_by(OriginRow.name)))

    def ask(self, id: str, confirmed: bool) -> None:
        session = self._tx.write()
        row = _held(session, id)
        if row is None:
            raise UnknownOrigin(_unknown(id))
        row.due = self._tx.now()
        row.confirmed = row.confirmed or confirmed
        session.flush()

    def due(self) -> list[str]:
        session, now = self._tx.read(), self._tx.now()
        due = and_(OriginRow.due <= now, OriginRow.lease_until.is_(None))
        query = select(OriginRow.id).where(or_(due, OriginRow.lease_until <= now))
        return list(session.scalars(query.order_by(OriginRow.due)))

    def lease(self, id: str, worker: str, seconds: float) -> Origin | None:
        session = self._tx.write()
        row, now = _held(session, id), self._tx.now()
        if row is None or (row.lease_until is not None and row.lease_until > now):
            return None
        found = self._nouns([row])[0]
        row.lease_owner, row.lease_until = worker, now + timedelta(seconds=seconds)
        row.due, row.confirmed = None, False  # what is asked for meanwhile is for the next sync
        session.flush()
        return found

    def hold(self, id: str, worker: str, seconds: float) -> bool:
        session = self._tx.write()
        row = _held(session, id)
        if row is None or row.lease_owner != worker:
            return False
        row.lease_until = self._tx.now() + timedelta(seconds=seconds)
        session.flush()
        return True

    def finish(
        self, id: str, worker: str, counts: Mapping[str, int], held: int, error: str, again: bool
    ) -> None:
        session = self._tx.write()
        row = _held(session, id)
        if row is None or row.lease_owner != worker:
            return
        now = self._tx.now()
        row.synced, row.counts, row.held = now, dict(counts), held
        row.error = error.replace("\0", " ")[:_ERROR_LENGTH]
        row.lease_owner, row.lease_until = None, None
        if again:
            row.due = now
        elif row.due is None and row.every:
            row.due = now + timedelta(seconds=row.every)
        session.flush()

    def retire(self, id: str) -> None:
        session = self._tx.write()
        row = _held(session, id)
        if row is None:
            raise UnknownOrigin(_unknown(id))
        row.every, row.due, row.lease_owner, row.lease_until = 0.0, None, None, None
        session.flush()

    def remove(self, id: str) -> None:
        session = self._tx.write()
        session.execute(delete(OriginItemRow).where(OriginItemRow.origin == id))
        session.execute(delete(OriginRow).where(OriginRow.id == id))

    def items(self, id: str) -> list[OriginItem]:
        query = select(OriginItemRow).where(OriginItemRow.origin == id)
        return [_item(row) for row in self._tx.read().scalars(query.order_by(OriginItemRow.key))]

    def put(self, id: str, item: OriginItem) -> None:
        row = OriginItemRow(
            origin=id,
            digest=_digest(item.key),
            key=item.key,
            name=item.name,
            mark=item.mark,
            sha256=item.sha256,
            document=item.document,
            error=item.error.replace("\0", " ")[:_ERROR_LENGTH],
            missing=item.missing,
            seen=item.seen,
        )
        session = self._tx.write()
        session.merge(row)
        session.flush()

    def drop(self, id: str, key: str) -> None:
        its = (OriginItemRow.origin == id, OriginItemRow.digest == _digest(key))
        self._tx.write().execute(delete(OriginItemRow).where(*its))

    def _one(self, which: ColumnElement[bool], called: str) -> Origin:
        row = self._tx.read().scalar(select(OriginRow).where(which))
        if row is None:
            raise UnknownOrigin(_unknown(called))
        return self._nouns([row])[0]

    def _nouns(self, rows: Iterable[OriginRow]) -> list[Origin]:
        held = list(rows)
        session, now = self._tx.read(), self._tx.now()
        query = select(OriginItemRow.origin, func.count(OriginItemRow.document)).where(
            OriginItemRow.origin.in_([row.id for row in held])
        )
        counted = {row[0]: row[1] for row in session.execute(query.group_by(OriginItemRow.origin))}
        return [_noun(row, counted.get(row.id, 0), now) for row in held]


def _held(session: Session, id: str) -> OriginRow | None:
    """The row, locked until the transaction ends."""
    query = select(OriginRow).where(OriginRow.id == id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _unknown(name: str) -> str:
    return f"there is no source {name!r:.100}; `attest sources list` shows those of a collection"


def _noun(row: OriginRow, documents: int, now: datetime) -> Origin:
    return Origin(
        id=row.id,
        collection=row.collection,
        name=row.name,
        kind=OriginKind(row.kind),
        addresses=tuple(row.addresses),
        user=row.user,
        include=tuple(row.rules["include"]),
        exclude=tuple(row.rules["exclude"]),
        prefix=row.rules["prefix"],
        every=row.every,
        readers=None if row.readers is None else frozenset(row.readers),
        metadata=dict(row.given),
        created=row.created,
        due=row.due,
        syncing=row.lease_until is not None and row.lease_until > now,
        synced=row.synced,
        counts=dict(row.counts),
        documents=documents,
        held=row.held,
        confirmed=row.confirmed,
        error=row.error,
    )


def _item(row: OriginItemRow) -> OriginItem:
    return OriginItem(
        key=row.key,
        name=row.name,
        mark=row.mark,
        sha256=row.sha256,
        document=row.document,
        error=row.error,
        missing=row.missing,
        seen=row.seen,
    )
