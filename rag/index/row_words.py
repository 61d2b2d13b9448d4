"""What a reader is shown of each row, as numbers: where a question's words stand in a row is found
without its text."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rag.errors import Corrupt
from rag.index.column import Column
from rag.wording import Places

Numbers = NDArray[np.uint64]
_KIND = np.dtype("<u8")
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
    """The rows of a snapshot, read from its file when they are asked for, and those added since.
    Not safe beside a change."""

    def __init__(self, file: int | None = None, ends: NDArray[np.int64] | None = None) -> None:
        """`ends[i]` is where row i ends in the file of this descriptor, in words. It is closed with
        this object."""
        self._file = file
        self._ends: Column[np.int64] = Column(np.int64, ends)
        self._base = 0 if ends is None or not len(ends) else int(ends[-1])
        self._tail: Column[np.uint64] = Column(np.uint64)
        if file is not None:
            weakref.finalize(self, os.close, file)

    def extend(self, rows: Sequence[Numbers]) -> None:
        if rows:
            start = self._base + len(self._tail)
            self._tail.extend(np.concatenate(rows))
            self._ends.extend(start + np.cumsum([len(row) for row in rows]))

    def places(self, asked: Sequence[str], positions: Sequence[int]) -> list[Places]:
        """Where in each of these rows the tokens `asked`, each given once, stand. Raises
        Corrupt."""
        if not positions:
            return []
        each = np.array(positions, np.int64)
        ends = self._ends.values[each]
        starts = np.where(each > 0, self._ends.values[each - 1], 0)
        read = [self._read(*span) for span in zip(starts.tolist(), ends.tolist(), strict=True)]
        every = np.frombuffer(b"".join(read), _KIND)
        found, which = np.nonzero(every[:, None] == numbered(asked))
        firsts = np.cumsum(ends - starts) - (ends - starts)
        # An empty row begins where the next one does; the last of those has the words.
        row_of = np.searchsorted(firsts, found, "right") - 1
        edges = np.searchsorted(row_of, np.arange(len(read) + 1)).tolist()
        at = (found - firsts[row_of]).tolist()
        stand = [(here, asked[term]) for here, term in zip(at, which.tolist(), strict=True)]
        return [stand[low:high] for low, high in pairwise(edges)]

    def _read(self, start: int, end: int) -> bytes:
        if end > self._base:
            return self._tail.values[start - self._base : end - self._base].tobytes()
        if self._file is None or start == end:
            return b""
        wanted = _KIND.itemsize * (end - start)
        try:
            data = os.pread(self._file, wanted, _KIND.itemsize * start)
        except OSError as exc:
            raise Corrupt(f"the words of the snapshot cannot be read: {exc}") from exc
        if len(data) != wanted:
            raise Corrupt("the words of the snapshot end too early")
        return data


def opened(path: Path, ends: NDArray[np.int64]) -> RowWords:
    """The file of a snapshot. It is not mapped: the few bytes of each row that a question needs are
    copied, and nothing stays in the process. Raises Corrupt."""
    words = int(ends[-1]) if len(ends) else 0
    try:
        if path.stat().st_size != words * _KIND.itemsize:
            raise Corrupt(f"{path} does not hold {words} words")
        return RowWords(os.open(path, os.O_RDONLY), ends)
    except OSError as exc:
        raise Corrupt(f"{path} cannot be read: {exc}") from exc
