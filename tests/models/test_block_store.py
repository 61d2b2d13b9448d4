"""The store against a plain dict, its budgets, and what it does when the disk will not."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from models.block_key import BlockKey, text_key
from models.block_store import BlockStore
from models.blocks import KVBlock
from models.errors import StoreUnavailable
from tests.models.block_making import IN_MEMORY, ON_DISK, key, made, same

PLENTY = 1 << 20
TEXTS = [f"text {number}" for number in range(6)]
READINGS = ["base", "adapted"]


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class OneFolder(RuleBasedStateMachine):
    """Two stores over one folder, in place of two processes; either may be opened anew. A block
    that is got is the newest that was put and not forgotten; what fits is never lost."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(os.environ["ATTEST_TEST_FOLDER"]) / os.urandom(8).hex()
        self.clock = Clock()
        self.model: dict[BlockKey, KVBlock] = {}
        self.erased: dict[str, float] = {}
        self.safe: set[BlockKey] = set()  # kept where there is room for all

    @initialize(
        memory=st.integers(0, 4),
        disk=st.integers(0, 14),
        precision=st.sampled_from(["int8", "exact"]),
    )
    def begin(self, memory: int, disk: int, precision: str) -> None:
        self.budget = memory * IN_MEMORY + 5, disk * ON_DISK + 5
        self.precision = precision
        self.roomy = disk >= len(TEXTS) * len(READINGS)
        self.stores = [self.opened(), self.opened()]

    def opened(self) -> BlockStore:
        return BlockStore(self.folder, *self.budget, self.precision, clock=self.clock)  # type: ignore[arg-type]

    @rule(text=st.sampled_from(TEXTS), reading=st.sampled_from(READINGS), who=st.integers(0, 1))
    def ask(self, text: str, reading: str, who: int) -> None:
        """Get, and put what is missing, as a reader does."""
        named, store = key(text, reading), self.stores[who]
        got = store.get(named)
        if got is not None:
            assert named in self.model, "it was forgotten"
            assert same(got, self.model[named])
            return
        assert named not in self.safe, "it was lost"
        kept = store.put(named, made(text, reading))
        assert same(kept, store.rounded(made(text, reading)))
        assert same(store.get(named), kept) or store.get(named) is None
        self.model[named] = kept
        if self.roomy and self.clock.now >= self.erased.get(text, 0) + 600:
            self.safe.add(named)

    @rule(texts=st.sets(st.sampled_from(TEXTS), max_size=3), who=st.integers(0, 1))
    def forget(self, texts: set[str], who: int) -> None:
        self.stores[who].forget(texts)
        for text in texts:
            for reading in READINGS:
                self.model.pop(key(text, reading), None)
                self.safe.discard(key(text, reading))
            self.erased[text] = self.clock.now
            for reading in READINGS:
                for store in self.stores:
                    assert store.get(key(text, reading)) is None
            assert not list(self.folder.rglob(f"{text_key(text)}*"))

    @rule(who=st.integers(0, 1))
    def restart(self, who: int) -> None:
        self.stores[who] = self.opened()

    @rule(who=st.integers(0, 1))
    def clear(self, who: int) -> None:
        self.stores[who].clear()
        self.model.clear()
        self.safe.clear()
        assert not list(self.folder.rglob("*.kv"))

    @rule()
    def wait(self) -> None:
        self.clock.now += 601

    @invariant()
    def budgets_hold(self) -> None:
        memory, disk = self.budget
        sizes = [path.stat().st_size for path in self.folder.rglob("*.kv")]
        assert sum(sizes) <= disk
        for store in self.stores:
            stats = store.stats()
            assert stats.memory_bytes <= memory
            assert (stats.disk_bytes, stats.disk_entries) == (sum(sizes), len(sizes))

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


def test_any_history_of_two_stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTEST_TEST_FOLDER", str(tmp_path))
    run_state_machine_as_test(OneFolder, settings=settings(max_examples=60, deadline=None))


# --- what a reader notices -----------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["int8", "exact"])
def test_the_same_block_whether_made_remembered_or_read(tmp_path: Path, precision: str) -> None:
    store = BlockStore(tmp_path, PLENTY, PLENTY, precision)  # type: ignore[arg-type]
    put = store.put(key("a"), made("a"))
    remembered = store.get(key("a"))
    opened = BlockStore(tmp_path, PLENTY, PLENTY, precision)  # type: ignore[arg-type]
    read = opened.get(key("a"))
    assert same(put, remembered)
    assert same(put, read)
    assert same(put, store.rounded(made("a")))
    assert (store.stats().memory_hits, opened.stats().disk_hits) == (1, 1)


def test_the_first_of_two_makers_wins(tmp_path: Path) -> None:
    here, there = (BlockStore(tmp_path, PLENTY, PLENTY) for _ in range(2))
    first = here.put(key("a"), made("a"))
    assert same(there.put(key("a"), made("a, a little differently")), first)


def test_readings_are_apart(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, PLENTY, PLENTY)
    store.put(key("a", "base"), made("a", "base"))
    assert store.get(key("a", "another")) is None


def test_without_a_folder(tmp_path: Path) -> None:
    store = BlockStore(None, PLENTY, PLENTY)
    kept = store.put(key("a"), made("a"))
    assert same(store.get(key("a")), kept)
    store.forget(["a"])
    assert store.get(key("a")) is None
    store.put(key("b"), made("b"))
    store.clear()
    assert store.get(key("b")) is None


def test_a_key_is_a_hash() -> None:
    with pytest.raises(ValueError, match="not the sha256"):
        BlockKey("base", "../../etc/passwd")


def test_the_order_of_use_outlives_a_restart(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, 0, 3 * ON_DISK, "exact")
    for second, text in enumerate("abc"):
        store.put(key(text), made(text))
        os.utime(next(tmp_path.rglob(f"{text_key(text)}.kv")), (second, second))
    store.get(key("a"))
    opened = BlockStore(tmp_path, 0, 3 * ON_DISK, "exact")
    opened.get(key("d"))
    opened.put(key("d"), made("d"))
    found = {text for text in "abcd" if opened.get(key(text)) is not None}
    assert found == {"a", "c", "d"}


def test_a_smaller_budget_is_kept_from_the_start_on(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, 0, 3 * ON_DISK, "exact")
    for text in "abc":
        store.put(key(text), made(text))
    BlockStore(tmp_path, 0, ON_DISK, "exact")
    assert len(list(tmp_path.rglob("*.kv"))) == 1
    assert store.stats().disk_entries == 1


def test_a_run_of_strangers_does_not_displace_what_is_asked_for(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, 2 * IN_MEMORY, 0)
    for text in ("a", "b", "a", "b"):
        if store.get(key(text)) is None:
            store.put(key(text), made(text))
    for number in range(50):
        if store.get(key(f"stranger {number}")) is None:
            store.put(key(f"stranger {number}"), made("s"))
    assert store.get(key("a")) is not None
    assert store.get(key("b")) is not None


# --- erased ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("disk", [0, PLENTY])
def test_what_was_on_its_way_when_its_text_was_erased_is_not_kept(
    tmp_path: Path, disk: int
) -> None:
    clock = Clock()
    here, there = (BlockStore(tmp_path, PLENTY, disk, clock=clock) for _ in range(2))
    assert here.get(key("a")) is None  # and now it is computed
    there.forget(["a"])
    returned = here.put(key("a"), made("a"))
    assert same(returned, here.rounded(made("a")))  # the question still gets its answer
    assert here.get(key("a")) is None
    assert not list(tmp_path.rglob("*.kv"))
    late = BlockStore(tmp_path, PLENTY, disk, clock=clock)
    late.put(key("a"), made("a"))
    assert late.get(key("a")) is None
    clock.now += 601  # the text came back with a new document
    here.put(key("a"), made("a"))
    assert here.get(key("a")) is not None


def test_the_journal_may_grow_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.block_journal._LONGEST", 2_000)
    here, there = (BlockStore(tmp_path, PLENTY, PLENTY) for _ in range(2))
    for number in range(40):
        kept = here.put(key(f"{number}"), made(f"{number}"))
        assert same(there.get(key(f"{number}")), kept)
        there.forget([f"{number}"])
        assert here.get(key(f"{number}")) is None
        here.put(key(f"{number}"), made(f"{number}"))
        assert here.get(key(f"{number}")) is None, "it is barred, in whichever journal"


def test_half_a_line_in_the_journal(tmp_path: Path) -> None:
    here, there = (BlockStore(tmp_path, PLENTY, PLENTY) for _ in range(2))
    kept = here.put(key("a"), made("a"))
    with (tmp_path / "journal").open("ab") as file:  # a writer was killed
        file.write(b"erased - 0123")
    assert same(there.get(key("a")), kept)
    there.forget(["a"])
    assert here.get(key("a")) is None
    assert same(here.put(key("b"), made("b")), there.get(key("b")))


def test_the_folder_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    store = BlockStore(tmp_path / "kv", PLENTY, PLENTY)
    store.put(key("a"), made("a"))
    shutil.rmtree(tmp_path / "kv")
    assert store.get(key("a")) is None
    kept = store.put(key("a"), made("a"))
    opened = BlockStore(tmp_path / "kv", PLENTY, PLENTY)
    assert same(opened.get(key("a")), kept)


# --- a disk that will not -------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["changed", "cut", "emptied"])
def test_a_damaged_file_is_a_miss_and_goes(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    BlockStore(tmp_path, 0, PLENTY).put(key("a"), made("a"))
    path = next(tmp_path.rglob("*.kv"))
    whole = bytearray(path.read_bytes())
    if damage == "changed":
        whole[-1] ^= 1
    else:
        del whole[len(whole) // 2 if damage == "cut" else 0 :]
    path.write_bytes(whole)
    store = BlockStore(tmp_path, 0, PLENTY)
    assert store.get(key("a")) is None
    assert not path.exists()
    assert "is computed again" in caplog.text
    assert store.stats().misses == 1
    store.put(key("a"), made("a"))
    assert store.get(key("a")) is not None


def test_another_precision_is_a_miss(tmp_path: Path) -> None:
    BlockStore(tmp_path, 0, PLENTY, "exact").put(key("a"), made("a"))
    store = BlockStore(tmp_path, 0, PLENTY, "int8")
    assert store.get(key("a")) is None
    kept = store.put(key("a"), made("a"))
    assert same(BlockStore(tmp_path, 0, PLENTY, "int8").get(key("a")), kept)


def test_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = BlockStore(tmp_path, PLENTY, PLENTY)
    full = OSError(28, "No space left on device")

    def refuse(*_: object) -> None:
        raise full

    with monkeypatch.context() as patched:
        patched.setattr("models.block_folder.os.replace", refuse)
        for text in "ab":
            kept = store.put(key(text), made(text))
            assert same(store.get(key(text)), kept)
    assert len([each for each in caplog.records if each.levelno >= logging.WARNING]) == 1
    assert not list(tmp_path.glob("unfinished-*"))
    assert store.stats().disk_entries == 0
    store.put(key("c"), made("c"))
    assert BlockStore(tmp_path, 0, PLENTY).get(key("c")) is not None


def test_erasing_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = (BlockStore(tmp_path, PLENTY, PLENTY) for _ in range(2))
    here.put(key("a"), made("a"))
    assert there.get(key("a")) is not None

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("models.block_journal.Journal.append", refuse)
    here.forget(["a"])
    assert there.get(key("a")) is None
    assert here.get(key("a")) is None
    assert not list(tmp_path.rglob("*.kv"))


def test_a_folder_that_cannot_be_made(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("in the way")
    store = BlockStore(tmp_path / "file" / "kv", PLENTY, PLENTY)
    kept = store.put(key("a"), made("a"))
    assert same(store.get(key("a")), kept)
    assert len(caplog.records) == 1


def test_an_erasure_that_cannot_be_recorded_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = BlockStore(tmp_path, PLENTY, PLENTY)
    store.put(key("a"), made("a"))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("models.block_folder.BlockFolder.record", refuse)
    monkeypatch.setattr("models.block_journal.Journal.remove", refuse)
    with pytest.raises(StoreUnavailable, match="Permission denied"):
        store.forget(["a"])
    assert store.get(key("a")) is None


def test_what_cannot_be_quantised_is_not_kept(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, PLENTY, PLENTY)
    broken = made("a")
    broken.keys[0, 0, 0, 0] = torch.inf
    assert same(store.put(key("a"), broken), broken)
    assert store.get(key("a")) is None


def test_the_files_of_killed_writers_are_swept(tmp_path: Path) -> None:
    BlockStore(tmp_path, PLENTY, PLENTY)
    (tmp_path / "unfinished-abc").write_bytes(b"half")
    BlockStore(tmp_path, PLENTY, PLENTY)
    assert not (tmp_path / "unfinished-abc").exists()


def test_what_is_made_ahead_of_use_displaces_nothing(tmp_path: Path) -> None:
    """And leaves a fifth of the room to what questions bring."""
    store = BlockStore(tmp_path, 0, 5 * ON_DISK, "exact")
    store.put(key("asked"), made("asked"))
    ahead = [text for text in TEXTS if store.add(key(text), made(text))]
    assert ahead == TEXTS[:3]
    assert store.lacks(key(TEXTS[3]))
    assert not store.lacks(key(TEXTS[0]))
    store.put(key("asked later"), made("asked later"))
    there = [text for text in ("asked", "asked later", *ahead) if store.get(key(text)) is not None]
    assert there == ["asked", "asked later", *ahead]
    assert store.stats().disk_evictions == 0


def test_a_text_erased_while_it_is_made_ahead_is_not_kept(tmp_path: Path) -> None:
    here, there = (BlockStore(tmp_path, 0, PLENTY, "exact") for _ in range(2))
    assert here.lacks(key("gone"))
    there.forget(["gone"])
    assert not here.lacks(key("gone"))
    assert not here.add(key("gone"), made("gone"))
    assert here.get(key("gone")) is None
    assert not list(tmp_path.rglob("*.kv"))


def test_without_a_disk_nothing_is_made_ahead(tmp_path: Path) -> None:
    for store in (BlockStore(None, PLENTY, PLENTY), BlockStore(tmp_path, PLENTY, 0)):
        assert not store.lacks(key("a"))
        assert not store.add(key("a"), made("a"))
