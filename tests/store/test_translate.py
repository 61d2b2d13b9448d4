"""Real faults of real databases end in our errors."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import event

from rag.errors import BadInput, Corrupt, DiskFull, StoreUnavailable
from rag.store.engine import make_engine
from rag.store.migrate import upgrade
from rag.store.unit import SqlStore, open_store
from tests.servers import Databases, PostgresqlDatabases, SqliteDatabases
from tests.store.samples import accept, collection, lease, publication, publish, seen


def test_no_tables_yet(databases: Databases) -> None:
    store = open_store(databases.empty())
    with store() as unit, pytest.raises(StoreUnavailable, match="upgraded"):
        unit.collections.all()
    store.close()


def test_a_full_disk_loses_nothing(sqlite: SqliteDatabases) -> None:
    engine = make_engine(sqlite.new())
    store = SqlStore(engine)
    into = collection(store)
    job = accept(store, into, "a.txt", "x")
    lease(store, job.id)
    engine.dispose()

    @event.listens_for(engine, "connect")
    def _full(connection: sqlite3.Connection, _record: object) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    with store() as unit, pytest.raises(DiskFull):
        unit.documents.publish(job.id, "w1", publication(job.id, ["x" * 4000] * 50))
    event.remove(engine, "connect", _full)
    engine.dispose()
    assert seen(store, into, 1) == []
    assert publish(store, job.id, ["there is room again"]) == 1
    store.close()


def test_a_writer_that_never_ends(sqlite: SqliteDatabases) -> None:
    store = SqlStore(make_engine(sqlite.new(), busy_seconds=0.05))
    with store() as holding:
        holding.collections.create("a", {})
        with store() as waiting, pytest.raises(StoreUnavailable, match="busy"):
            waiting.collections.create("b", {})
        holding.commit()
    collection(store, "b")  # nothing is left behind in the pool
    store.close()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "attest.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(Corrupt):
        upgrade(f"sqlite:///{path}")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'nowhere' / 'attest.db'}")
    with store() as unit, pytest.raises(StoreUnavailable):
        unit.collections.all()
    assert not (tmp_path / "nowhere").exists()


def test_no_server_there() -> None:
    store = open_store("postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")
    with store() as unit, pytest.raises(StoreUnavailable):
        unit.collections.all()


def test_a_server_that_dropped_its_connections(postgresql: PostgresqlDatabases) -> None:
    store = open_store(postgresql.new())
    collection(store, "a")
    other = make_engine(postgresql.new())
    with other.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            f"'{store.engine.url.database}'"
        )
    other.dispose()
    collection(store, "b")  # the pool notices and connects again
    store.close()


def test_text_that_cannot_be_stored(postgresql: PostgresqlDatabases) -> None:
    store = open_store(postgresql.new())
    job = accept(store, collection(store), "a.txt", "x")
    lease(store, job.id)
    for text in ("nul \0 byte", "half \ud800 pair"):
        with store() as unit, pytest.raises(BadInput):
            unit.documents.publish(job.id, "w1", publication(job.id, [text]))
    store.close()
