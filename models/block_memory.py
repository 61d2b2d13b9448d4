"""KV blocks in memory, ready for use."""

from __future__ import annotations

from collections.abc import Callable

from models.block_key import Place
from models.block_tier import Tier
from models.blocks import KVBlock


class BlockMemory:
    """At most `budget` bytes of keys and values."""

    def __init__(self, budget: int) -> None:
        self.tier = Tier(budget)
        self.evictions = 0
        self._blocks: dict[Place, KVBlock] = {}

    def get(self, place: Place) -> KVBlock | None:
        block = self._blocks.get(place)
        if block is not None:
            self.tier.use(place)
        return block

    def keep(self, place: Place, block: KVBlock, frequency: Callable[[Place], int]) -> bool:
        """Whether it was let in."""
        size = block.keys.nbytes + block.values.nbytes
        leaving = self.tier.room(size, frequency(place), frequency)
        if leaving is None:
            return False
        for each in leaving:
            self.drop(each)
        self.evictions += len(leaving)
        self.tier.add(place, size)
        self._blocks[place] = block
        return True

    def drop(self, place: Place) -> None:
        self.tier.drop(place)
        self._blocks.pop(place, None)

    def clear(self) -> None:
        self.tier.clear()
        self._blocks.clear()
