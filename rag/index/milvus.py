"""Milvus as the search engine: one of its collections a build, and one of what was applied.

BM25 is Milvus' own function over our analysed words, so that its statistics follow the rows on
every node without our help; the dense leg is exact, or a graph where a scan is too slow.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rag.domain import Filter
from rag.errors import Corrupt
from rag.index.engine import NONE_HELD, BuildGone, Found, Held
from rag.index.labels import label
from rag.index.milvus_line import MilvusLine
from rag.index.milvus_schema import (
    LIVE,
    STORED,
    Dense,
    entity,
    expression,
    record_indexes,
    record_schema,
    rows_indexes,
    rows_schema,
    words,
)
from rag.ports import Delta

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_PREFIX = "attest_"
_OURS = re.compile(f"{_PREFIX}[0-9a-f]{{32}}_[0-9a-f]{{32}}")
_RECORDS = f"{_PREFIX}applied"
_BATCH = 500  # rows a request, so that it stays under Milvus' 64 MiB
_MOST = 16_384  # hits of one search: Milvus' limit
_LEAST_EF = 400  # candidates of the graph; at 64, four in ten neighbours were lost behind filters


class MilvusEngine:
    """An `Engine`. `url` is http(s)://user:password@host:19530/database; user, password and
    database may be left out, and a token stands alone before the @. `seconds` bounds each request.
    Connects at the first use. Raises BadSettings."""

    def __init__(self, url: str, dense: Dense = "exact", seconds: float = 30.0) -> None:
        self._line = MilvusLine(url, seconds)
        self._dense = dense

    @property
    def exact(self) -> bool:
        return self._dense == "exact"

    def held(self, collection: str) -> Held:
        try:
            found = self._line.ask(
                _RECORDS,
                lambda client: client.get(
                    _RECORDS,
                    ids=[label(collection)],
                    output_fields=["build", "generation", "mark"],
                    timeout=self._line.seconds,
                ),
            )
        except BuildGone:
            return NONE_HELD
        if not found:
            return NONE_HELD
        return Held(found[0]["build"], found[0]["generation"], found[0]["mark"])

    def begin(self, collection: str, build: str, dimension: int) -> None:
        self._line.make(_rows(collection, build), rows_schema(dimension), rows_indexes(self._dense))

    def apply(self, collection: str, delta: Delta, held: Held) -> None:
        name = _rows(collection, held.build)
        born = iter(delta.born)
        while batch := [entity(row) for row in islice(born, _BATCH)]:
            self._put(name, batch)
        died = iter(delta.died)
        while ended := dict(islice(died, _BATCH)):
            self._end(name, ended)
        self._line.make(_RECORDS, record_schema(), record_indexes())
        record = {
            "collection": label(collection),
            "build": held.build,
            "generation": held.generation,
            "mark": held.mark,
            "nothing": [0.0, 0.0],
        }
        self._put(_RECORDS, [record])

    def lexical(
        self, collection: str, build: str, tokens: Sequence[str], filter: Filter, k: int
    ) -> list[Found]:
        search = _Search("counts", words(tokens), {"metric_type": "BM25"})
        return self._search(_rows(collection, build), filter, k, search)

    def dense(
        self, collection: str, build: str, vector: NDArray[np.float32], filter: Filter, k: int
    ) -> list[Found]:
        search = _Search("vector", vector.tolist(), {"metric_type": "IP"}, graph=not self.exact)
        return self._search(_rows(collection, build), filter, k, search)

    def chunks(self, collection: str, build: str, generation: int) -> Iterator[str]:
        name = _rows(collection, build)
        live = f"born <= {generation} and died > {generation}"
        try:
            pages = self._line.ask(
                name,
                lambda client: client.query_iterator(
                    name, batch_size=_BATCH, filter=live, output_fields=["chunk"]
                ),
            )
            while page := self._line.ask(name, lambda client: pages.next()):
                yield from (each["chunk"] for each in page)
        except BuildGone:
            return

    def rows(self, collection: str, build: str) -> int:
        name = _rows(collection, build)
        try:
            counted = self._line.ask(
                name,
                lambda client: client.query(
                    name, output_fields=["count(*)"], timeout=self._line.seconds
                ),
            )
        except BuildGone:
            return 0
        return int(counted[0]["count(*)"])

    def leave_out(self, collection: str, build: str, documents: Collection[str], until: int) -> int:
        """Milvus hides the rows at once, and its compaction, which is asked for, takes them off the
        disk once its own retention is over."""
        name, removed = _rows(collection, build), 0
        named = sorted(label(document) for document in documents)
        wanted = [f"died <= {until}"]
        for at in range(0, len(named), _BATCH):
            wanted.append(f"died < {LIVE} and document in {json.dumps(named[at : at + _BATCH])}")
        for rows in wanted:
            removed += self._delete(name, rows)
        if removed:
            self._line.ask(name, lambda client: client.compact(name, timeout=self._line.seconds))
        return removed

    def _delete(self, name: str, rows: str) -> int:
        """Page by page, since a request that removes by an expression does not say how many."""
        removed, seconds = 0, self._line.seconds

        def page(client: MilvusClient) -> list[int]:
            found = client.query(
                name, filter=rows, output_fields=["row"], limit=_BATCH, timeout=seconds
            )
            return [each["row"] for each in found]

        while ids := self._line.ask(name, page):
            self._line.ask(name, partial(_remove, name, ids, seconds))
            removed += len(ids)
        return removed

    def forget(self, collection: str) -> None:
        self._drop({label(collection)})

    def sweep(self, kept: Collection[str]) -> int:
        with self._line.translated():
            names = self._line.client().list_collections(timeout=self._line.seconds)
        there = {name.split("_")[1] for name in names if _OURS.fullmatch(name)}
        gone = there - {label(collection) for collection in kept}
        self._drop(gone)
        return len(gone)

    def _drop(self, labels: Collection[str]) -> None:
        """What was recorded first, so that nobody asks what is half gone."""
        with self._line.translated():
            client = self._line.client()
            if labels and client.has_collection(_RECORDS, timeout=self._line.seconds):
                client.delete(_RECORDS, ids=sorted(labels), timeout=self._line.seconds)
            names = client.list_collections(timeout=self._line.seconds)
        for name in names:
            if name.startswith(tuple(f"{_PREFIX}{label}_" for label in labels)):
                with suppress(BuildGone), self._line.translated():
                    client.drop_collection(name, timeout=self._line.seconds)

    def close(self) -> None:
        self._line.close()

    def _put(self, name: str, entities: list[dict[str, Any]]) -> None:
        self._line.ask(
            name, lambda client: client.upsert(name, entities, timeout=self._line.seconds)
        )

    def _end(self, name: str, died: Mapping[int, int]) -> None:
        """Milvus changes a row by writing all of it again."""
        found = self._line.ask(
            name,
            lambda client: client.get(
                name, ids=list(died), output_fields=list(STORED), timeout=self._line.seconds
            ),
        )
        if missing := died.keys() - {each["row"] for each in found}:
            raise Corrupt(
                f"row {min(missing)} ended but is not in Milvus; run `attest index rebuild`"
            )
        self._put(name, [{**each, "died": died[each["row"]]} for each in found])

    def _search(self, name: str, filter: Filter, k: int, search: _Search) -> list[Found]:
        """Deeper than k, until no unseen row can tie with the last one wanted."""
        wanted, n = expression(filter), min(k + 1, _MOST)
        while True:
            found = self._line.ask(name, partial(self._page, name, wanted, n, search))
            best = found[:k]
            settled = len(best) == k and best[-1].score > found[-1].score
            if settled or len(found) < n or n == _MOST:
                return best
            n = min(4 * n, _MOST)

    def _page(
        self, name: str, wanted: str, n: int, search: _Search, client: MilvusClient
    ) -> list[Found]:
        hits = client.search(
            name,
            data=[search.question],
            anns_field=search.field,
            filter=wanted,
            limit=n,
            output_fields=["chunk"],
            search_params=search.params(n),
            timeout=self._line.seconds,
        )[0]
        found = (Found(hit["row"], hit["entity"]["chunk"], search.score(hit)) for hit in hits)
        return sorted(found, key=lambda each: (-each.score, each.row))


def _remove(name: str, ids: list[int], seconds: float, client: MilvusClient) -> None:
    client.delete(name, ids=ids, timeout=seconds)


def _rows(collection: str, build: str) -> str:
    return f"{_PREFIX}{label(collection)}_{build}"


@dataclass(frozen=True, slots=True)
class _Search:
    field: str
    question: str | list[float]
    metric: Mapping[str, str]
    graph: bool = False

    def params(self, n: int) -> dict[str, Any]:
        return {**self.metric, "params": {"ef": max(n, _LEAST_EF)} if self.graph else {}}

    def score(self, hit: Mapping[str, Any]) -> float:
        """Rounded, since the last bits depend on the node that added up. BM25 is never negative;
        Milvus Lite gives it with a minus."""
        score = round(float(hit["distance"]), 6)
        return abs(score) if self.field == "counts" else score
