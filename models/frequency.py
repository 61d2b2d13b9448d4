"""How often things were asked for lately, in constant memory: the sketch of TinyLFU (Einziger,
Friedman and Manes, arXiv 1512.00727), of which we know no well-kept library.
"""

from __future__ import annotations

import hashlib
import struct

import numpy as np

_ROWS = 4
_FEW = 64  # things held; with fewer, counts are kept as if it were these
_MOST = 15  # what a counter may reach: who was asked for more often is not more welcome
_WINDOW = 10  # requests for each thing held, after which every count is halved


class FrequencySketch:
    """Count-min with conservative update: an estimate is never below the true count (up to 15 and
    since the last halving), and above it only for keys that collide in every row. `width` counters
    in each of four rows, one byte each."""

    def __init__(self, width: int = 1 << 15) -> None:
        self._width = width
        self._counters = bytearray(_ROWS * width)
        self._counted = 0

    def count(self, key: str, held: int) -> None:
        """One more request for `key`, in a store that holds `held` things."""
        places = self._places(key)
        least = min(self._counters[place] for place in places)
        if least < _MOST:
            for place in places:
                self._counters[place] = max(self._counters[place], least + 1)
        self._counted += 1
        if self._counted >= _WINDOW * max(held, _FEW):
            self._age()

    def estimate(self, key: str) -> int:
        return min(self._counters[place] for place in self._places(key))

    def _age(self) -> None:
        counters = np.frombuffer(self._counters, dtype=np.uint8)
        counters >>= 1
        self._counted //= 2

    def _places(self, key: str) -> list[int]:
        digest = hashlib.blake2b(key.encode(), digest_size=8 * _ROWS).digest()
        drawn = struct.unpack(f"<{_ROWS}Q", digest)
        return [row * self._width + each % self._width for row, each in enumerate(drawn)]
