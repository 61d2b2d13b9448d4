"""Both legs over one collection in this process's memory, caught up by generation."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.analyse import analyse
from rag.domain import Filter, Hit, Leg
from rag.index.dense import DenseLeg
from rag.index.lexical import Lexical
from rag.index.lock import ReadWriteLock
from rag.index.ranked import Ranked
from rag.index.reference import RankBm25Lexical
from rag.index.rows import RowTable
from rag.index.tantivy_lexical import TantivyLexical
from rag.index.terms import terms
from rag.ports import Delta, Store

LexicalName = Literal["tantivy", "rank_bm25"]
LEXICALS: dict[str, Callable[[], Lexical]] = {
    "tantivy": TantivyLexical,
    "rank_bm25": RankBm25Lexical,
}


class EmbeddedIndex:
    """A `SearchIndex`. It holds nothing that the store does not: `forget` it at any time, and the
    next question finds it built again with the same hits and scores. Safe to share by threads."""

    def __init__(
        self,
        store: Store,
        collection_id: str,
        dimension: int,
        lexical: LexicalName = "tantivy",
    ) -> None:
        self._store = store
        self._collection = collection_id
        self._dimension = dimension
        self._lexical_name = lexical
        self._applying = threading.Lock()  # one applier
        self._lock = ReadWriteLock()  # no reader sees half a change
        self._held = self._empty()

    def _empty(self) -> _Held:
        return _Held(DenseLeg(self._dimension), LEXICALS[self._lexical_name]())

    @property
    def generation(self) -> int:
        """The newest generation applied."""
        return self._held.generation

    def catch_up(self) -> int:
        """Apply what was committed since the last call; return the newest generation. Raises
        Corrupt and IndexUnavailable, after which the next call builds everything anew."""
        with self._applying:
            with self._store() as work:
                held = self._held
                if held.mark != work.chunks.mark(self._collection, held.generation):
                    self._replace()  # the store was put back to a backup
                delta = work.chunks.since(self._collection, self._held.generation)
                mark = work.chunks.mark(self._collection, delta.generation)
            try:
                self._apply(delta, mark)
            except BaseException:
                self._replace()
                raise
            return self._held.generation

    def forget(self) -> None:
        """Drop everything that is held; the next `catch_up` builds it again from the store. This
        is how rows that were purged from the store leave the memory."""
        with self._applying:
            self._replace()

    def lexical(self, query: str, filter: Filter, k: int) -> list[Hit]:
        """BM25 hits; none when the query has no token but stop words."""
        tokens = analyse(query)
        return self._search(
            filter, Leg.LEXICAL, lambda held: held.lexical.search(tokens, held.rows.mask(filter), k)
        )

    def dense(self, vector: NDArray[np.float32], filter: Filter, k: int) -> list[Hit]:
        """Cosine hits. Raises ModelError for a vector of another dimension or length than 1."""
        return self._search(
            filter, Leg.DENSE, lambda held: held.dense.search(vector, held.rows.mask(filter), k)
        )

    def _search(self, filter: Filter, leg: Leg, search: Callable[[_Held], Ranked]) -> list[Hit]:
        newest: int | None = None
        while True:
            with self._lock.read():
                held = self._held
                if held.generation >= filter.generation or held.generation == newest:
                    return _hits(held, search(held), leg)
            newest = self.catch_up()  # again, should another thread forget in between

    def _apply(self, delta: Delta, mark: str) -> None:
        held = self._held
        if delta.generation == held.generation:
            return
        held.rows.check(delta.born)
        vectors = held.dense.matrix(delta.born)
        if delta.born:
            held.lexical.add([terms(row) for row in delta.born])
        with self._lock.write():  # short: all that is slow is done above
            held.rows.extend(delta.born)
            held.rows.end(delta.died)
            held.dense.extend(vectors)
            held.lexical.show()
            held.generation, held.mark = delta.generation, mark

    def _replace(self) -> None:
        fresh = self._empty()
        with self._lock.write():
            self._held = fresh


def _hits(held: _Held, ranked: Ranked, leg: Leg) -> list[Hit]:
    found = zip(ranked.positions.tolist(), ranked.scores.tolist(), strict=True)
    return [
        Hit(held.rows.chunks[position], score, rank, leg)
        for rank, (position, score) in enumerate(found, start=1)
    ]


class _Held:
    """What is in memory at one generation; position i is the same row in all three."""

    def __init__(self, dense: DenseLeg, lexical: Lexical) -> None:
        self.rows = RowTable()
        self.dense = dense
        self.lexical = lexical
        self.generation, self.mark = 0, ""
