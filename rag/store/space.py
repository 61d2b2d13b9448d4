"""Giving back the room of removed rows, so that their bytes are in no file any more."""

from __future__ import annotations

from sqlalchemy import Connection, Engine

from rag.store.engine import UNBOUND

_TABLES = (
    "answers", "answer_sources", "bands", "blocks", "chunks", "documents", "feedback", "jobs",
    "vectors", "versions",
)  # fmt: skip


def settle(engine: Engine) -> bool:
    """After rows were removed. SQLite has overwritten them with zeros already (`secure_delete`);
    what its write-ahead log still holds is emptied, unless a reader stands in the way: then False,
    and the next call does it. PostgreSQL takes their room back for other rows."""
    with _unbound(engine) as connection:
        if engine.dialect.name == "sqlite":
            busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").scalar_one()
            return not busy
        for table in _TABLES:
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


def _unbound(engine: Engine) -> Connection:
    if engine.dialect.name == "sqlite":
        return engine.connect().execution_options(**{UNBOUND: True})
    return engine.connect().execution_options(isolation_level="AUTOCOMMIT")
