"""Blobs wait for who names them, and removed rows give back their room, on both back ends."""

from __future__ import annotations

import threading
from pathlib import Path

from sqlalchemy import text

from rag.store.space import settle, shrink
from rag.store.unit import SqlStore
from tests.store.samples import accept, collection, ingest, seen, sha


def purged(store: SqlStore) -> None:
    """All but the blobs."""
    with store() as unit:
        doomed = unit.purging.doomed(9)
    for each in doomed:
        last = False
        while not last:
            with store() as unit:
                _, last = unit.purging.document(each, 500)
                unit.commit()


def delete(store: SqlStore, document: str) -> None:
    with store() as unit:
        unit.documents.delete(document)
        unit.commit()


def test_a_blob_that_is_being_named_stays(store: SqlStore) -> None:
    """The purge waits for the transaction that names it, and then sees the row."""
    into = collection(store)
    job, _ = ingest(store, into, "a.txt", ["one"])
    delete(store, job.document)
    purged(store)
    told: list[list[str]] = []

    def unlink() -> None:
        with store() as unit:
            told.append(unit.purging.unused(9)[0])
            unit.commit()

    purging = threading.Thread(target=unlink)
    with store() as unit:
        unit.documents.accept(into, "b.txt", sha("one"), 3)
        purging.start()
        purging.join(0.5)
        assert purging.is_alive()
        unit.commit()
    purging.join(60)
    assert told == [[]]
    accept(store, into, "b.txt", "another")


def test_room_is_given_back(store: SqlStore) -> None:
    into = collection(store)
    job, _ = ingest(store, into, "long.txt", [long(n) for n in range(100)])
    _, at = ingest(store, into, "short.txt", ["stays"])
    assert settle(store.engine)
    before = size(store)
    delete(store, job.document)
    purged(store)
    assert settle(store.engine)
    shrink(store.engine)
    assert settle(store.engine)
    assert size(store) < before / 4
    assert seen(store, into, at + 1) == ["stays"]


def long(n: int) -> str:
    """What does not compress."""
    return " ".join(sha(f"{n} {at}") for at in range(200))


def size(store: SqlStore) -> int:
    if store.engine.dialect.name == "sqlite":
        return Path(str(store.engine.url.database)).stat().st_size
    with store.engine.connect() as connection:
        return int(connection.execute(text("SELECT pg_total_relation_size('chunks')")).scalar_one())
