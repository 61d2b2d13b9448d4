"""A column of numbers that grows at its end without being copied each time."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

T = TypeVar("T", bound=np.generic)


class Column(Generic[T]):
    """Room doubles when it runs out. `values` is a view of shape (length,): it can be written to,
    and must not be kept over an `extend`."""

    def __init__(self, dtype: type[T]) -> None:
        self._room: NDArray[T] = np.empty(64, dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[T]:
        return self._room[: self._length]

    def extend(self, values: ArrayLike) -> None:
        new: NDArray[Any] = np.asarray(values, self._room.dtype).ravel()
        length = self._length + len(new)
        if length > len(self._room):
            room = np.empty(max(length, 2 * len(self._room)), self._room.dtype)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : length] = new
        self._length = length
