"""What a reader is shown of each row, as numbers: where a question's words stand in a row is found
without its text."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import Corrupt
from rag.index.column import Column
from rag.wording import Places

Numbers = NDArray[np.uint64]
_REMEMBERED = 1 << 16  # tokens, about 10 MB


class Numbering(dict[str, int]):
    """The numbers of tokens, each found out when it is first asked for: 64 bits, so that of a
    million different tokens two are alike with a chance of 3 in 10^8."""

    def __missing__(self, token: str) -> int:
        digest = hashlib.blake2b(token.encode(), digest_size=8).digest()
        if len(self) >= _REMEMBERED:
            self.clear()
        self[token] = made = int.from_bytes(digest, "little")
        return made


_numbers = Numbering()


def numbered(tokens: Collection[str]) -> Numbers:
    return np.fromiter(map(_numbers.__getitem__, tokens), np.uint64, len(tokens))


class RowWords:
    """The rows of a snapshot, read where they lie, and those added since. Not safe beside a
    change."""

    def __init__(self, base: Numbers | None = None, ends: NDArray[np.int64] | None = None) -> None:
        """`ends[i]` is where row i ends in `base`."""
        self._base = np.empty(0, np.uint64) if base is None else base
        self._ends: Column[np.int64] = Column(np.int64, ends)
        self._tail: Column[np.uint64] = Column(np.uint64)

    def extend(self, rows: Sequence[Numbers]) -> None:
        if rows:
            start = len(self._base) + len(self._tail)
            self._tail.extend(np.concatenate(rows))
            self._ends.extend(start + np.cumsum([len(row) for row in rows]))

    def places(self, asked: Sequence[str], positions: Sequence[int]) -> list[Places]:
        """Where in each of these rows the tokens `asked`, each given once, stand."""
        rows = self._at(positions)
        every = np.concatenate(rows) if rows else np.empty(0, np.uint64)
        found, which = np.nonzero(every[:, None] == numbered(asked))
        lengths = np.array([len(row) for row in rows], np.int64)
        starts = np.cumsum(lengths) - lengths
        # An empty row starts where the next one does; the last of those has the words.
        row_of = np.searchsorted(starts, found, "right") - 1
        edges = np.searchsorted(row_of, np.arange(len(rows) + 1)).tolist()
        at = (found - starts[row_of]).tolist() if len(found) else []
        stand = [(here, asked[term]) for here, term in zip(at, which.tolist(), strict=True)]
        return [stand[low:high] for low, high in pairwise(edges)]

    def _at(self, positions: Sequence[int]) -> list[Numbers]:
        each = np.array(positions, np.int64)
        ends, base, tail = self._ends.values, len(self._base), self._tail.values
        starts = np.where(each > 0, ends[each - 1], 0).tolist() if len(each) else []
        return [
            self._base[start:end] if end <= base else tail[start - base : end - base]
            for start, end in zip(starts, ends[each].tolist(), strict=True)
        ]


def mapped(path: Path, ends: NDArray[np.int64]) -> RowWords:
    """The file of a snapshot: of it only the pages that questions look into are in memory, and
    none around them. Raises Corrupt."""
    words = int(ends[-1]) if len(ends) else 0
    try:
        if path.stat().st_size != words * np.dtype(np.uint64).itemsize:
            raise Corrupt(f"{path} does not hold {words} words")
        if not words:
            return RowWords(None, ends)
        with path.open("rb") as file:
            held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as exc:
        raise Corrupt(f"{path} cannot be read: {exc}") from exc
    if hasattr(held, "madvise"):
        held.madvise(mmap.MADV_RANDOM)
    return RowWords(np.frombuffer(held, "<u8"), ends)
