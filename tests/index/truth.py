"""The truth as searchers read it, in a list: a fake that keeps generations of one collection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from rag.domain import Collection, Filter, MetadataValue
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
    chunk: str = ""  # "": one of its own
    shown: str | None = None  # None: what is indexed


class Truth:
    """Call it for a unit of work that knows what searchers read only."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.generation = 0
        self.reads: list[int] = []
        self.collection = ""  # its name in an engine that holds many
        self.marks: dict[int, str] = {}
        self.settled_at = 0
        self._lock = threading.Lock()  # a commit is seen wholly or not at all
        self._feeder = threading.Lock()

    @property
    def store(self) -> Store:
        return cast(Store, self._work)

    def commit(self, born: Sequence[New] = (), ended: Sequence[int] = ()) -> int:
        """One generation: rows (by position) end, new ones begin."""
        with self._lock:
            self.generation += 1
            self.marks[self.generation] = uuid4().hex
            for position in ended:
                self.rows[position] = replace(self.rows[position], died=self.generation)
            for new in born:
                self.rows.append(_row(new, len(self.rows), self.generation))
            return self.generation

    def since(self, collection: str, generation: int, limit: int | None = None) -> Delta:
        with self._lock:
            self.reads.append(generation)
            later = [row.born for row in self.rows if row.born > generation]
            until = self.generation
            if limit is not None and len(later) > limit:
                until = max(generation + 1, later[limit] - 1)
            ended = [
                (row.row, row.died)
                for row in self.rows
                if row.born <= generation
                and row.died is not None
                and generation < row.died <= until
            ]
            born = [_as_of(row, until) for row in self.rows if generation < row.born <= until]
            return Delta(generation, until, born, ended)

    def mark(self, collection: str, generation: int) -> str:
        return self.marks.get(generation, "")

    def get(self, collection: str) -> Collection:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        return Collection(collection, "c", {}, "", self.generation, {}, now)

    def restore(self, backup: Truth) -> None:
        """Put it back to what `backup` (a `copy`) was."""
        with self._lock:
            self.rows, self.generation = list(backup.rows), backup.generation
            self.marks = dict(backup.marks)

    def copy(self) -> Truth:
        backup = Truth()
        backup.restore(self)
        return backup

    def alone(self, name: str, seconds: float) -> AbstractContextManager[Callable[[], None]]:
        return self._alone(name, seconds)

    @contextmanager
    def _alone(self, name: str, seconds: float) -> Iterator[Callable[[], None]]:
        if not self._feeder.acquire(timeout=seconds):
            raise TimeoutError(name)
        try:
            yield lambda: None
        finally:
            self._feeder.release()

    def news(self, collection: str, generation: int) -> News:
        with self._lock:
            born = sum(row.born > generation for row in self.rows)
            ended = sum(row.died is not None and row.died > generation for row in self.rows)
            return News(self.generation, born, ended, self.marks.get(generation, ""))

    def stretch(self, collection: str, after: int, generation: int, limit: int) -> list[Row]:
        with self._lock:
            found = [row for row in self.rows if row.row > after and row.born <= generation]
        alive = [
            replace(row, died=None) if row.died is not None and row.died > generation else row
            for row in found
        ]
        return alive[:limit]

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
        self.collections = truth

    def __enter__(self) -> _Work:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def _row(new: New, at: int, generation: int) -> Row:
    above = new.headings and f"{new.headings}\n"
    return Row(
        row=3 * at + 1,
        chunk=new.chunk or f"c{at}",
        document=new.document,
        born=generation,
        died=None,
        readers=new.readers,
        metadata=dict(new.metadata),
        text=above + new.text,
        own=len(above),
        shown=above + new.text if new.shown is None else new.shown,
        vector=unit(new.vector),
    )


def _as_of(row: Row, generation: int) -> Row:
    later = row.died is not None and row.died > generation
    return replace(row, died=None) if later else row


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
