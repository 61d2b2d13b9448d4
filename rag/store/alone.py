"""Being the only one: a lock by name over all processes that use one database."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text

_POLL_SECONDS = 0.05


@contextmanager
def alone(engine: Engine, name: str, seconds: float) -> Iterator[Callable[[], None]]:
    """Hold `name` for the length of the block, after waiting at most so long (TimeoutError). A
    killed process lets go. Gives what raises StoreUnavailable when the name may be held by another
    by now: on SQLite never, since the operating system keeps the lock file; on PostgreSQL when the
    connection that holds an advisory lock is lost. Not through a pooler that shares connections
    between transactions."""
    digest = hashlib.sha256(name.encode()).digest()
    if engine.dialect.name == "sqlite":
        lock = FileLock(f"{engine.url.database}.{digest.hex()[:16]}.lock")
        try:
            lock.acquire(timeout=seconds, poll_interval=_POLL_SECONDS)
        except Timeout as exc:
            raise TimeoutError(f"{name} is held by another process") from exc
        try:
            yield lambda: None
        finally:
            lock.release()
        return
    key = int.from_bytes(digest[:8], "big", signed=True)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        _take(connection, key, name, time.monotonic() + seconds)
        try:
            yield lambda: _ask(connection)
        finally:
            if not connection.invalidated:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})


def _take(connection: Connection, key: int, name: str, deadline: float) -> None:
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": key}):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} is held by another process")
        time.sleep(_POLL_SECONDS)


def _ask(connection: Connection) -> None:
    """A lost connection raises, translated as every driver's error is."""
    connection.execute(text("SELECT 1"))
