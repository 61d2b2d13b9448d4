"""Many writers at once: consecutive generations, nothing lost, nothing twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from rag.domain import JobState
from rag.errors import Conflict
from rag.store.unit import SqlStore, open_store
from tests.servers import Databases, SqliteDatabases
from tests.store.samples import accept, collection, ingest, lease, publish, seen

PUBLISH = """
import sys
from rag.store.unit import open_store
from tests.store.samples import ingest
url, into, name = sys.argv[1:]
store = open_store(url)
for n in range(5):
    print(ingest(store, into, f"{name}-{n}.txt", [f"{name} {n} {part}" for part in range(3)])[1])
store.close()
"""


def whole(store: SqlStore, into: str, documents: int, chunks: int) -> None:
    """Every document is live once, at a generation of its own."""
    with store() as unit:
        assert unit.collections.get(into).generation == documents
        delta = unit.chunks.since(into, 0)
        jobs = unit.jobs.all(into)
    assert len(delta.born) == documents * chunks
    assert len({row.chunk for row in delta.born}) == documents * chunks
    assert [row.born for row in delta.born] == sorted(row.born for row in delta.born)
    assert {job.state for job in jobs} == {JobState.DONE}
    assert sorted(job.generation or 0 for job in jobs) == list(range(1, documents + 1))


def test_threads_publish_different_documents(databases: Databases) -> None:
    store = open_store(databases.new())
    into = collection(store)

    def work(name: int) -> list[int]:
        return [ingest(store, into, f"{name}-{n}", [f"{name} {n}"])[1] for n in range(4)]

    with ThreadPoolExecutor(6) as pool:
        taken = [g for generations in pool.map(work, range(6)) for g in generations]
    assert sorted(taken) == list(range(1, 25))
    whole(store, into, documents=24, chunks=1)
    store.close()


def test_processes_publish_different_documents(databases: Databases) -> None:
    url = databases.new()
    store = open_store(url)
    into = collection(store)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", PUBLISH, url, into, f"p{n}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(3)
    ]
    ends = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], ends
    taken = [int(line) for out, _ in ends for line in out.split()]
    assert sorted(taken) == list(range(1, 16))
    whole(store, into, documents=15, chunks=3)
    store.close()


def test_double_delivery_at_the_same_moment(databases: Databases) -> None:
    store = open_store(databases.new())
    into = collection(store)
    job = accept(store, into, "a.txt", "x")
    lease(store, job.id)
    start = threading.Barrier(4)

    def work(_: int) -> int:
        start.wait()
        return publish(store, job.id, ["x"])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [1] * 4
    whole(store, into, documents=1, chunks=1)
    store.close()


def test_the_same_name_accepted_at_the_same_moment(databases: Databases) -> None:
    store = open_store(databases.new())
    into = collection(store)
    with ThreadPoolExecutor(4) as pool:
        jobs = list(pool.map(lambda _: accept(store, into, "a.txt", "x"), range(8)))
    assert len({job.id for job in jobs}) == 1
    with store() as unit:
        assert len(unit.documents.all(into)) == 1
    store.close()


def test_a_deletion_races_a_publication(databases: Databases) -> None:
    """Whichever comes first, the document is gone at the end."""
    store = open_store(databases.new())
    into = collection(store)
    for n in range(5):
        job = accept(store, into, f"{n}.txt", "x")
        lease(store, job.id)
        with ThreadPoolExecutor(2) as pool:
            publishing = pool.submit(publish, store, job.id, ["x"])
            pool.submit(delete, store, job.document).result()
            if publishing.exception() is not None:
                assert isinstance(publishing.exception(), Conflict)
        with store() as unit:
            newest = unit.collections.get(into).generation
        assert seen(store, into, newest) == []
    store.close()


def delete(store: SqlStore, document: str) -> None:
    with store() as unit:
        unit.documents.delete(document)
        unit.commit()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_opens_its_own_connections(sqlite: SqliteDatabases) -> None:
    code = """
import os, sys
from rag.store.unit import open_store
from tests.store.samples import collection
store = open_store(sys.argv[1])
collection(store, "parent")
child = os.fork()
if child == 0:
    collection(store, "child")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
with store() as unit:
    assert [c.name for c in unit.collections.all()] == ["child", "parent"]
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, sqlite.new()],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
