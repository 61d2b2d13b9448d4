"""The rows one filter permits, in the shapes that the legs need."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray


class Mask:
    """`allowed` is a read-only boolean array over row positions, shape (rows,). Compared by
    identity, so that a leg can keep what it derived from a mask for as long as the mask lives."""

    def __init__(self, allowed: NDArray[np.bool_]) -> None:
        self.allowed = allowed
        self.allowed.flags.writeable = False
        self.count = int(np.count_nonzero(allowed))

    @cached_property
    def positions(self) -> NDArray[np.int64]:
        """The permitted positions, ascending."""
        return np.flatnonzero(self.allowed)

    @cached_property
    def bits(self) -> NDArray[np.uint8]:
        """One bit a row, the lowest bit of a byte first."""
        return np.packbits(self.allowed, bitorder="little")

    def behind(self, start: int) -> NDArray[np.int64]:
        """The permitted positions from `start` on, ascending."""
        return np.flatnonzero(self.allowed[start:]) + start
