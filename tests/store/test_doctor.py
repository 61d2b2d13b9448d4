"""The doctor finds what was broken on purpose, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from rag.store.blobs import FolderBlobs
from rag.store.doctor import examine
from rag.store.engine import make_engine
from rag.store.unit import SqlStore
from tests.conftest import Ticker
from tests.servers import SqliteDatabases
from tests.store.samples import accept, collection, ingest, lease


@pytest.fixture
def blobs(tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs")


def sound(store: SqlStore, blobs: FolderBlobs) -> str:
    into = collection(store)
    for name in ("a.txt", "b.txt", "a.txt"):
        texts = [f"{name} one", f"{name} two {len(list(blobs.all()))}"]
        blobs.put("\n".join(texts).encode())
        job, _ = ingest(store, into, name, texts)
    with store() as unit:
        unit.documents.set_access(job.document, frozenset({"hr"}), {})
        unit.documents.delete(unit.documents.named(into, "b.txt").id)
        unit.audit.add("ann", "delete", "b.txt", {})
        unit.commit()
    return into


def codes(store: SqlStore, blobs: FolderBlobs, clock: Ticker, *, read: bool = False) -> set[str]:
    return {finding.code for finding in examine(store, blobs, read_blobs=read, clock=clock)}


def test_a_sound_store(store: SqlStore, blobs: FolderBlobs, clock: Ticker) -> None:
    sound(store, blobs)
    assert examine(store, blobs, read_blobs=True, clock=clock) == []


def test_blobs_missing_and_damaged(store: SqlStore, blobs: FolderBlobs, clock: Ticker) -> None:
    sound(store, blobs)
    name = next(blobs.all())
    (tmp := next(blobs._path.glob(f"*/*/{name}"))).write_bytes(b"other")
    assert codes(store, blobs, clock) == set()
    assert codes(store, blobs, clock, read=True) == {"blob_corrupt"}
    tmp.unlink()
    assert codes(store, blobs, clock) == codes(store, blobs, clock, read=True) == {"blob_missing"}


def test_jobs(store: SqlStore, blobs: FolderBlobs, clock: Ticker) -> None:
    into = sound(store, blobs)
    for content in ("runs out", "waits", "kills"):
        blobs.put(content.encode())
    lease(store, accept(store, into, "c.txt", "runs out").id)
    accept(store, into, "d.txt", "waits")
    assert codes(store, blobs, clock) == set()
    clock.advance(61)
    assert codes(store, blobs, clock) == {"lease_expired"}
    clock.advance(3600)
    assert codes(store, blobs, clock) == {"lease_expired", "job_stuck"}
    killer = accept(store, into, "e.txt", "kills")
    for _ in range(7):  # its own fault is not known, so it is given twice the attempts
        lease(store, killer.id)
        clock.advance(61)
    found = examine(store, blobs, clock=clock)
    assert {f.code for f in found} == {"lease_expired", "job_stuck", "job_poisoned"}
    assert {f.severity for f in found} == {"warning"}


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ("DELETE FROM chunks WHERE died IS NULL AND start = 0", {"chunks_mismatch"}),
        ("DELETE FROM blocks", {"blocks_missing"}),
        ("DELETE FROM versions WHERE died IS NOT NULL", {"chunk_orphan"}),
        ("UPDATE vectors SET vector = x'00'", {"vector_size"}),
        ("DELETE FROM vectors", {"vector_missing"}),
        ("UPDATE collections SET generation = 9", {"generation_gap"}),
        ("UPDATE collections SET generation = 4", {"generation_gap", "row_from_the_future"}),
        ("DELETE FROM generations WHERE number = 2", {"generation_gap"}),
        ("UPDATE documents SET gone = 3", {"deleted_but_live"}),
        ("UPDATE versions SET died = 4 WHERE died IS NULL", {"chunk_outlives"}),
        ("UPDATE audit SET subject = 'c.txt'", {"audit_broken"}),
    ],
)
def test_rows_that_contradict_each_other(
    sqlite: SqliteDatabases, blobs: FolderBlobs, clock: Ticker, damage: str, expected: set[str]
) -> None:
    store = SqlStore(make_engine(sqlite.new(), foreign_keys=False), clock=clock)
    sound(store, blobs)
    with store.engine.connect() as connection:
        connection.execute(text(damage))
        connection.commit()
    found = codes(store, blobs, clock)
    store.close()
    assert expected <= found
    assert found - expected <= {"blocks_missing"}  # a damage may show twice
