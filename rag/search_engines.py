"""Which search engine the settings name: this process's own index, or one on servers."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from threading import Lock
from typing import Literal

from rag.domain import Embedding
from rag.embedders import Embedders
from rag.errors import BadSettings, EmbedderChanged, IndexUnavailable
from rag.index.building import of_the_truth
from rag.index.embedded import EmbeddedIndex
from rag.index.engine import Engine
from rag.index.fed import FedIndex
from rag.index.snapshot import newest, newest_name
from rag.index.standing import Standing
from rag.index.upkeep import HISTORY
from rag.index.working import sweep
from rag.indexing import Builder
from rag.retrieve import Searched
from rag.settings import Settings
from rag.store.unit import SqlStore

log = logging.getLogger(__name__)

_WAIT = 0.2  # seconds between looks at what another process makes
_PATIENCE = 1800.0  # seconds for that: ten times what a snapshot of a million rows takes
_WORTH = 1_000  # rows; fewer are read from the database in less than half a second


class Searchers:
    """The searchers of one process, one a collection; safe to share by threads."""

    def __init__(
        self,
        settings: Settings,
        store: SqlStore,
        engine: Engine | None,
        embedders: Callable[[], Embedders],
    ) -> None:
        self._settings, self._store, self._engine = settings, store, engine
        self._embedders = embedders
        self._held: dict[str, tuple[Embedding, EmbeddedIndex | FedIndex]] = {}
        self._lock = Lock()

    def of(self, collection: str) -> Searched:
        """Through the embedding that is current now."""
        while True:
            with self._store() as work:
                current = work.embeddings.current(collection)
            embedder = self._embedders().of(current.embedder)
            try:
                return Searched(self._index(current, embedder.dimension), embedder, current)
            except EmbedderChanged:  # between the two lines; another thread is further
                continue

    def _index(self, embedding: Embedding, dimension: int) -> EmbeddedIndex | FedIndex:
        with self._lock:
            held = self._held.get(embedding.collection)
            if held is not None and held[0].id == embedding.id:
                return held[1]
            if held is not None and held[0].born > embedding.born:
                raise EmbedderChanged("another embedder has just taken over; ask again")
            made = index_of(embedding.id, dimension, self._settings, self._store, self._engine)
            self._held[embedding.collection] = (embedding, made)
        if held is not None:  # a question that still searches it begins again
            held[1].close()
            shutil.rmtree(self._settings.index_folder / held[0].id, ignore_errors=True)
        return made

    def forget(self, collection: str) -> None:
        """Of a collection (by id) that was deleted, its files as well; see `Attest.forget_index`"""
        with self._lock:
            held = self._held.pop(collection, None)
        if held is not None:
            held[1].close()
        for id in {collection} if held is None else {collection, held[0].id}:
            try:
                forget(id, self._settings, self._store, self._engine)
            except IndexUnavailable as exc:
                log.warning(
                    "the rows of a deleted collection stay, run attest index sweep: %s", exc
                )

    def standings(self) -> Mapping[str, Standing]:
        found = {id: index for id, (_, index) in dict(self._held).items()}
        return {id: i.standing() for id, i in found.items() if isinstance(i, EmbeddedIndex)}

    def close(self) -> None:
        for _, index in self._held.values():
            index.close()


def open_engine(settings: Settings) -> Engine | None:
    """None where every process keeps an index of its own; nothing is connected yet. Raises
    BadSettings."""
    if settings.search_url is None:  # settings are refused where an engine has none
        return None
    if settings.search_engine == "postgresql":
        return _postgresql(settings.search_url.get_secret_value(), settings.search_dense)
    return _milvus(settings.search_url.get_secret_value(), settings.search_dense)


def _milvus(url: str, dense: Literal["exact", "graph"]) -> Engine:
    from rag.index.milvus import MilvusEngine

    try:
        import pymilvus  # noqa: F401 - a start without it says so, and not the first question
    except ImportError as exc:
        raise BadSettings(
            f"the client of Milvus is not installed ({exc}); pip install 'attest-rag[milvus]'"
        ) from exc
    return MilvusEngine(url, dense)


def _postgresql(urls: str, dense: Literal["exact", "graph"]) -> Engine:
    try:
        from rag.index.postgresql.engine import GRAPH_FROM, PostgresqlEngine
    except ImportError as exc:
        raise BadSettings(
            f"the driver of PostgreSQL is not installed ({exc}); "
            "pip install 'attest-rag[postgresql]'"
        ) from exc
    return PostgresqlEngine(urls.split(), GRAPH_FROM if dense == "graph" else None)


def index_of(
    embedding: str, dimension: int, settings: Settings, store: SqlStore, engine: Engine | None
) -> EmbeddedIndex | FedIndex:
    """The searcher of an embedding (by id) whose vectors have `dimension` numbers."""
    if engine is None:
        folder = settings.index_folder / embedding
        make = Builder(settings.database, embedding, folder, dimension)
        return EmbeddedIndex(store, embedding, dimension, settings.lexical, folder, make)
    return FedIndex(store, embedding, dimension, engine, store.alone)


def make_ready(
    embedding: str, dimension: int, settings: Settings, store: SqlStore, engine: Engine | None
) -> None:
    """Have the index of a complete embedding made before questions need it: the engine fed, or a
    snapshot written. Where there is one it will be caught up by who reads it: made anew for each
    document that comes meanwhile, it would never be done. Raises IndexUnavailable, Corrupt."""
    if engine is not None:
        FedIndex(store, embedding, dimension, engine, store.alone).catch_up()
        return
    folder = settings.index_folder / embedding
    with store() as work:
        rows = work.chunks.news(embedding, 0).born
    kept = settings.lexical == "tantivy"  # the reference keeps nothing on disk
    if kept and rows >= _WORTH and not newest_name(folder):
        Builder(settings.database, embedding, folder, dimension)(0)


def forget(embedding: str, settings: Settings, store: SqlStore, engine: Engine | None) -> None:
    """Remove the index of an embedding that is not read any more. Raises IndexUnavailable."""
    if engine is not None:
        FedIndex(store, embedding, 0, engine, store.alone).forget()
    shutil.rmtree(settings.index_folder / embedding, ignore_errors=True)


def leave_out(
    embedding: Embedding, documents: Collection[str], until: int, store: SqlStore, engine: Engine
) -> int:
    """Have an engine remove for good the rows of deleted documents, and those that ended up to
    `until`; how many. Raises IndexUnavailable, Corrupt."""
    fed = FedIndex(store, embedding.id, embedding.dimension or 0, engine, store.alone)
    try:
        return fed.leave_out(documents, until)
    except EmbedderChanged:
        return 0  # it is not read any more, or not yet: all of it goes, or is fed as it is then


def compact_snapshots(embedding: Embedding, settings: Settings, store: SqlStore) -> bool:
    """Where the newest snapshot holds rows that were purged: make one without them, and have every
    process leave the old one. Whether there was need. Raises IndexUnavailable, also when another
    process has been at it for half an hour."""
    folder, dimension = settings.index_folder / embedding.id, embedding.dimension or 0
    if not newest_name(folder):
        return False
    floor, make = 0, Builder(settings.database, embedding.id, folder, dimension)
    with store() as work:
        settled = work.chunks.settled(embedding.id, datetime.now(UTC) - HISTORY)
    needed, until = False, time.monotonic() + _PATIENCE
    while True:
        snapshot = newest(folder, embedding.id, dimension)
        if snapshot is not None:
            if of_the_truth(store, snapshot.manifest):
                break
            floor = snapshot.manifest.floor
        needed = True
        make(max(floor, settled))
        if newest_name(folder) == ("" if snapshot is None else snapshot.folder.name):
            if time.monotonic() > until:
                raise IndexUnavailable(
                    f"another process holds {folder} and makes no snapshot; the index still holds "
                    "purged rows, and the next purge tries again"
                )
            time.sleep(_WAIT)  # another process is at it
    if needed:
        sweep(folder, used=True)
    return needed


def sweep_snapshots(settings: Settings, store: SqlStore) -> None:
    """Remove those of embeddings that are read no more: their files outlive a deletion that another
    process was making a snapshot beside, or that was killed."""
    found = list(settings.index_folder.glob("*/"))  # before the embeddings: one may be new
    with store() as work:
        known = work.embeddings.searched()
    for folder in found:
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)
