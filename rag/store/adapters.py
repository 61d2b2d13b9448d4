"""The adapter registry in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from rag.domain import Adapter, AdapterState, Source
from rag.errors import UnknownAdapter
from rag.store.tables import AdapterRow, AdapterSourceRow
from rag.store.transaction import Transaction
from rag.wire import to_json


class SqlAdapters:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def register(self, adapter: Adapter) -> None:
        session = self._tx.write()
        row = AdapterRow(
            name=adapter.name,
            base=adapter.base,
            digest=adapter.digest,
            folder=adapter.folder,
            state=AdapterState.CANDIDATE.value,
            collection=adapter.collection,
            card=to_json(adapter.card),
            created=adapter.created,
        )
        session.add(row)
        session.flush()
        session.add_all(
            AdapterSourceRow(adapter=row.number, document=source.document, version=source.version)
            for source in dict.fromkeys(adapter.sources)
        )
        session.flush()

    def get(self, name: str) -> Adapter:
        session = self._tx.read()
        return _nouns(session, [_row(session, name)])[0]

    def all(self) -> list[Adapter]:
        return self._found(select(AdapterRow))

    def of_digest(self, digest: str) -> list[Adapter]:
        return self._found(
            select(AdapterRow).where(AdapterRow.digest.startswith(digest, autoescape=True))
        )

    def promoted(self, base: str, collection: str | None) -> Adapter | None:
        found = self._found(_scope(base, collection, AdapterState.PROMOTED))
        return found[0] if found else None

    def promote(self, name: str) -> Adapter | None:
        session = self._tx.write()
        row = _row(session, name)
        if row.state == AdapterState.PROMOTED.value:
            return None
        before = session.scalar(_scope(row.base, row.collection, AdapterState.PROMOTED))
        if before is not None:
            before.state = AdapterState.RETIRED.value
            session.flush()  # there is no moment with two
        newest = session.scalar(select(func.max(AdapterRow.promotion))) or 0
        row.state, row.promotion = AdapterState.PROMOTED.value, newest + 1
        row.promoted = self._tx.now()
        session.flush()
        return None if before is None else _nouns(session, [before])[0]

    def withdraw(self, name: str) -> None:
        session = self._tx.write()
        row = _row(session, name)
        row.state, row.promotion, row.promoted = AdapterState.RETIRED.value, None, None
        session.flush()

    def earlier(self, base: str, collection: str | None) -> Adapter | None:
        retired = _scope(base, collection, AdapterState.RETIRED)
        session = self._tx.read()
        row = session.scalar(
            retired.where(AdapterRow.promotion.is_not(None)).order_by(AdapterRow.promotion.desc())
        )
        return None if row is None else _nouns(session, [row])[0]

    def set_card(self, name: str, card: Mapping[str, object]) -> None:
        session = self._tx.write()
        written: Any = to_json(card)
        _row(session, name).card = written
        session.flush()

    def made_from(self, document: str) -> list[Adapter]:
        its = select(AdapterSourceRow.adapter).where(AdapterSourceRow.document == document)
        return self._found(select(AdapterRow).where(AdapterRow.number.in_(its)))

    def _found(self, query: Select[AdapterRow]) -> list[Adapter]:
        session = self._tx.read()
        return _nouns(session, session.scalars(query.order_by(AdapterRow.number.desc())).all())


def _row(session: Session, name: str) -> AdapterRow:
    row = session.scalar(select(AdapterRow).where(AdapterRow.name == name))
    if row is None:
        raise UnknownAdapter(
            f"there is no adapter {name!r:.100}; `attest adapters list` shows those registered"
        )
    return row


def _scope(base: str, collection: str | None, state: AdapterState) -> Select[AdapterRow]:
    return select(AdapterRow).where(
        AdapterRow.base == base,
        AdapterRow.collection.is_(None)
        if collection is None
        else AdapterRow.collection == collection,
        AdapterRow.state == state.value,
    )


def _nouns(session: Session, rows: Sequence[AdapterRow]) -> list[Adapter]:
    numbers = [row.number for row in rows]
    sources: dict[int, list[Source]] = {number: [] for number in numbers}
    its = select(AdapterSourceRow).where(AdapterSourceRow.adapter.in_(numbers))
    for found in session.scalars(its.order_by(AdapterSourceRow.document, AdapterSourceRow.version)):
        sources[found.adapter].append(Source(found.document, found.version))
    return [_noun(row, tuple(sources[row.number])) for row in rows]


def _noun(row: AdapterRow, sources: tuple[Source, ...]) -> Adapter:
    return Adapter(
        name=row.name,
        base=row.base,
        digest=row.digest,
        folder=row.folder,
        state=AdapterState(row.state),
        collection=row.collection,
        card=row.card,
        sources=sources,
        promoted=row.promoted,
        created=row.created,
    )
