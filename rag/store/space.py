"""Giving back the room of removed rows, so that their bytes are in no file any more."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from rag.store.engine import UNBOUND

_WAIT_MS = 200
_TABLES = (
    "answers", "answer_sources", "bands", "blocks", "chunks", "documents", "feedback", "jobs",
    "vectors", "versions",
)  # fmt: skip


def settle(engine: Engine, *, vacuum: bool = True) -> bool:
    """After rows were removed. SQLite has overwritten them with zeros already (`secure_delete`);
    what its write-ahead log still holds is emptied, unless a reader stands in the way: then False,
    and the next call does it. PostgreSQL takes their room back for other rows, with `vacuum`."""
    with _unbound(engine) as connection:
        if engine.dialect.name == "sqlite":
            return _emptied(connection)
        for table in _TABLES if vacuum else ():
            connection.exec_driver_sql(f"VACUUM {table}")
    return True


def shrink(engine: Engine) -> None:
    """Write the tables anew, without the room of removed rows. Writers wait for the whole of it,
    and PostgreSQL's readers too; the disk must have room for a second copy. Raises
    StoreUnavailable, DiskFull."""
    with _unbound(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("VACUUM")
            return
        for table in _TABLES:
            connection.exec_driver_sql(f"VACUUM FULL {table}")


def _emptied(connection: Connection) -> bool:
    """Not waiting as long as for a lock: writers wait behind it."""
    usual = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    connection.exec_driver_sql(f"PRAGMA busy_timeout = {_WAIT_MS}")
    try:
        return not connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
    finally:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {usual}")


def _unbound(engine: Engine) -> Connection:
    if engine.dialect.name == "sqlite":
        return engine.connect().execution_options(**{UNBOUND: True})
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
