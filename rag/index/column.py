"""A column of numbers, or of short strings as bytes, that grows at its end."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

T = TypeVar("T", bound=np.generic)

_SPARE = 8  # one in so many: what stays free behind the values a column begins with


class Column(Generic[T]):
    """Room doubles when it runs out. `values` is a view of shape (length,): it can be written to,
    and must not be kept over an `extend`. Bytes are as wide as the longest so far."""

    def __init__(self, dtype: DTypeLike, begin: NDArray[T] | None = None) -> None:
        self._length = 0 if begin is None else len(begin)
        kind = np.dtype(dtype) if begin is None else begin.dtype
        self._room: NDArray[T] = np.empty(self._length + self._length // _SPARE + 64, kind)
        if begin is not None:
            self._room[: self._length] = begin

    def __len__(self) -> int:
        return self._length

    @property
    def values(self) -> NDArray[T]:
        return self._room[: self._length]

    def extend(self, values: ArrayLike) -> None:
        new: NDArray[Any] = np.asarray(values).ravel()
        kind = self._room.dtype
        if kind.kind == "S" and new.dtype.itemsize > kind.itemsize:
            kind = new.dtype
        length = self._length + len(new)
        if length > len(self._room) or kind != self._room.dtype:
            room = np.empty(max(length, 2 * len(self._room)), kind)
            room[: self._length] = self.values
            self._room = room
        self._room[self._length : length] = new
        self._length = length
