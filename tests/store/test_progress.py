"""What searchers ask of the truth to know how far they are behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from rag.domain import Right
from rag.errors import UnknownCollection
from rag.index.building import build, of_the_truth
from rag.ports import News
from rag.store.tables import ChunkRow
from rag.store.unit import open_store
from tests.index.library import Library
from tests.servers import SqliteDatabases


def test_a_collection_is_read_piece_by_piece_as_it_was(sqlite: SqliteDatabases) -> None:
    store = open_store(sqlite.new())
    library = Library(store, {"staff": Right.READ})
    for n in range(4):
        library.put(f"{n}.md", f"one {n}", f"two {n}", f"three {n}")
    library.delete("1.md")
    with store() as work:
        chunks = work.chunks
        marks = [chunks.mark(library.collection, at) for at in (0, 4, 5)]
        assert len({*marks}) == 3
        assert chunks.news(library.collection, 0) == News(5, 12, 3, marks[0])
        assert chunks.news(library.collection, 4) == News(5, 0, 3, marks[1])
        assert chunks.news(library.collection, 5) == News(5, 0, 0, marks[2])
        read, after = [], -1
        while page := chunks.stretch(library.collection, after, 3, 2):
            assert len(page) <= 2
            read.extend(page)
            after = page[-1].row
        whole = [row for row in chunks.since(library.collection, 0).born if row.born <= 3]
        assert [row.row for row in read] == [row.row for row in whole]
        assert [row.died for row in read] == [None] * 9  # it ended later
        with pytest.raises(UnknownCollection):
            chunks.news("nowhere", 0)
    store.close()


def test_the_generation_that_was_settled_by_then(sqlite: SqliteDatabases) -> None:
    store = open_store(sqlite.new())
    library = Library(store, {"staff": Right.READ})
    library.put("a.md", "one", "two")
    library.put("b.md", "three")
    with store() as work:
        now = datetime.now(UTC)
        assert work.chunks.settled(library.collection, now + timedelta(1)) == 2
        assert work.chunks.settled(library.collection, now - timedelta(1)) == 0
    store.close()


def test_a_purge_takes_a_snapshot_out_of_use(sqlite: SqliteDatabases, tmp_path: Path) -> None:
    """Of ended rows that it leaves out it does not."""
    store = open_store(sqlite.new())
    library = Library(store, {"staff": Right.READ})
    library.put("a.md", "one", "two")
    library.put("b.md", "three")
    library.delete("a.md")
    library.put("c.md", "four")
    dimension = library.embedder.dimension
    whole, compacted = (
        build(store, library.collection, tmp_path / str(floor), dimension, floor)
        for floor in (0, 3)
    )
    assert whole is not None
    assert compacted is not None
    assert (whole.manifest.rows, compacted.manifest.rows) == (4, 2)
    library.delete("b.md")
    assert of_the_truth(store, whole.manifest)
    assert of_the_truth(store, compacted.manifest)
    with store.engine.begin() as connection:
        connection.execute(delete(ChunkRow).where(ChunkRow.died == 3))
    assert not of_the_truth(store, whole.manifest)
    assert of_the_truth(store, compacted.manifest)
    store.close()
