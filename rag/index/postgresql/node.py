"""One node: a PostgreSQL server, or a primary with its replicas, that holds a part of the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError

from rag.errors import BadSettings, IndexUnavailable
from rag.index.engine import BuildGone

Connection = psycopg.Connection[tuple[Any, ...]]
T = TypeVar("T")

CONNECT_SECONDS = "5"
# One question is small: compiling its plan costs more than running it. Behind a filter pgvector
# must go on scanning until enough rows were found, or answers come back short.
_READING = """
SET jit = off;
SET work_mem = '64MB';
SET statement_timeout = '60s';
SET hnsw.iterative_scan = relaxed_order;
SET hnsw.ef_search = 200;
SET hnsw.max_scan_tuples = 200000;
SET hnsw.scan_mem_multiplier = 4
"""
_GONE = (
    psycopg.errors.UndefinedTable,
    psycopg.errors.InvalidSchemaName,
    psycopg.errors.UndefinedObject,  # the type, before the extension is there
)


class Node:
    """`url` is libpq's: `postgresql://host/database`, with several hosts where a primary has
    replicas (`postgresql://one,two/database`). Whoever accepts writes is the primary, so promoting
    a replica needs no change here. Connects on first use."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        try:
            told = conninfo_to_dict(self._url)
        except psycopg.ProgrammingError as exc:
            raise BadSettings(f"search_url cannot be read: {exc}") from exc
        hosts = str(told.get("host") or "localhost").split(",")
        ports = str(told.get("port") or "5432").split(",")
        ports = ports * len(hosts) if len(ports) == 1 else ports
        self.name = ", ".join(f"{h}:{p}" for h, p in zip(hosts, ports, strict=False))
        self._primary = self._pool("read-write")
        self._replicas = self._pool("prefer-standby") if len(hosts) > 1 else None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction on the primary, committed when the block ends well. Raises
        IndexUnavailable."""
        with self._connected(self._primary) as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            connection.execute("SET LOCAL statement_timeout = 0")
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A connection of its own to the primary, for what no transaction may hold."""
        with self._translated(), self._connect("read-write", autocommit=True) as connection:
            connection.execute("SET statement_timeout = 0")
            yield connection

    def newest(self, work: Callable[[Connection], T]) -> T:
        """`work` on the primary; on a replica while there is no primary."""
        try:
            return self._read(self._primary, work)
        except IndexUnavailable:
            if self._replicas is None:
                raise
            return self._read(self._replicas, work)

    def search(self, work: Callable[[Connection], T]) -> T:
        """`work`, in one snapshot, on a replica where there is one; on the primary when the replica
        is away or `work` finds it behind (BuildGone)."""
        if self._replicas is not None:
            try:
                return self._read(self._replicas, work)
            except (BuildGone, IndexUnavailable):
                pass  # the primary has the last word
        return self._read(self._primary, work)

    def close(self) -> None:
        for pool in (self._primary, self._replicas):
            if pool is not None:
                pool.dispose()

    def _read(self, pool: Engine, work: Callable[[Connection], T]) -> T:
        with self._connected(pool) as connection:
            return work(connection)

    @contextmanager
    def _connected(self, pool: Engine) -> Iterator[Connection]:
        with self._translated():
            held = pool.raw_connection()
            try:
                yield cast(Connection, held.driver_connection)
            finally:
                held.close()  # rolls back what was not committed

    def _pool(self, kind: str) -> Engine:
        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: self._connect(kind),
            pool_size=8,
            max_overflow=24,
            pool_pre_ping=True,
            pool_recycle=300,  # a replica that was away is found again
        )

    def _connect(self, kind: str, *, autocommit: bool = False) -> Connection:
        told = conninfo_to_dict(self._url)
        timeout = told.get("connect_timeout") or CONNECT_SECONDS
        target = make_conninfo(self._url, target_session_attrs=kind, connect_timeout=timeout)
        connection = psycopg.connect(target, autocommit=True, prepare_threshold=None)
        try:
            connection.execute(_READING)
            connection.autocommit = autocommit
        except psycopg.Error:
            connection.close()
            raise
        if not autocommit:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except _GONE as exc:
            raise BuildGone from exc
        except (psycopg.Error, SQLAlchemyError) as exc:
            said = str(exc.__cause__ or exc).strip().split("\n")[0]
            raise IndexUnavailable(
                f"the search node {self.name} cannot be used ({said}); see that it runs, and that "
                "one of its hosts accepts writes, then ask again"
            ) from exc
