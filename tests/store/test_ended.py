"""Every commit that ends chunks has their KV blocks forgotten, on both back ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.block_key import text_key
from models.block_store import BlockStore
from rag.kv_blocks import FolderKVBlocks, leftovers
from rag.store.unit import SqlStore, open_store
from tests.models.block_making import key, made
from tests.servers import Databases
from tests.store.samples import accept, collection, ingest, lease, publish


@pytest.fixture
def blocks(tmp_path: Path) -> FolderKVBlocks:
    return FolderKVBlocks(tmp_path / "kv")


@pytest.fixture
def store(databases: Databases, blocks: FolderKVBlocks) -> Iterator[SqlStore]:
    opened = open_store(databases.new(), kv_blocks=blocks)
    yield opened
    opened.close()


def fill(store: SqlStore, into: str, folder: Path) -> dict[str, str]:
    """Keep a block of each live chunk; its key by the last line of what is shown."""
    kept = BlockStore(folder, 0, 1 << 20)
    with store() as unit:
        shown = list(unit.chunks.shown(into))
    for text in shown:
        kept.put(key(text), made(text))
    return {text.splitlines()[-1]: text_key(text) for text in shown}


def test_each_way_in_which_chunks_end(
    store: SqlStore, blocks: FolderKVBlocks, tmp_path: Path
) -> None:
    into, other = collection(store), collection(store, "other")
    job, _ = ingest(store, into, "a.txt", ["one", "two"])
    ingest(store, into, "b.txt", ["three"])
    ingest(store, other, "c.txt", ["four"])
    keys = fill(store, into, tmp_path / "kv") | fill(store, other, tmp_path / "kv")
    assert blocks.keys() == {keys[name] for name in ("one", "two", "three", "four")}
    assert leftovers(store, blocks) == set()

    with store() as unit:  # new rows, the same words
        unit.documents.set_access(job.document, frozenset({"hr"}), {})
        unit.commit()
    assert len(blocks.keys()) == 4

    ingest(store, into, "a.txt", ["one", "two", "and more"])  # under another title
    assert blocks.keys() == {keys["three"], keys["four"]}

    with store() as unit:
        unit.documents.delete(unit.documents.named(into, "b.txt").id)
        assert len(blocks.keys()) == 2, "not before the commit"
        unit.commit()
    assert blocks.keys() == {keys["four"]}

    with store() as unit:
        unit.collections.delete(other)
        unit.commit()
    assert blocks.keys() == set()


def test_an_upload_that_was_overtaken_ends_nothing(
    store: SqlStore, blocks: FolderKVBlocks, tmp_path: Path
) -> None:
    into = collection(store)
    early = accept(store, into, "a.txt", "early")
    late = accept(store, into, "a.txt", "late")
    for job, text in ((late, "late"), (early, "early")):
        assert lease(store, job.id) is not None
        if job is early:
            keys = fill(store, into, tmp_path / "kv")
        publish(store, job.id, [text])
    assert blocks.keys() == {keys["late"]}


def test_leftovers_are_those_of_no_live_chunk(
    store: SqlStore, blocks: FolderKVBlocks, tmp_path: Path
) -> None:
    into = collection(store)
    ingest(store, into, "a.txt", ["one"])
    fill(store, into, tmp_path / "kv")
    BlockStore(tmp_path / "kv", 0, 1 << 20).put(key("of no chunk"), made("of no chunk"))
    assert leftovers(store, blocks) == {text_key("of no chunk")}
    blocks.forget_keys(leftovers(store, blocks))
    assert leftovers(store, blocks) == set()
    assert len(blocks.keys()) == 1
