"""The engine: one pool of connections to SQLite or PostgreSQL, set up so that readers never block.

SQLite runs in WAL mode with foreign keys on. A transaction is begun by us and not by the driver:
`BEGIN` for reading (a snapshot that waits for nobody), `BEGIN IMMEDIATE` for writing (waits for
the one writer up to `busy_seconds`, then StoreUnavailable). PostgreSQL reads in REPEATABLE READ,
so both back ends show one snapshot to a reader.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from functools import cache
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from rag.errors import BadSettings
from rag.store.translate import listen

WRITING = "attest_writing"  # execution option that turns BEGIN into BEGIN IMMEDIATE

UNBOUND = "attest_unbound"  # execution option: no transaction, for statements that allow none

_engines: WeakSet[Engine] = WeakSet()


def make_engine(url: str, *, foreign_keys: bool = True, busy_seconds: float = 30.0) -> Engine:
    """An engine for `url` (sqlite:///path or postgresql://...); connects on first use only.

    A forked child forgets the parent's connections by itself. Raises BadSettings for a URL or a
    driver that cannot work.
    """
    parsed = database_url(url)
    sqlite = parsed.get_backend_name() == "sqlite"
    options: dict[str, Any] = {"pool_size": 10, "max_overflow": 40, "pool_timeout": 30}
    if sqlite:
        options["connect_args"] = {"timeout": busy_seconds}
    else:
        options["pool_pre_ping"] = True
    try:
        engine = create_engine(parsed, **options)
    except ImportError as exc:
        raise BadSettings(
            f"the driver for {parsed.get_backend_name()} is not installed ({exc}); "
            "pip install 'attest-rag[postgresql]'"
        ) from exc
    if sqlite:
        _prepare_sqlite(engine, foreign_keys, busy_seconds)
    listen(engine)
    _engines.add(engine)
    _forget_after_fork()
    return engine


def database_url(url: str) -> URL:
    """The URL with our driver named. Raises BadSettings."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as exc:
        raise BadSettings(f"database_url cannot be read: {exc}") from exc
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise BadSettings(f"database_url names {backend}; use sqlite:///PATH or postgresql://...")
    if not parsed.database or parsed.database == ":memory:":
        raise BadSettings("an in-memory SQLite cannot be shared by processes; name a file")
    return parsed


def transaction_options(engine: Engine, *, writing: bool) -> Mapping[str, Any]:
    """The execution options a connection needs before its transaction begins."""
    if engine.dialect.name == "sqlite":
        return {WRITING: writing}
    if writing:
        return {"isolation_level": "READ COMMITTED", "postgresql_readonly": False}
    return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _prepare_sqlite(engine: Engine, foreign_keys: bool, busy_seconds: float) -> None:
    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing by itself
        connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        _write_ahead(connection, busy_seconds)
        connection.execute("PRAGMA synchronous = FULL")  # an accepted upload survives power loss
        connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten (ERASED)
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get(UNBOUND, False):
            return
        writing = options.get(WRITING, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Switch the file to WAL once. SQLite does not wait for locks in this one statement, so two
    processes that open a new file together would collide without the loop."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                return
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            busy = exc.sqlite_errorname in ("SQLITE_BUSY", "SQLITE_LOCKED")
            if not busy or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@cache
def _forget_after_fork() -> None:
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=forget_connections)


def forget_connections() -> None:
    """In a forked child: drop the parent's connections without closing them."""
    for engine in list(_engines):
        engine.dispose(close=False)
