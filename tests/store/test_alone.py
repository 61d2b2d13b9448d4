"""One process at a time inside a name, on both databases."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from sqlalchemy import text

from rag.errors import StoreUnavailable
from rag.store.unit import SqlStore, open_store
from tests.servers import Databases

HOLD = """
    import sys, time
    from rag.store.unit import open_store
    store = open_store(sys.argv[1])
    with store.alone("feeding a", 5):
        print("in", flush=True)
        time.sleep(60)
"""


def test_a_killed_process_lets_go(databases: Databases) -> None:
    url = databases.new()
    store = open_store(url)
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLD), url], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "in\n"
        with pytest.raises(TimeoutError, match="feeding a"), store.alone("feeding a", 0.2):
            pass
        with store.alone("feeding b", 0.2) as sure:
            sure()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with store.alone("feeding a", 20) as sure:
        sure()
    with store.alone("feeding a", 0.2):  # it was let go
        pass
    store.close()


def test_threads_exclude_each_other_and_an_error_lets_go(store: SqlStore) -> None:
    with store.alone("x", 1), pytest.raises(TimeoutError), store.alone("x", 0.1):
        pass
    with pytest.raises(KeyError), store.alone("x", 0.1):
        raise KeyError
    with store.alone("x", 0.1):
        pass


def test_a_lost_connection_is_no_lock(databases: Databases) -> None:
    if databases.name == "sqlite":
        pytest.skip("its lock is a file")
    url = databases.new()
    store, other = open_store(url), open_store(url)
    with store.alone("x", 1) as sure:
        sure()
        with other.engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        with pytest.raises(StoreUnavailable):
            sure()
    with store.alone("x", 1) as sure:
        sure()
    store.close()
    other.close()
