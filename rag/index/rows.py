"""What the filters ask about each row, held as columns, and the mask of a filter."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.domain import Condition, Filter
from rag.errors import Corrupt
from rag.index.column import Column
from rag.index.labels import filter_labels
from rag.index.mask import Mask
from rag.ports import Row

LIVE = np.iinfo(np.int64).max  # `died` of a row that has not
_MASKS = 64  # filters whose masks are kept until the next change, at most,
_MASKED = 2**25  # and of how many rows


V = TypeVar("V", bound=Hashable)


class Coded(Generic[V]):
    """A column of few distinct values: each row holds its value's number in `values`."""

    def __init__(self, codes: NDArray[np.int32] | None = None, values: Iterable[V] = ()) -> None:
        self.codes: Column[np.int32] = Column(np.int32, codes)
        self.values: dict[V, int] = {value: code for code, value in enumerate(values)}

    def extend(self, values: Sequence[V]) -> None:
        self.codes.extend([self.values.setdefault(v, len(self.values)) for v in values])

    def among(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The rows whose code is wanted; `wanted` has one entry a distinct value."""
        return wanted[self.codes.values]


class RowTable:
    """One position a row, in the order of row ids. Positions never change: an ended row stays, and
    masks leave it out. Not safe beside a change; `EmbeddedIndex` sees to that."""

    def __init__(self) -> None:
        self.chunks: Column[np.bytes_] = Column("S32")
        self.ids: Column[np.int64] = Column(np.int64)
        self.born: Column[np.int64] = Column(np.int64)
        self.died: Column[np.int64] = Column(np.int64)
        self.documents: Coded[str] = Coded()
        self.readers: Coded[frozenset[str] | None] = Coded()
        self.metadata: dict[str, Coded[Hashable]] = {}
        self._masks: dict[Filter, Mask] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def chunks_at(self, positions: NDArray[np.int64]) -> list[str]:
        """The ids of the chunks that these rows index."""
        found: list[bytes] = self.chunks.values[positions].tolist()
        return [chunk.decode() for chunk in found]

    @property
    def ended(self) -> int:
        """How many rows have died."""
        return int(np.count_nonzero(self.died.values != LIVE))

    def live(self, generation: int) -> NDArray[np.int64]:
        """The ids of the rows live at it, ascending."""
        kept = (self.born.values <= generation) & (generation < self.died.values)
        return self.ids.values[kept]

    def check(self, born: Sequence[Row]) -> None:
        """Raises Corrupt unless `born` continues this table in ascending row ids."""
        ids = [int(self.ids.values[-1]) if len(self) else -1, *(row.row for row in born)]
        for previous, row in pairwise(ids):
            if row <= previous:
                raise Corrupt(f"row {row} came after row {previous}; run `attest doctor`")

    def extend(self, born: Sequence[Row]) -> None:
        """Append rows that `check` has passed."""
        self._masks.clear()
        before = len(self)
        self.documents.extend([row.document for row in born])
        self.readers.extend([row.readers for row in born])
        self.born.extend(np.array([row.born for row in born], np.int64))
        died = [LIVE if row.died is None else row.died for row in born]
        self.died.extend(np.array(died, np.int64))
        for key in {key for row in born for key in row.metadata} - self.metadata.keys():
            self.metadata[key] = Coded(np.zeros(before, np.int32), [Missing])
        for key, column in self.metadata.items():
            column.extend([row.metadata.get(key, Missing) for row in born])
        self.chunks.extend(np.array([row.chunk.encode() for row in born], np.bytes_))
        self.ids.extend(np.array([row.row for row in born], np.int64))

    def end(self, died: Sequence[tuple[int, int]]) -> None:
        """Set when rows, by id, ended. Raises Corrupt for a row that is not here."""
        self._masks.clear()
        for row, generation in died:
            position = int(np.searchsorted(self.ids.values, row))
            if position == len(self) or self.ids.values[position] != row:
                raise Corrupt(f"row {row} ended but never began; run `attest doctor`")
            self.died.values[position] = generation

    def mask(self, filter: Filter) -> Mask:
        """The rows live at the filter's generation, readable by one of its groups, and meeting its
        documents and conditions; kept until the next change."""
        mask = self._masks.get(filter)
        if mask is None:
            mask = self._masked(filter)
            if len(self._masks) >= min(_MASKS, 1 + _MASKED // (len(self) + 1)):
                self._masks.clear()
            self._masks[filter] = mask
        return mask

    def _masked(self, filter: Filter) -> Mask:
        if not filter.groups:
            return Mask(np.zeros(len(self), bool))
        readable = [r is None or not filter.groups.isdisjoint(r) for r in self.readers.values]
        allowed = self.readers.among(np.array(readable, bool))
        if filter.documents is not None:
            named = np.zeros(len(self.documents.values), bool)
            known = self.documents.values
            named[[known[each] for each in filter.documents if each in known]] = True
            allowed &= self.documents.among(named)
        for condition in filter.conditions:
            allowed &= self._meeting(condition)
        within, at = int(np.count_nonzero(allowed)), filter.generation
        allowed &= (self.born.values <= at) & (at < self.died.values)
        return Mask(allowed, filter_labels(filter), within)

    def _meeting(self, condition: Condition) -> NDArray[np.bool_]:
        column = self.metadata.get(condition.key)
        if column is None:
            return np.zeros(len(self), bool)
        return column.among(np.array([v in condition.values for v in column.values], bool))


class Missing:
    """Stands where a row has no value for a key; equal to no metadata value."""
