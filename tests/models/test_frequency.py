"""The sketch counts, forgets slowly, and makes the store keep what is asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.block_store import BlockStore
from models.frequency import FrequencySketch
from tests.models.block_making import IN_MEMORY, ON_DISK, key, made


@settings(max_examples=50)
@given(st.lists(st.integers(0, 30), max_size=200))
def test_an_estimate_is_the_count_up_to_15(asked: list[int]) -> None:
    sketch = FrequencySketch(1 << 12)
    for each in asked:
        sketch.count(str(each), held=1000)
    for each in range(31):
        assert sketch.estimate(str(each)) == min(15, asked.count(each))


def test_collisions_only_add() -> None:
    sketch = FrequencySketch(width=8)
    for each in range(100):
        sketch.count(str(each), held=1000)
    assert all(sketch.estimate(str(each)) >= 1 for each in range(100))


def test_what_is_no_longer_asked_for_is_forgotten() -> None:
    sketch = FrequencySketch()
    for _ in range(15):
        sketch.count("old", held=0)
    for number in range(2_000):
        sketch.count(f"new {number}", held=0)
    assert sketch.estimate("old") <= 1


def trace(passages: int, requests: int, seed: int) -> list[str]:
    """Zipf(1.1) over `passages`, the most popular anywhere among them."""
    chance = np.random.default_rng(seed)
    weight = np.arange(1, passages + 1) ** -1.1
    drawn = chance.choice(passages, size=requests, p=weight / weight.sum())
    return [str(each) for each in chance.permutation(passages)[drawn]]


def lru(asked: Sequence[str], room: int) -> float:
    held: OrderedDict[str, None] = OrderedDict()
    hits = 0
    for text in asked:
        hits += text in held
        held[text] = None
        held.move_to_end(text)
        if len(held) > room:
            held.popitem(last=False)
    return hits / len(asked)


@pytest.mark.parametrize("tier", ["memory", "disk"])
def test_a_tenth_of_the_room_answers_60_percent_of_zipf_traffic(tmp_path: Path, tier: str) -> None:
    """From empty, the filling counted in; LRU alone is printed for comparison."""
    passages, asked = 500, trace(500, 5_000, seed=7)
    room = passages // 10
    memory, disk = (room * IN_MEMORY, 0) if tier == "memory" else (0, room * ON_DISK)
    store = BlockStore(tmp_path, memory, disk, "exact")
    for text in asked:
        if store.get(key(text)) is None:
            store.put(key(text), made(text))
    stats = store.stats()
    share = (stats.memory_hits + stats.disk_hits) / len(asked)
    alone = lru(asked, room)
    print(f"{tier}: hits {share:.3f}, LRU alone {alone:.3f}")
    assert share >= 0.6
    assert share > alone
