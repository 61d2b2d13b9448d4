"""One transaction, begun as late as possible and only as strongly as needed.

The first read begins a snapshot that blocks nobody. The first write ends that snapshot and begins
a writing transaction, which sees the newest committed state: what must hold together with a write
is read again after `write()`. So no reader can be refused because it later wanted to write.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.orm import Session

from rag.errors import StoreUnavailable
from rag.store.engine import transaction_options

Clock = Callable[[], datetime]


class Transaction:
    """`clock` gives the time in UTC; None takes the machine's on SQLite and the database's on
    PostgreSQL, so that leases mean the same on every machine."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._session = Session(engine)
        self._begun = False
        self._writing = False
        self._closed = False
        self.ended: set[str] = set()  # what readers were shown of chunks that this one ends

    def read(self) -> Session:
        if not self._begun:
            self._begin(writing=False)
        return self._session

    def write(self) -> Session:
        if not self._writing:
            self.rollback()
            self._begin(writing=True)
        return self._session

    def now(self) -> datetime:
        if self._clock is not None:
            return self._clock()
        if self._begun and self._engine.dialect.name == "postgresql":
            at: datetime = self._session.execute(select(func.clock_timestamp())).scalar_one()
            return at.astimezone(UTC)
        return datetime.now(UTC)

    def commit(self) -> None:
        self._session.commit()
        self._begun = self._writing = False
        self.ended = set()

    def rollback(self) -> None:
        self._session.rollback()
        self._begun = self._writing = False
        self.ended = set()

    def close(self) -> None:
        """Roll back what was not committed; for good."""
        self._session.close()
        self._begun = self._writing = False
        self._closed = True

    def _begin(self, *, writing: bool) -> None:
        if self._closed:  # it would hold a connection that nobody gives back
            raise RuntimeError("this unit of work has ended; ask the store for a new one")
        options = transaction_options(self._engine, writing=writing)
        try:
            self._session.connection(execution_options=options)
        except PoolExhausted as exc:
            raise StoreUnavailable(f"no database connection became free: {exc}") from exc
        self._begun, self._writing = True, writing
