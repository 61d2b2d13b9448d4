"""Several processes over one folder of KV blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from models.block_store import BlockStore
from tests.models.block_making import IN_MEMORY, ON_DISK, key, made
from tests.models.neighbour import Neighbour

Start = Callable[[Path, int, int], Neighbour]


@pytest.fixture
def start() -> Iterator[Start]:
    with ExitStack() as stack:

        def begin(folder: Path, memory: int, disk: int) -> Neighbour:
            one = Neighbour(folder, memory, disk)
            stack.callback(one.stop)
            return one

        yield begin


@pytest.mark.parametrize("disk", [0, 1 << 20])
def test_an_erased_text_leaves_the_memory_of_every_process(
    tmp_path: Path, start: Start, disk: int
) -> None:
    here, there = BlockStore(tmp_path, 1 << 20, disk, "exact"), start(tmp_path, 1 << 20, disk)
    assert there("ask", "a") == there("get", "a") == there("ask", "b") == "yes"
    here.forget(["a"])
    assert there("get", "a") == "no"
    assert there("get", "b") == "yes"
    here.put(key("c"), made("c"))
    assert there("forget", "c") == "done"
    assert here.get(key("c")) is None
    assert not list(tmp_path.rglob(f"{key('a').text}*"))


def test_what_one_process_keeps_another_reads(tmp_path: Path, start: Start) -> None:
    here, there = BlockStore(tmp_path, 0, 1 << 20, "exact"), start(tmp_path, 0, 1 << 20)
    assert there("ask", "a") == "yes"
    assert here.get(key("a")) is not None
    assert here.stats().disk_hits == 1


def test_at_work_together_they_pass_no_budget_and_mix_nothing_up(
    tmp_path: Path, start: Start
) -> None:
    budget = 7 * ON_DISK
    workers = [start(tmp_path, 3 * IN_MEMORY, budget) for _ in range(3)]
    most, over = 0, Event()

    def watch() -> None:
        nonlocal most
        while not over.is_set():
            found = 0
            for path in tmp_path.rglob("*.kv"):
                try:
                    found += path.stat().st_size
                except FileNotFoundError:
                    continue
            most = max(most, found)

    for seed, worker in enumerate(workers):
        worker.tell("work", str(seed), "400")
    watcher = Thread(target=watch)
    watcher.start()
    said = [worker.said() for worker in workers]
    over.set()
    watcher.join()
    assert said == ["done"] * 3
    left = sum(path.stat().st_size for path in tmp_path.rglob("*.kv"))
    assert 0 < left <= budget
    assert 0 < most <= budget + ON_DISK  # a walk over the folder may see one go and the next come
    last = BlockStore(tmp_path, 0, budget, "exact").stats()
    assert last.disk_bytes == left
