"""Evaluation runs in SQL."""

from __future__ import annotations

from sqlalchemy import select

from rag.errors import NotFound
from rag.ports import RunRecord
from rag.store.tables import RunRow
from rag.store.transaction import Transaction


class SqlRuns:
    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def add(self, run: RunRecord) -> None:
        """Raises Conflict when the id is known."""
        session = self._tx.write()
        session.add(
            RunRow(
                id=run.id,
                kind=run.kind,
                name=run.name,
                report=dict(run.report),
                created=run.created,
            )
        )
        session.flush()

    def get(self, id: str) -> RunRecord:
        """Raises NotFound."""
        row = self._tx.read().scalar(select(RunRow).where(RunRow.id == id))
        if row is None:
            raise NotFound(f"there is no evaluation run {id!r:.100}")
        return _noun(row)

    def recent(self, limit: int = 50, kind: str = "") -> list[RunRecord]:
        """Newest first; `kind` "" is every kind."""
        query = select(RunRow).order_by(RunRow.number.desc()).limit(limit)
        if kind:
            query = query.where(RunRow.kind == kind)
        return [_noun(row) for row in self._tx.read().scalars(query)]


def _noun(row: RunRow) -> RunRecord:
    return RunRecord(row.id, row.kind, row.name, row.report, row.created)
