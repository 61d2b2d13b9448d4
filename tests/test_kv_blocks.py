"""ERASED reaches KV blocks: what a deletion, a replacement or a collection's end leaves without a
live chunk goes from the disk and from every process's memory, and the doctor sees what stayed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.uploads import upload
from models.block_key import text_key
from models.block_store import BlockStore
from rag import changes
from rag.bootstrap import Attest
from rag.commands.diagnosis import Checked, diagnose
from rag.errors import StoreUnavailable
from rag.kv_blocks import FolderKVBlocks
from tests.ingestion.house import WHO, RememberingQueue, make_collection, open_house, work_off
from tests.models.block_making import key, made
from tests.models.neighbour import Neighbour

LEAVE = b"# Leave\n\nEmployees have 27 days of paid leave a year.\n"
RULES = b"Ask your manager first, then the office, and wait for the letter before you book. " * 2
PAY = b"# Pay\n\nSalaries are paid on the 25th.\n"


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    attest = open_house(tmp_path / "data", chunk_tokens=16)
    make_collection(attest)
    take_in(attest, "leave.md", LEAVE)
    take_in(attest, "pay.md", PAY)
    yield attest
    attest.close()


def take_in(attest: Attest, name: str, data: bytes) -> None:
    queue = RememberingQueue()
    upload(attest, queue, WHO, "handbook", name, data)
    work_off(attest, queue)


def shown(attest: Attest, word: str) -> str:
    """What a reader is shown of the live chunk with this word."""
    with attest.store() as work:
        collection = work.collections.named("handbook")
        return next(text for text in work.chunks.shown(collection.id) if word in text)


def kept(attest: Attest, text: str) -> bool:
    """Whether its block lies on the disk of the data folder."""
    return any(attest.settings.kv_folder.rglob(f"{text_key(text)}.kv"))


def fill(attest: Attest, *texts: str) -> None:
    for text in texts:
        attest.block_store.put(key(text), made(text))
        assert kept(attest, text)


def document(attest: Attest, name: str) -> str:
    with attest.store() as work:
        return work.documents.named(work.collections.named("handbook").id, name).id


def doctor(attest: Attest) -> Checked:
    found = {each.check: each for each in diagnose(attest, 0, lambda line: None)}
    return found["kv blocks"]


def test_a_deleted_document_leaves_disk_and_every_memory(attest: Attest) -> None:
    leave, pay = shown(attest, "27 days"), shown(attest, "25th")
    fill(attest, leave, pay)
    there = Neighbour(attest.settings.kv_folder, 1 << 20, 1 << 20)
    assert there("ask", leave) == there("ask", pay) == "yes"
    changes.delete_document(attest.store, WHO, document(attest, "leave.md"))
    assert not kept(attest, leave)
    assert there("get", leave) == "no"
    assert attest.block_store.get(key(leave)) is None
    assert there("get", pay) == "yes"
    there.stop()
    assert doctor(attest).state == "ok"


def test_of_a_replaced_document_only_what_changed_goes(attest: Attest) -> None:
    take_in(attest, "leave.md", LEAVE + RULES + b"\n\n# Parents\n\nParents have 14 weeks.\n")
    old, same = shown(attest, "14 weeks"), shown(attest, "27 days")
    fill(attest, old, same)
    take_in(attest, "leave.md", LEAVE + RULES + b"\n\n# Parents\n\nParents have 20 weeks.\n")
    assert not kept(attest, old)
    assert kept(attest, same)
    assert attest.block_store.get(key(old)) is None


def test_a_change_of_readers_erases_nothing(attest: Attest) -> None:
    leave = shown(attest, "27 days")
    fill(attest, leave)
    changes.set_access(attest.store, WHO, document(attest, "leave.md"), frozenset({"hr"}), {})
    assert attest.block_store.get(key(leave)) is not None


def test_a_deleted_collection(attest: Attest) -> None:
    texts = shown(attest, "27 days"), shown(attest, "25th")
    fill(attest, *texts)
    changes.delete_collection(attest.store, WHO, "handbook")
    assert not any(kept(attest, text) for text in texts)
    assert doctor(attest).state == "ok"


def test_a_deletion_that_is_not_committed_erases_nothing(attest: Attest) -> None:
    leave = shown(attest, "27 days")
    fill(attest, leave)
    with attest.store() as work:
        work.documents.delete(document(attest, "leave.md"))
    with attest.store() as work:
        work.commit()
    assert attest.block_store.get(key(leave)) is not None


def test_killed_between_commit_and_forgetting(
    attest: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor sees it, and the next start mends it."""
    leave, pay = shown(attest, "27 days"), shown(attest, "25th")
    fill(attest, leave, pay)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(FolderKVBlocks, "forget", killed)
        with pytest.raises(KeyboardInterrupt):
            changes.delete_document(attest.store, WHO, document(attest, "leave.md"))
    assert kept(attest, leave)
    found = doctor(attest)
    assert found.state == "warning"
    assert text_key(leave) in found.detail
    again = open_house(attest.settings.data)
    again.warm()
    again.close()
    assert not kept(attest, leave)
    assert kept(attest, pay)
    assert attest.block_store.get(key(leave)) is None
    assert doctor(attest).state == "ok"


def test_who_deletes_is_told_when_blocks_could_not_be_erased(
    attest: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(attest, shown(attest, "27 days"))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("models.block_folder.BlockFolder.record", refuse)
    monkeypatch.setattr("models.block_journal.Journal.remove", refuse)
    id = document(attest, "leave.md")
    with pytest.raises(StoreUnavailable, match="could not be erased"):
        changes.delete_document(attest.store, WHO, id)
    with attest.store() as work:
        assert work.documents.get(id).version is None  # it is deleted all the same


def test_the_settings_reach_the_store(tmp_path: Path) -> None:
    attest = open_house(tmp_path / "small", kv_memory_bytes=0, kv_disk_bytes=0)
    attest.block_store.put(key("a"), made("a"))
    assert attest.block_store.get(key("a")) is None
    attest.close()
    with pytest.raises(ValueError, match="kv_precision"):
        open_house(tmp_path / "wrong", kv_precision="int4")


def test_erasing_does_not_wait_for_the_store_to_be_opened(attest: Attest) -> None:
    """`attest delete` forgets without having kept anything itself."""
    leave = shown(attest, "27 days")
    BlockStore(attest.settings.kv_folder, 0, 1 << 20).put(key(leave), made(leave))
    changes.delete_document(attest.store, WHO, document(attest, "leave.md"))
    assert not kept(attest, leave)
    assert "block_store" not in attest.__dict__
