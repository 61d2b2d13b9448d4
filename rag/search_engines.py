"""Which search engine the settings name: this process's own index, or one on servers."""

from __future__ import annotations

import shutil
from typing import Literal

from rag.errors import BadSettings
from rag.index.embedded import EmbeddedIndex
from rag.index.engine import Engine
from rag.index.fed import FedIndex
from rag.indexing import Builder
from rag.settings import Settings
from rag.store.unit import SqlStore


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
    collection: str, dimension: int, settings: Settings, store: SqlStore, engine: Engine | None
) -> EmbeddedIndex | FedIndex:
    """The searcher of a collection (by id) whose vectors have `dimension` numbers."""
    if engine is None:
        folder = settings.index_folder / collection
        make = Builder(settings.database, collection, folder, dimension)
        return EmbeddedIndex(store, collection, dimension, settings.lexical, folder, make)
    return FedIndex(store, collection, dimension, engine, store.alone)


def sweep_snapshots(settings: Settings, store: SqlStore) -> None:
    """Remove those of collections that are no more: their files outlive a deletion that another
    process was making a snapshot beside, or that was killed."""
    found = list(settings.index_folder.glob("*/"))  # before the collections: one may be new
    with store() as work:
        known = {collection.id for collection in work.collections.all()}
    for folder in found:
        if folder.name not in known:
            shutil.rmtree(folder, ignore_errors=True)
