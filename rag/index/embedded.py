"""Both legs over one collection in this process, caught up by generation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rag.analyse import analyse
from rag.domain import Filter, Hit, Leg
from rag.errors import AttestError, IndexUnavailable, UnknownCollection, UnknownGeneration
from rag.index.building import pages
from rag.index.dense import DenseLeg
from rag.index.held import Held, opened
from rag.index.lexical import Lexical
from rag.index.lock import ReadWriteLock
from rag.index.ranked import Ranked
from rag.index.reference import RankBm25Lexical
from rag.index.row_words import RowWords
from rag.index.rows import RowTable
from rag.index.sizes import SIZES, Sizes
from rag.index.snapshot import Snapshot
from rag.index.standing import Standing
from rag.index.tantivy_lexical import TantivyLexical
from rag.index.upkeep import Make, Upkeep
from rag.ports import Chunks, Store
from rag.wording import Places

log = logging.getLogger(__name__)

LexicalName = Literal["tantivy", "rank_bm25"]
LEXICALS: dict[str, Callable[[], Lexical]] = {
    "tantivy": TantivyLexical,
    "rank_bm25": RankBm25Lexical,
}
_PATIENCE = 0.01  # seconds after which no question waits for many new rows any more


class EmbeddedIndex:
    """A `SearchIndex` over one embedding, whose id `collection_id` is (a collection's first has the
    collection's own). It holds nothing that the store does not: `forget` it at any time, and the
    next question finds it built again with the same hits and scores. Safe to share by threads.

    With a `folder` a large collection is kept there too, in snapshots that processes share (tantivy
    only; the reference is for a few thousand rows). `make` makes one, in this process by default.
    """

    def __init__(
        self,
        store: Store,
        collection_id: str,
        dimension: int,
        lexical: LexicalName = "tantivy",
        folder: Path | None = None,
        make: Make | None = None,
        sizes: Sizes = SIZES,
    ) -> None:
        self._store = store
        self._collection = collection_id
        self._dimension = dimension
        self._lexical_name = lexical
        self._sizes = sizes
        self._applying = threading.Lock()  # one applier
        self._lock = ReadWriteLock()  # no reader sees half a change
        self._later = threading.Lock()
        self._thread: threading.Thread | None = None  # applies many new rows
        self._begun = 0.0
        self._upkeep: Upkeep | None = None
        if folder is not None and lexical == "tantivy":
            own = (store, collection_id, folder, dimension, sizes)
            self._upkeep = Upkeep(*own, self._adopt, self.compact, make)
        self._held = self._empty()

    def _empty(self) -> Held:
        dense = DenseLeg(self._dimension, sizes=self._sizes)
        return Held(RowTable(), dense, LEXICALS[self._lexical_name](), RowWords())

    @property
    def generation(self) -> int:
        """The newest generation applied."""
        return self._held.generation

    def catch_up(self) -> int:
        """Apply what was committed since the last call; return the newest generation applied. Many
        new rows, and nothing ended, are applied in the background: who asks in the first moment
        waits a little for them, and everybody else reads the generation before. Raises Corrupt and
        IndexUnavailable, after which the next call builds everything anew."""
        held = self._held
        at = held.generation
        with self._asking() as chunks:
            news = chunks.news(self._collection, at)
        same = held.mark == news.mark
        many = news.generation > at > 0 and not news.ended and news.born > self._sizes.at_once
        if same and many:
            thread, begun = self._apply_later()
            thread.join(max(0.0, begun + _PATIENCE - time.monotonic()))
            at = max(at, self._held.generation) if self._held is held else at
        elif not same or news.generation != at:
            at = self._catch_up_now()
        if self._upkeep is not None:
            self._upkeep.look(self._held)
        return at

    def forget(self) -> None:
        """Drop everything that is held, files too; the next `catch_up` builds it again from the
        store. This is how rows that were purged from the store leave the memory."""
        with self._applying:
            if self._upkeep is not None:
                self._upkeep.forget()
            self._replace(self._empty())

    def compact(self) -> Standing:
        """Leave out every row that has ended, from the files as well, once a purge has taken the
        rows from the store; the background does so by itself. Questions go on beside it. Older
        generations cannot be searched afterwards."""
        generation = self._catch_up_now()
        if self._held.snapshot is None or self._upkeep is None:
            with self._applying:
                self._begin()
        else:
            self._upkeep.compact(generation)
            self._upkeep.sweep(self._held.working)
        return self.standing()

    def standing(self) -> Standing:
        with self._lock.read():
            return self._held.standing()

    def live(self, generation: int) -> NDArray[np.int64]:
        """The ids of the rows held that are live at a generation, ascending."""
        with self._lock.read():
            return self._held.rows.live(generation)

    def wait(self) -> None:
        """Until the background is done with what it does now."""
        if self._thread is not None:
            self._thread.join()
        if self._upkeep is not None:
            self._upkeep.wait()

    def close(self) -> None:
        """Of no use afterwards."""
        if self._upkeep is not None:
            self._upkeep.stop()
        self.wait()
        with self._applying:
            self._replace(self._empty())

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

    def places(self, asked: Sequence[str], chunks: Iterable[str]) -> Mapping[str, Places]:
        with self._lock.read():
            return self._held.places(asked, chunks)

    def _search(self, filter: Filter, leg: Leg, search: Callable[[Held], Ranked]) -> list[Hit]:
        """Raises UnknownGeneration for one whose rows are not all held any more."""
        newest: int | None = None
        while True:
            with self._lock.read():
                held = self._held
                if held.generation >= filter.generation or held.generation == newest:
                    if filter.generation < held.floor:
                        raise UnknownGeneration(
                            f"generation {filter.generation} was compacted away; the oldest that "
                            f"can be searched is {held.floor}"
                        )
                    return held.hits(search(held), leg)
            newest = self._catch_up_now()  # again, should another thread forget in between

    @contextmanager
    def _asking(self) -> Iterator[Chunks]:
        """What the truth says in one transaction."""
        try:
            with self._store() as work:
                yield work.chunks
        except UnknownCollection:
            if self._upkeep is not None:
                self._upkeep.remove()
            raise

    def _catch_up_now(self) -> int:
        with self._applying:
            held = self._held
            try:
                self._go_on()
            except BaseException as exc:
                self._replace(self._empty())
                if not isinstance(exc, IndexUnavailable) or not held.swept:
                    raise
                self._go_on()  # a purge took its files away; a newer snapshot is there
            return self._held.generation

    def _go_on(self) -> None:
        if not self._held.generation or not self._bring(self._held):
            self._begin()

    def _catch_up_quietly(self) -> None:
        try:
            self._catch_up_now()
        except AttestError as exc:  # the next question meets it as well
            log.warning("new rows of collection %s cannot be added: %s", self._collection, exc)

    def _apply_later(self) -> tuple[threading.Thread, float]:
        """Several generations that come meanwhile are applied by one thread; when it began."""
        with self._later:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(
                    target=self._catch_up_quietly, name="index catch-up", daemon=True
                )
                self._begun = time.monotonic()
                self._thread.start()
            return self._thread, self._begun

    def _begin(self) -> None:
        """From nothing: the newest snapshot, or every row, page by page."""
        with self._asking() as chunks:
            news = chunks.news(self._collection, 0)
            mark = chunks.mark(self._collection, news.generation)
        fresh = self._empty()
        snapshot = None if self._upkeep is None else self._upkeep.first(news.born)
        if snapshot is not None:
            fresh = opened(snapshot, self._sizes)
            self._bring(fresh)
        elif news.generation:
            for page in pages(self._store, self._collection, news.generation):
                fresh.show(fresh.prepare(page), (), news.generation, mark)
            fresh.generation, fresh.mark = news.generation, mark
        self._replace(fresh)

    def _bring(self, held: Held) -> bool:
        """To the newest generation; False when the store was put back to a backup since. Nobody
        else may bring the same."""
        with self._asking() as chunks:
            if held.mark != chunks.mark(self._collection, held.generation):
                return False
            delta = chunks.since(self._collection, held.generation)
            mark = chunks.mark(self._collection, delta.generation)
        if delta.generation != held.generation:
            prepared = held.prepare(delta.born)
            with self._lock.write():  # short: all that is slow is done above
                held.show(prepared, delta.died, delta.generation, mark)
        return True

    def _adopt(self, snapshot: Snapshot) -> None:
        """Put a newer snapshot in place of what is held, whole, with what came after it."""
        fresh = opened(snapshot, self._sizes)
        self._bring(fresh)
        with self._applying:
            self._bring(fresh)
            self._replace(fresh)

    def _replace(self, fresh: Held) -> None:
        with self._lock.write():
            old, self._held = self._held, fresh
        if old is not fresh:
            old.close()
