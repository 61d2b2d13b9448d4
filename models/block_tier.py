"""Which blocks a tier holds, under a budget of bytes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator

from models.block_key import Place


class Tier:
    """Places and their sizes, least recently used first. Never holds more than `budget` bytes: who
    adds makes room first."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.bytes = 0
        self._sizes: OrderedDict[Place, int] = OrderedDict()

    def __contains__(self, place: Place) -> bool:
        return place in self._sizes

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._sizes)

    def use(self, place: Place) -> None:
        self._sizes.move_to_end(place)

    def room(self, size: int, asked: int, frequency: Callable[[Place], int]) -> list[Place] | None:
        """Who must go for a newcomer of `size` bytes that was `asked` for so often lately; None
        when it may not come: it is too large, or one of them was asked for more often."""
        if size > self.budget:
            return None
        leaving: list[Place] = []
        free = self.budget - self.bytes
        for place, held in self._sizes.items():
            if free >= size:
                break
            if frequency(place) > asked:
                return None
            leaving.append(place)
            free += held
        return leaving

    def excess(self) -> list[Place]:
        """The least recently used that stand over the budget (after a start with a smaller one, or
        when another process has a larger one)."""
        leaving: list[Place] = []
        over = self.bytes - self.budget
        for place, held in self._sizes.items():
            if over <= 0:
                break
            leaving.append(place)
            over -= held
        return leaving

    def add(self, place: Place, size: int) -> None:
        self.drop(place)
        self._sizes[place] = size
        self.bytes += size

    def drop(self, place: Place) -> None:
        self.bytes -= self._sizes.pop(place, 0)

    def clear(self) -> None:
        self._sizes.clear()
        self.bytes = 0
