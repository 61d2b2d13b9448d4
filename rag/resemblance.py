"""How much of two texts is the same, estimated from small signatures of them: MinHash (Broder, On
the resemblance and containment of documents, 1997) over the shingles of `rag.alike`.

numpy alone: `datasketch` does the same with one Python call a shingle and imports scipy first.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rag.alike import Likeness

HASHES = 126
BANDS, ROWS = 21, 6  # two texts that share .8 of their shingles share a band at .998, .4 at .08
NEAR = 0.8  # share of shingles from which two texts are said to be nearly the same
_LEAST = 8  # shingles below which likeness says nothing
_WINDOW = 100_000  # characters shingled at a time
_BATCH = 4096
_RANDOM = np.random.default_rng(19970611)
_FACTORS = _RANDOM.integers(0, 2**63, HASHES, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**63, HASHES, dtype=np.uint64)


def signature(text: str) -> bytes:
    """HASHES numbers of 4 bytes, little-endian; b"" for a text too short to be compared."""
    lowest = np.full(HASHES, 2**32 - 1, dtype=np.uint32)
    count = 0
    for window in _windows(text):
        hashes = {zlib.crc32(" ".join(words).encode()) for words in Likeness.of(window).shingles}
        count += len(hashes)
        keys = np.fromiter(hashes, dtype=np.uint64, count=len(hashes))
        for at in range(0, len(keys), _BATCH):
            batch = keys[at : at + _BATCH, None]
            # Multiply, add, shift (Dietzfelbinger et al., 1997), modulo 2**64 by overflow.
            mixed = ((batch * _FACTORS + _OFFSETS) >> np.uint64(32)).astype(np.uint32)
            lowest = np.minimum(lowest, mixed.min(axis=0))
    return lowest.astype("<u4").tobytes() if count >= _LEAST else b""


def bands(signed: bytes) -> list[int]:
    """What two texts are looked up by: BANDS numbers below 2**63, one of which is likely to be the
    same for texts that are nearly the same. Empty for an empty signature."""
    if not signed:
        return []
    width = 4 * ROWS
    return [
        zlib.crc32(signed[at : at + width]) << 16 | number
        for number, at in enumerate(range(0, BANDS * width, width))
    ]


def share(one: bytes, other: bytes) -> float:
    """The estimated share of all shingles that both texts have; 0 where one is too short."""
    if not one or not other:
        return 0.0
    return float(np.mean(_numbers(one) == _numbers(other)))


def _numbers(signed: bytes) -> NDArray[np.uint32]:
    return np.frombuffer(signed, dtype="<u4")


def _windows(text: str) -> Iterator[str]:
    """The text in pieces that end at blanks; the shingles across two pieces are not counted."""
    start = 0
    while start < len(text):
        end = min(start + _WINDOW, len(text))
        if end < len(text) and (blank := max(text.rfind(c, start, end) for c in " \n")) > start:
            end = blank
        yield text[start:end]
        start = end
