"""What the filters ask about each row, held as columns, and the mask of a filter."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.domain import Condition, Filter
from rag.errors import Corrupt
from rag.index.column import Column
from rag.index.mask import Mask
from rag.ports import Row

_LIVE = np.iinfo(np.int64).max  # `died` of a row that has not
_MASKS = 64  # filters whose masks are kept until the next change


V = TypeVar("V", bound=Hashable)


class Coded(Generic[V]):
    """A column of few distinct values: each row holds its value's number in `values`."""

    def __init__(self) -> None:
        self.codes: Column[np.int32] = Column(np.int32)
        self.values: dict[V, int] = {}

    def extend(self, values: Sequence[V]) -> None:
        self.codes.extend([self.values.setdefault(v, len(self.values)) for v in values])

    def among(self, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The rows whose code is wanted; `wanted` has one entry a distinct value."""
        return wanted[self.codes.values]


class RowTable:
    """One position a row, in the order of row ids. Positions never change: an ended row stays, and
    masks leave it out. Not safe beside a change; `EmbeddedIndex` sees to that."""

    def __init__(self) -> None:
        self.chunks: list[str] = []
        self._ids: Column[np.int64] = Column(np.int64)
        self._born: Column[np.int64] = Column(np.int64)
        self._died: Column[np.int64] = Column(np.int64)
        self._documents: Coded[str] = Coded()
        self._readers: Coded[frozenset[str] | None] = Coded()
        self._metadata: dict[str, Coded[Hashable]] = {}
        self._masks: dict[Filter, Mask] = {}

    def __len__(self) -> int:
        return len(self.chunks)

    def check(self, born: Sequence[Row]) -> None:
        """Raises Corrupt unless `born` continues this table in ascending row ids."""
        ids = [int(self._ids.values[-1]) if len(self) else -1, *(row.row for row in born)]
        for previous, row in pairwise(ids):
            if row <= previous:
                raise Corrupt(f"row {row} came after row {previous}; run `attest doctor`")

    def extend(self, born: Sequence[Row]) -> None:
        """Append rows that `check` has passed."""
        self._masks.clear()
        self._documents.extend([row.document for row in born])
        self._readers.extend([row.readers for row in born])
        self._ids.extend([row.row for row in born])
        self._born.extend([row.born for row in born])
        self._died.extend([_LIVE if row.died is None else row.died for row in born])
        for key in {key for row in born for key in row.metadata} - self._metadata.keys():
            column = self._metadata[key] = Coded()
            column.extend([_Missing] * len(self))
        for key, column in self._metadata.items():
            column.extend([row.metadata.get(key, _Missing) for row in born])
        self.chunks.extend(row.chunk for row in born)

    def end(self, died: Sequence[tuple[int, int]]) -> None:
        """Set when rows, by id, ended. Raises Corrupt for a row that is not here."""
        self._masks.clear()
        for row, generation in died:
            position = int(np.searchsorted(self._ids.values, row))
            if position == len(self) or self._ids.values[position] != row:
                raise Corrupt(f"row {row} ended but never began; run `attest doctor`")
            self._died.values[position] = generation

    def mask(self, filter: Filter) -> Mask:
        """The rows live at the filter's generation, readable by one of its groups, and meeting its
        documents and conditions; kept until the next change."""
        mask = self._masks.get(filter)
        if mask is None:
            mask = Mask(self._allowed(filter))
            if len(self._masks) >= _MASKS:
                self._masks.clear()
            self._masks[filter] = mask
        return mask

    def _allowed(self, filter: Filter) -> NDArray[np.bool_]:
        if not filter.groups:
            return np.zeros(len(self), bool)
        at = filter.generation
        allowed: NDArray[np.bool_] = (self._born.values <= at) & (at < self._died.values)
        readable = [r is None or not filter.groups.isdisjoint(r) for r in self._readers.values]
        allowed &= self._readers.among(np.array(readable, bool))
        if filter.documents is not None:
            named = [document in filter.documents for document in self._documents.values]
            allowed &= self._documents.among(np.array(named, bool))
        for condition in filter.conditions:
            allowed &= self._meeting(condition)
        return allowed

    def _meeting(self, condition: Condition) -> NDArray[np.bool_]:
        column = self._metadata.get(condition.key)
        if column is None:
            return np.zeros(len(self), bool)
        return column.among(np.array([v in condition.values for v in column.values], bool))


class _Missing:
    """Stands where a row has no value for a key; equal to no metadata value."""
