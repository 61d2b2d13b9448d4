"""Milvus as the search engine: one of its collections a build, and one of what was applied.

BM25 is Milvus' own function over our analysed words, so that its statistics follow the rows on
every node without our help; the dense leg is exact, or a graph where a scan is too slow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import grpc
import numpy as np
from numpy.typing import NDArray
from pymilvus import MilvusClient, MilvusException
from pymilvus.milvus_client.index import IndexParams
from pymilvus.orm.schema import CollectionSchema

from rag.domain import Filter
from rag.errors import BadSettings, Corrupt, IndexUnavailable
from rag.index.engine import NONE_HELD, BuildGone, Found, Held
from rag.index.labels import label
from rag.index.milvus_schema import (
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

_RECORDS = "attest_applied"
_BATCH = 500  # rows a request, so that it stays under Milvus' 64 MiB
_MOST = 16_384  # hits of one search: Milvus' limit
_LEAST_EF = 400  # candidates of the graph; at 64, four in ten neighbours were lost behind filters
_NO_COLLECTION, _NOT_LOADED = 100, 101  # Milvus' codes

T = TypeVar("T")


class MilvusEngine:
    """An `Engine`. `url` is http(s)://user:password@host:19530/database; user, password and
    database may be left out, and a token stands alone before the @. Connects at the first use."""

    def __init__(self, url: str, dense: Dense = "exact", seconds: float = 30.0) -> None:
        self._address = _address(url)
        self._dense = dense
        self._seconds = seconds
        self._connecting = Lock()
        self._connected: MilvusClient | None = None

    @property
    def exact(self) -> bool:
        return self._dense == "exact"

    def held(self, collection: str) -> Held:
        try:
            found = self._ask(
                _RECORDS,
                lambda client: client.get(
                    _RECORDS,
                    ids=[label(collection)],
                    output_fields=["build", "generation", "mark"],
                    timeout=self._seconds,
                ),
            )
        except BuildGone:
            return NONE_HELD
        if not found:
            return NONE_HELD
        return Held(found[0]["build"], found[0]["generation"], found[0]["mark"])

    def begin(self, collection: str, build: str, dimension: int) -> None:
        self._make(_rows(collection, build), rows_schema(dimension), rows_indexes(self._dense))

    def apply(self, collection: str, delta: Delta, held: Held) -> None:
        name = _rows(collection, held.build)
        born = iter(delta.born)
        while batch := [entity(row) for row in islice(born, _BATCH)]:
            self._put(name, batch)
        died = iter(delta.died)
        while ended := dict(islice(died, _BATCH)):
            self._end(name, ended)
        self._make(_RECORDS, record_schema(), record_indexes())
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
            pages = self._ask(
                name,
                lambda client: client.query_iterator(
                    name, batch_size=_BATCH, filter=live, output_fields=["chunk"]
                ),
            )
            while page := self._ask(name, lambda client: pages.next()):
                yield from (each["chunk"] for each in page)
        except BuildGone:
            return

    def rows(self, collection: str, build: str) -> int:
        name = _rows(collection, build)
        try:
            counted = self._ask(
                name,
                lambda client: client.query(
                    name, output_fields=["count(*)"], timeout=self._seconds
                ),
            )
        except BuildGone:
            return 0
        return int(counted[0]["count(*)"])

    def forget(self, collection: str) -> None:
        with self._translated():
            client = self._client()
            if client.has_collection(_RECORDS, timeout=self._seconds):
                client.delete(_RECORDS, ids=[label(collection)], timeout=self._seconds)
            for name in client.list_collections(timeout=self._seconds):
                if name.startswith(_rows(collection, "")):
                    client.drop_collection(name, timeout=self._seconds)

    def close(self) -> None:
        with self._connecting:
            if self._connected is not None:
                self._connected.close()
                self._connected = None

    def _make(self, name: str, schema: CollectionSchema, indexes: IndexParams) -> None:
        with self._translated():
            client = self._client()
            if client.has_collection(name, timeout=self._seconds):
                return
            client.create_collection(
                name,
                schema=schema,
                index_params=indexes,
                consistency_level="Strong",  # what one process wrote, every other sees
                timeout=self._seconds,
            )

    def _put(self, name: str, entities: list[dict[str, Any]]) -> None:
        self._ask(name, lambda client: client.upsert(name, entities, timeout=self._seconds))

    def _end(self, name: str, died: Mapping[int, int]) -> None:
        """Milvus changes a row by writing all of it again."""
        found = self._ask(
            name,
            lambda client: client.get(
                name, ids=list(died), output_fields=list(STORED), timeout=self._seconds
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
            found = self._ask(name, partial(self._page, name, wanted, n, search))
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
            timeout=self._seconds,
        )[0]
        found = (Found(hit["row"], hit["entity"]["chunk"], search.score(hit)) for hit in hits)
        return sorted(found, key=lambda each: (-each.score, each.row))

    def _ask(self, name: str, call: Callable[[MilvusClient], T]) -> T:
        """What `call` returns; Milvus Lite forgets with each restart what was loaded."""
        with self._translated():
            client = self._client()
            try:
                return call(client)
            except MilvusException as exc:
                if exc.code != _NOT_LOADED:
                    raise
            client.load_collection(name, timeout=self._seconds)
            return call(client)

    def _client(self) -> MilvusClient:
        with self._connecting:
            if self._connected is None:
                # It logs each error with its stack before raising it; ours says the same once.
                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                self._connected = MilvusClient(**self._address, timeout=self._seconds)
            return self._connected

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (MilvusException, grpc.RpcError) as exc:
            if isinstance(exc, MilvusException) and exc.code == _NO_COLLECTION:
                raise BuildGone from exc
            where = urlsplit(self._address["uri"]).netloc
            raise IndexUnavailable(
                f"Milvus at {where} cannot be asked: {_said(exc)}; check that it runs and that "
                "search_url, user and password are right, then ask again"
            ) from exc


def _address(url: str) -> dict[str, str]:
    """What MilvusClient takes. Raises BadSettings."""
    parts = urlsplit(url)
    try:
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port is not None
    except ValueError:
        known = False
    if not known:
        raise BadSettings(
            "search_url is no address of a Milvus; write it like "
            "http://user:password@10.0.0.7:19530/database"
        )
    address = {"uri": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"}
    user, password = unquote(parts.username or ""), parts.password
    if password is not None:
        address |= {"user": user, "password": unquote(password)}
    elif user:
        address["token"] = user
    if database := parts.path.strip("/"):
        address["db_name"] = unquote(database)
    return address


def _rows(collection: str, build: str) -> str:
    return f"attest_{label(collection)}_{build}"


def _said(exc: Exception) -> str:
    return str(exc.message if isinstance(exc, MilvusException) else exc).splitlines()[0]


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
