"""What searchers ask of the truth to know how far they are behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete

from rag.domain import Right
from rag.errors import UnknownCollection
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
        assert chunks.news(library.collection, 0) == News(5, 12, 3)
        assert chunks.news(library.collection, 4) == News(5, 0, 3)
        assert chunks.news(library.collection, 5) == News(5, 0, 0)
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


def test_a_purge_changes_the_mark_and_a_later_change_does_not(sqlite: SqliteDatabases) -> None:
    store = open_store(sqlite.new())
    library = Library(store, {"staff": Right.READ})
    library.put("a.md", "one", "two")
    library.put("b.md", "three")
    with store() as work:
        before = work.chunks.mark(library.collection, 2)
        assert work.chunks.mark(library.collection, 1) != before
    library.delete("a.md")
    with store() as work:
        assert work.chunks.mark(library.collection, 2) == before
    with store.engine.begin() as connection:
        connection.execute(delete(ChunkRow).where(ChunkRow.died.is_not(None)))
    with store() as work:
        assert work.chunks.mark(library.collection, 2) != before
        now = datetime.now(UTC)
        assert work.chunks.settled(library.collection, now + timedelta(1)) == 3
        assert work.chunks.settled(library.collection, now - timedelta(1)) == 0
    store.close()
