"""The engine over its nodes: everything is asked of all of them, and one that fails fails all."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rag.domain import Filter
from rag.errors import BadSettings, IndexUnavailable
from rag.index.engine import NONE_HELD, BuildGone, Found, Held
from rag.index.postgresql import dense, lexical
from rag.index.postgresql.feeding import feed
from rag.index.postgresql.leaving import leave_out
from rag.index.postgresql.node import Connection, Node
from rag.index.postgresql.schema import Schema, State, named
from rag.index.postgresql.tending import due, tend
from rag.ports import Delta

T = TypeVar("T")
log = logging.getLogger(__name__)

_CHUNKS = "SELECT chunk FROM {rows} WHERE born <= %(at)s AND died > %(at)s"
GRAPH_FROM = 50_000  # rows on a node from which comparing every one takes too long
TEND_AFTER = 30.0  # seconds without feeding


class PostgresqlEngine:
    """An `Engine`. `urls` holds one libpq URL a node, in an order that does not change: another
    order or number is another layout, and every collection is fed again. From `graph_from` rows on
    a node the dense leg uses an HNSW graph where the filter is wide (None: never; then it is
    exact)."""

    def __init__(self, urls: Sequence[str], graph_from: int | None = GRAPH_FROM) -> None:
        if not urls:
            raise BadSettings("search_url names no node; write it like postgresql://HOST/DATABASE")
        self._nodes = [Node(url) for url in urls]
        self._graph_from = graph_from
        self._asking = ThreadPoolExecutor(8 * len(urls), thread_name_prefix="search-node")
        self._untended: dict[str, Held] = {}
        self._closing = Event()
        self._tending = ThreadPoolExecutor(1, thread_name_prefix="search-tending")

    @property
    def exact(self) -> bool:
        return self._graph_from is None

    def held(self, collection: str) -> Held:
        schema = Schema.of(collection)
        states = self._each(lambda node: node.newest(schema.state))
        held = _agreed(states)
        untended = any(state and due(state, self._graph_from) for state in states)
        if untended and self._untended.get(collection) != held:
            self._untended[collection] = held
            self._tending.submit(self._tend_later, collection, held)
        return held

    def begin(self, collection: str, build: str, dimension: int) -> None:
        schema, nodes = Schema.of(collection), len(self._nodes)

        def create(node: Node) -> None:
            with node.writing() as connection:
                schema.create(connection, build, nodes, self._nodes.index(node), dimension)

        self._each(create)

    def apply(self, collection: str, delta: Delta, held: Held) -> None:
        schema, nodes = Schema.of(collection), len(self._nodes)

        def apply_to(node: Node) -> None:
            with node.writing() as connection:
                feed(connection, schema, delta, held, nodes, self._nodes.index(node))

        self._each(apply_to)

    def lexical(
        self, collection: str, build: str, tokens: Sequence[str], filter: Filter, k: int
    ) -> list[Found]:
        schema = Schema.of(collection)
        at = filter.generation
        parts = self._ask(lambda c: lexical.statistics(c, schema, build, at, tokens))
        known = lexical.Statistics.of(parts)
        return _best(
            self._ask(lambda c: lexical.search(c, schema, build, tokens, known, filter, k)), k
        )

    def dense(
        self, collection: str, build: str, vector: NDArray[np.float32], filter: Filter, k: int
    ) -> list[Found]:
        schema = Schema.of(collection)
        return _best(self._ask(lambda c: dense.search(c, schema, build, vector, filter, k)), k)

    def chunks(self, collection: str, build: str, generation: int) -> Iterator[str]:
        schema = Schema.of(collection)
        for node in self._nodes:
            try:
                with node.writing() as connection, connection.cursor("chunks") as cursor:
                    schema.begun(connection, build, generation)
                    for (chunk,) in cursor.execute(schema.sql(_CHUNKS), {"at": generation}):
                        yield chunk
            except BuildGone:
                return

    def rows(self, collection: str, build: str) -> int:
        states = self._each(lambda node: node.newest(Schema.of(collection).state))
        return sum(state.rows for state in states if state and state.held.build == build)

    def leave_out(self, collection: str, build: str, documents: Collection[str], until: int) -> int:
        schema = Schema.of(collection)
        return sum(self._each(lambda node: leave_out(node, schema, build, documents, until)))

    def forget(self, collection: str) -> None:
        self._drop(Schema.of(collection))

    def sweep(self, kept: Collection[str]) -> int:
        names = {Schema.of(collection).name for collection in kept}
        found = {name for some in self._each(lambda node: node.newest(named)) for name in some}
        for name in sorted(found - names):
            self._drop(Schema(name))
        return len(found - names)

    def tend(self, collection: str) -> None:
        """Do now what is otherwise done in the background while nothing is fed: merge postings,
        make the graph. Raises IndexUnavailable."""
        schema = Schema.of(collection)
        for node in self._nodes:  # one after the other, so that the others answer at full speed
            try:
                tend(node, schema, self._graph_from)
            except BuildGone:
                return  # wiped meanwhile

    def close(self) -> None:
        self._closing.set()
        self._tending.shutdown(wait=True, cancel_futures=True)
        self._asking.shutdown()
        for node in self._nodes:
            node.close()

    def _drop(self, schema: Schema) -> None:
        def drop(node: Node) -> None:
            with node.writing() as connection:
                schema.drop(connection)

        self._each(drop)

    def _ask(self, work: Callable[[Connection], T]) -> list[T]:
        return self._each(lambda node: node.search(work))

    def _each(self, work: Callable[[Node], T]) -> list[T]:
        if len(self._nodes) == 1:
            return [work(self._nodes[0])]
        return list(self._asking.map(work, self._nodes))

    def _tend_later(self, collection: str, held: Held) -> None:
        """Once feeding has paused: a graph that is there already makes feeding slow."""
        if self._untended[collection] != held or self._closing.wait(TEND_AFTER):
            return
        try:
            if self.held(collection) == held:
                self.tend(collection)
        except IndexUnavailable as exc:
            log.warning(
                "the search nodes were not tended, and will be after the next feed: %s", exc
            )


def _agreed(states: Sequence[State | None]) -> Held:
    """What all nodes hold: the oldest of what they say, nothing where one was wiped, or fed for
    another layout."""
    held = [
        state.held
        for number, state in enumerate(states)
        if state is not None and (state.nodes, state.node) == (len(states), number)
    ]
    if len(held) < len(states) or len({each.build for each in held}) > 1:
        return NONE_HELD
    return min(held, key=lambda each: each.generation)


def _best(parts: Iterable[list[Found]], k: int) -> list[Found]:
    merged = heapq.merge(*parts, key=lambda found: (-found.score, found.row))
    return [found for found, _ in zip(merged, range(k), strict=False)]
