"""The truth as searchers read it, in a list: a fake of `chunks.since` that keeps generations."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rag.domain import Filter, MetadataValue
from rag.ports import Delta, News, Row, Store

DIMENSION = 4


@dataclass(frozen=True)
class New:
    """A row about to be committed."""

    text: str
    vector: tuple[float, ...] = (1, 0, 0, 0)
    document: str = "d"
    readers: frozenset[str] | None = None
    metadata: tuple[tuple[str, MetadataValue], ...] = ()
    headings: str = ""


class Truth:
    """Call it for a unit of work that knows only what searchers ask of `chunks`."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.generation = 0
        self.reads: list[int] = []
        self.history = "first"
        self.settled_at = 0
        self._lock = threading.Lock()  # a commit is seen wholly or not at all

    @property
    def store(self) -> Store:
        return cast(Store, self._work)

    def commit(self, born: Sequence[New] = (), ended: Sequence[int] = ()) -> int:
        """One generation: rows (by position) end, new ones begin."""
        with self._lock:
            self.generation += 1
            for position in ended:
                self.rows[position] = replace(self.rows[position], died=self.generation)
            for new in born:
                self.rows.append(_row(new, len(self.rows), self.generation))
            return self.generation

    def since(self, collection: str, generation: int) -> Delta:
        self.reads.append(generation)
        return self._between(generation)

    def _between(self, generation: int) -> Delta:
        with self._lock:
            ended = [
                (row.row, row.died)
                for row in self.rows
                if row.born <= generation and row.died is not None and row.died > generation
            ]
            born = [row for row in self.rows if row.born > generation]
            return Delta(generation, self.generation, born, ended)

    def news(self, collection: str, generation: int) -> News:
        delta = self._between(generation)
        return News(delta.generation, len(delta.born), len(delta.died))

    def stretch(self, collection: str, after: int, generation: int, limit: int) -> list[Row]:
        with self._lock:
            found = [row for row in self.rows if row.row > after and row.born <= generation]
        alive = [
            replace(row, died=None) if row.died is not None and row.died > generation else row
            for row in found
        ]
        return alive[:limit]

    def mark(self, collection: str, generation: int) -> str:
        live = [row.row for row in self.stretch(collection, -1, generation, len(self.rows))]
        return f"{self.history} {generation} {live}"

    def settled(self, collection: str, before: datetime) -> int:
        return self.settled_at

    def permitted(self, filter: Filter) -> list[int]:
        """Positions by the plain reading of what a filter means."""
        return [at for at, row in enumerate(self.rows) if permits(filter, row)]

    def _work(self) -> Any:
        return _Work(self)


class _Work:
    def __init__(self, truth: Truth) -> None:
        self.chunks = truth

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def _row(new: New, at: int, generation: int) -> Row:
    above = new.headings and f"{new.headings}\n"
    return Row(
        row=3 * at + 1,
        chunk=f"c{at}",
        document=new.document,
        born=generation,
        died=None,
        readers=new.readers,
        metadata=dict(new.metadata),
        text=above + new.text,
        own=len(above),
        vector=unit(new.vector),
    )


def permits(filter: Filter, row: Row) -> bool:
    live = row.born <= filter.generation and (row.died is None or filter.generation < row.died)
    readable = bool(filter.groups) and (row.readers is None or bool(row.readers & filter.groups))
    named = filter.documents is None or row.document in filter.documents
    return live and readable and named and _meets(filter, row.metadata)


def _meets(filter: Filter, metadata: Mapping[str, MetadataValue]) -> bool:
    return all(c.key in metadata and metadata[c.key] in c.values for c in filter.conditions)


def unit(vector: Sequence[float]) -> NDArray[np.float32]:
    array = np.asarray(vector, np.float32)
    return array / np.float32(np.linalg.norm(array))
