"""A search engine outside this process, fed from the truth by generation.

Many processes share one engine. One of them feeds a collection at a time; a question waits for it,
or fails saying so. Rows are shown by `born <= g < died`, and no question asks for a generation
newer than the engine has recorded, so what a killed feeder left half done is never seen.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from time import monotonic
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from rag.analyse import analyse
from rag.domain import Filter, Hit, Leg
from rag.errors import Corrupt, IndexUnavailable, ModelError
from rag.index.dense import wrong_vector
from rag.index.engine import NONE_HELD, BuildGone, Engine, Found, Held
from rag.ports import Row, Store
from rag.wording import Places

ROWS_AT_ONCE = 2_000  # in memory while feeding; a single generation may hold more
WAIT_SECONDS = 30.0  # for another feeder, before the question fails
_TRIES = 3  # at an engine that is wiped meanwhile


Alone = Callable[[str, float], AbstractContextManager[Callable[[], None]]]
"""`alone(name, seconds)`: be the only one inside a block of that name, over all processes on one
truth, after waiting at most so long (TimeoutError). What it gives raises StoreUnavailable when that
is no longer sure."""


class FedIndex:
    """A `SearchIndex` in an `Engine`, over one embedding, whose id `collection_id` is (the first of
    a collection has its own). Safe to share by threads."""

    def __init__(
        self,
        store: Store,
        collection_id: str,
        dimension: int,
        engine: Engine,
        alone: Alone,
        *,
        rows_at_once: int = ROWS_AT_ONCE,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._collection = collection_id
        self._dimension = dimension
        self._engine = engine
        self._alone = alone
        self._rows_at_once = rows_at_once
        self._wait_seconds = wait_seconds
        self._feeding = threading.Lock()  # of many threads one waits for the other processes
        self._held = NONE_HELD

    @property
    def generation(self) -> int:
        """The newest generation that this process has seen the engine hold."""
        return self._held.generation

    def live(self, generation: int) -> set[str]:
        """The chunks that the engine holds as live at a generation, whoever may read them."""
        build = self._held.build
        return set(self._engine.chunks(self._collection, build, generation)) if build else set()

    def catch_up(self) -> int:
        """Feed the engine what was committed since it was last fed, by whichever process; return
        the newest generation, which it then holds. Raises IndexUnavailable, also when another
        process has been feeding for too long, and Corrupt."""
        return self._caught_up().generation

    def forget(self) -> None:
        """Remove everything the engine holds of the collection; the next `catch_up` feeds it again
        from the store. This is how rows that were purged from the store leave the engine."""
        with self._one_feeder():
            self._engine.forget(self._collection)
            self._held = NONE_HELD

    def leave_out(self, documents: Collection[str], until: int) -> int:
        """Have the engine remove for good the rows of these documents, which are deleted, and all
        that died up to `until`; how many there were. Questions go on beside it. The rows may still
        be in the store: if they are fed again before they leave it, they stay until the next
        call. Raises IndexUnavailable, Corrupt."""
        with self._one_feeder() as still_alone:
            held = self._engine.held(self._collection)
            if not held.build:
                return 0
            held = self._feed(still_alone)  # what ends after it was removed would be missed
            still_alone()
            try:
                return self._engine.leave_out(self._collection, held.build, documents, until)
            except BuildGone:
                return 0  # wiped meanwhile, and fed again from what the store has then

    def rebuild(self, progress: Callable[[int], None]) -> int:
        """Remove everything and feed it again, before anybody else can; `progress` gets each
        generation on the way. Returns the last."""
        with self._one_feeder() as still_alone:
            self._engine.forget(self._collection)
            self._held = self._feed(still_alone, progress)
        return self._held.generation

    def close(self) -> None:
        """Nothing is its own: the engine is closed by who opened it."""

    def lexical(self, query: str, filter: Filter, k: int) -> list[Hit]:
        """BM25 hits; none when the query has no token but stop words."""
        tokens = analyse(query)
        if not tokens:
            return []
        return self._search(
            filter,
            Leg.LEXICAL,
            k,
            lambda build, at: self._engine.lexical(self._collection, build, tokens, at, k),
        )

    def dense(self, vector: NDArray[np.float32], filter: Filter, k: int) -> list[Hit]:
        """Cosine hits. Raises ModelError for a vector of another dimension or length than 1."""
        if wrong := wrong_vector(vector, self._dimension):
            raise ModelError(f"the question's vector {wrong}; check the embedder of the collection")
        return self._search(
            filter,
            Leg.DENSE,
            k,
            lambda build, at: self._engine.dense(self._collection, build, vector, at, k),
        )

    def places(self, asked: Sequence[str], chunks: Iterable[str]) -> Mapping[str, Places]:
        """None: engines do not keep the order of words."""
        return {}

    def _search(
        self, filter: Filter, leg: Leg, k: int, search: Callable[[str, Filter], list[Found]]
    ) -> list[Hit]:
        if k < 1 or not _can_match(filter):
            return []
        held = self._held
        for _ in range(_TRIES):
            if filter.generation > held.generation:
                held = self._caught_up()
            if not held.build:
                return []
            at = replace(filter, generation=min(filter.generation, held.generation))
            try:
                found = search(held.build, at)
            except BuildGone:
                self._drop(held.build)
                held = self._caught_up()
                continue
            return [Hit(each.chunk, each.score, rank, leg) for rank, each in enumerate(found, 1)]
        raise _wiped()

    def _caught_up(self) -> Held:
        held = self._engine.held(self._collection)
        if not self._newest(held):
            with self._one_feeder() as still_alone:
                held = self._feed(still_alone)
        self._held = held
        return held

    def _drop(self, build: str) -> None:
        """Forget a build whose rows are gone while it is still recorded."""
        with self._one_feeder():
            if self._engine.held(self._collection).build == build:
                self._engine.forget(self._collection)

    def _newest(self, held: Held) -> bool:
        with self._store() as work:
            newest = work.chunks.news(self._collection, held.generation).generation
            return newest == held.generation and held.mark == work.chunks.mark(
                self._collection, held.generation
            )

    def _feed(
        self, still_alone: Callable[[], None], progress: Callable[[int], None] = lambda at: None
    ) -> Held:
        """In windows of few rows, each recorded, so that a killed feeder's successor goes on where
        it ended. A history the engine does not share is fed from the beginning."""
        held = self._engine.held(self._collection)
        losses = 0
        while True:
            with self._store() as work:
                known = held.mark == work.chunks.mark(self._collection, held.generation)
                since = held.generation if known else 0
                delta = work.chunks.since(self._collection, since, self._rows_at_once)
                mark = work.chunks.mark(self._collection, delta.generation)
            if known and delta.generation == held.generation:
                return held
            self._check(delta.born)
            still_alone()
            build = held.build
            if since == 0:  # what an unfinished or foreign build left goes first
                self._engine.forget(self._collection)
                build = uuid4().hex
                self._engine.begin(self._collection, build, self._dimension)
            held = Held(build, delta.generation, mark)
            try:
                self._engine.apply(self._collection, delta, held)
            except BuildGone as exc:  # its rows were dropped by hand, its record was not
                if (losses := losses + 1) == _TRIES:
                    raise _wiped() from exc
                self._engine.forget(self._collection)
                held = NONE_HELD
            else:
                progress(held.generation)

    def _check(self, born: Sequence[Row]) -> None:
        for row in born:
            if wrong := wrong_vector(row.vector, self._dimension):
                raise Corrupt(
                    f"the stored vector of chunk {row.chunk} {wrong}; run `attest doctor`"
                )

    @contextmanager
    def _one_feeder(self) -> Iterator[Callable[[], None]]:
        deadline = monotonic() + self._wait_seconds
        if not self._feeding.acquire(timeout=self._wait_seconds):
            raise self._busy()
        try:
            left = max(0.0, deadline - monotonic())
            with ExitStack() as stack:
                try:
                    still_alone = stack.enter_context(
                        self._alone(f"feeding {self._collection}", left)
                    )
                except TimeoutError as exc:
                    raise self._busy() from exc
                yield still_alone
        finally:
            self._feeding.release()

    def _busy(self) -> IndexUnavailable:
        held = self._engine.held(self._collection)
        return IndexUnavailable(
            f"the search engine is being fed by another process, and holds generation "
            f"{held.generation} so far; ask again later, `attest index status` shows how far it is"
        )


def _wiped() -> IndexUnavailable:
    return IndexUnavailable(
        "the search engine was wiped again and again while it was used; see who runs "
        "`attest index rebuild`, then ask again"
    )


def _can_match(filter: Filter) -> bool:
    named = filter.documents is None or bool(filter.documents)
    return bool(filter.groups) and named and all(each.values for each in filter.conditions)
