"""The composition root: the only place that knows both the core and the adapters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from rag import errors
from rag.answering import Answering
from rag.choosing import Choosing
from rag.domain import Box, Chunk, Collection, Passage, Sampling
from rag.embedders import Embedders
from rag.engine_client import EngineClient
from rag.fuse import convex, rrf
from rag.kv_blocks import FolderKVBlocks, leftovers
from rag.layout import Layout, boxes_for, load_layout
from rag.model_errors import model_errors
from rag.policy import Policy
from rag.ports import (
    Blobs,
    Embedder,
    Generator,
    Generators,
    KVBlocks,
    Reranker,
    SearchIndex,
    Verifier,
    Verifiers,
)
from rag.readers import AdaptedReaders, OneReader
from rag.remote_kv_blocks import SharedKVBlocks
from rag.remote_readers import RemoteReaders
from rag.rerankers import ChosenReranker
from rag.retrieve import Fuse, Searched
from rag.settings import Settings
from rag.store.blobs import FolderBlobs
from rag.store.migrate import upgrade
from rag.store.unit import SqlStore, open_store
from rag.uncollected import uncollected
from rag.verifiers import ChosenVerifiers

if TYPE_CHECKING:
    from models.block_store import BlockStore
    from rag.index.engine import Engine
    from rag.index.standing import Standing
    from rag.search_engines import Searchers

log = logging.getLogger(__name__)

_LAYOUTS_KEPT = 64


class Attest:
    """The parts of one process over one data folder, each built when it is first used. Parts can
    be replaced by assigning them before their first use (`attest.generator = ...`)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._layout = lru_cache(maxsize=_LAYOUTS_KEPT)(self._read_layout)

    @cached_property
    def store(self) -> SqlStore:
        own = self.settings
        return open_store(own.database, max_attempts=own.max_attempts, kv_blocks=self.kv_blocks)

    @cached_property
    def own_kv_blocks(self) -> FolderKVBlocks:
        """What every process over this data folder keeps of passages."""
        return FolderKVBlocks(self.settings.kv_folder)

    @cached_property
    def kv_blocks(self) -> KVBlocks:
        """What every process over the data folder keeps of passages, and the engine wherever it
        is, to have it forgotten."""
        here, engine = self.own_kv_blocks, self.engine_client
        return here if engine is None else SharedKVBlocks(here, engine)

    @cached_property
    def engine_client(self) -> EngineClient | None:
        """The line to the engine's process; None where this process runs the model itself."""
        own = self.settings
        if own.engine_url is None:
            return None
        key = None if own.engine_key is None else own.engine_key.get_secret_value()
        return EngineClient(own.engine_url, key)

    @cached_property
    def block_store(self) -> BlockStore:
        """Where this process's readers keep the KV blocks of passages."""
        from models.block_store import BlockStore
        from models.hardware import choose_device

        own = self.settings
        with model_errors():
            device = choose_device(own.device)
        return BlockStore(
            own.kv_folder, own.kv_memory_bytes, own.kv_disk_bytes, own.kv_precision, device=device
        )

    @cached_property
    def blobs(self) -> Blobs:
        return FolderBlobs(self.settings.blobs)

    @cached_property
    def embedder(self) -> Embedder:
        """Of new collections; see `embedders` for those of others."""
        return self._embedder_at(self.settings.embedder)

    @cached_property
    def embedders(self) -> Embedders:
        """All that the settings name."""
        own = self.settings
        others = {name: partial(self._embedder_at, name) for name in own.embedders}
        others.pop(own.embedder, None)
        return Embedders(own.embedder, lambda: self.embedder, others)

    def _embedder_at(self, name: str) -> Embedder:
        with model_errors(), uncollected():
            from models.embedder import SentenceEmbedder
            from models.pull import located

            folder = located(name, self.settings.model_folder)
            return SentenceEmbedder(folder, self.settings.device, self.settings.threads)

    @cached_property
    def readers(self) -> Generators:
        if self.engine_client is not None:
            return RemoteReaders(self.engine_client)
        return AdaptedReaders(self.settings, self.store, lambda: self.block_store)

    @property
    def generator(self) -> Generator:
        """The one that reads passages of no collection; assigning replaces all readers by one."""
        return self.readers.of(None)

    @generator.setter
    def generator(self, only: Generator) -> None:
        self.readers = OneReader(only)

    @cached_property
    def reranker(self) -> Reranker:
        own = self.settings

        def encoder() -> Path:
            from models.pull import located

            return located(own.embedder, own.model_folder)

        candidates = own.rerank_candidates
        return ChosenReranker(
            own.reranker, candidates, lambda: self.embedder, encoder, device=own.device
        )

    @cached_property
    def verifiers(self) -> Verifiers:
        return ChosenVerifiers(self.settings.verifier, lambda: self.embedder)

    @property
    def verifier(self) -> Verifier:
        """The one that judges new answers."""
        return self.verifiers.now()

    @cached_property
    def answering(self) -> Answering:
        own = self.settings
        policy = Policy(
            passages=own.passages,
            candidates=own.candidates,
            min_support=own.min_support,
            min_confidence=own.min_confidence,
            max_question_characters=own.max_question_characters,
            sampling=Sampling(max_tokens=own.max_answer_tokens),
        )
        choosing = Choosing(self.store, self.searched, self.reranker, self.fuse, policy)
        return Answering(
            store=self.store,
            choosing=choosing,
            readers=self.readers,
            verifiers=self.verifiers,
            boxes=self.boxes,
            embedder=lambda: self.embedder,
        )

    @cached_property
    def search_engine(self) -> Engine | None:
        """Outside this process; None where it keeps its own index."""
        from rag.search_engines import open_engine

        return open_engine(self.settings)

    def index(self, collection: str) -> SearchIndex:
        """The searcher of a collection (by id) through its current embedding, kept by this
        process."""
        return self.searched(collection).index

    def searched(self, collection: str) -> Searched:
        """What a collection (by id) is searched with now. Raises UnknownCollection, ModelError when
        the settings name no embedder of that identity."""
        return self._searchers.of(collection)

    @cached_property
    def _searchers(self) -> Searchers:
        from rag.search_engines import Searchers

        return Searchers(self.settings, self.store, self.search_engine, lambda: self.embedders)

    def forget_index(self, collection: str) -> None:
        """Of a collection (by id) that was deleted, its files as well. What an engine that is away
        keeps of it is logged, and goes with `attest index sweep`."""
        self._searchers.forget(collection)

    def standings(self) -> Mapping[str, Standing]:
        """What the embedded searchers of this process use now, by collection (id)."""
        return self._searchers.standings() if "_searchers" in self.__dict__ else {}

    def fuse(self, collection: Collection) -> Fuse:
        """How the legs are joined: a weight tuned for the collection wins over the settings."""
        if self.settings.fusion == "rrf":
            return rrf
        weight = collection.settings.get("fusion_dense_weight", self.settings.fusion_dense_weight)
        return partial(convex, dense_weight=float(weight))

    def boxes(self, version: str, start: int, end: int) -> tuple[Box, ...]:
        """Where text[start:end] of a version stands on its pages; empty for formats without."""
        layout = self._layout(version)
        return () if layout is None else boxes_for(layout, start, end)

    def _read_layout(self, version: str) -> Layout | None:
        with self.store() as work:
            try:
                blob = work.documents.version(version).layout_blob
            except errors.NotFound:
                return None  # passages that were handed in and are not stored
        return None if blob is None else load_layout(self.blobs.get(blob))

    def warm(self) -> None:
        """Load what the first question would wait for, and drop what a killed process left of
        erased text. What cannot be loaded is logged: the question that needs it says so."""
        from rag.search_engines import sweep_snapshots

        self.warm_reader()
        _tried(lambda: sweep_snapshots(self.settings, self.store))
        _tried(lambda: self.embedder.embed(["ready"]))
        passage = Passage(Chunk("", "", 0, 5, "ready"), "", "", "", 1.0)
        _tried(lambda: self.reranker.rerank("ready", [passage]))

    def warm_reader(self) -> None:
        """As `warm`, without what retrieves: KV blocks are dropped, not snapshots."""
        _tried(lambda: self.kv_blocks.forget_keys(leftovers(self.store, self.kv_blocks)))
        _tried(lambda: self.readers.of(None))

    def gauges(self) -> Mapping[str, float]:
        """Numbers of the engine, the KV blocks and the searchers (all together; `index_recall` is
        the lowest), for metrics; of what was begun only."""
        found: dict[str, float] = {}
        readers = self.__dict__.get("readers")
        if isinstance(readers, AdaptedReaders):
            found |= readers.gauges()
        if "block_store" in self.__dict__:
            stats = asdict(self.block_store.stats())
            found |= {f"kv_blocks_{name}": value for name, value in stats.items()}
        if standings := list(self.standings().values()):
            for name in ("rows", "tail", "dead", "bytes"):
                found[f"index_{name}"] = sum(getattr(each, name) for each in standings)
            found["index_recall"] = min(each.recall for each in standings)
        return found

    def close(self) -> None:
        readers = self.__dict__.get("readers")
        if isinstance(readers, AdaptedReaders):
            readers.close()
        if (engine := self.__dict__.get("engine_client")) is not None:
            engine.close()
        if (searchers := self.__dict__.get("_searchers")) is not None:
            searchers.close()
        if (search_engine := self.__dict__.get("search_engine")) is not None:
            search_engine.close()
        if "store" in self.__dict__:
            self.store.close()


def _tried(work: Callable[[], object]) -> None:
    try:
        work()
    except errors.AttestError as exc:
        log.warning("models are not ready: %s", exc)


def open_attest(settings: Settings) -> Attest:
    """The parts over the data folder; the folder is made and the schema brought up to date.
    Raises BadSettings, StoreUnavailable or DiskFull."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise errors.BadSettings(f"the data folder {settings.data} cannot be made: {exc}") from exc
    upgrade(settings.database)
    return Attest(settings)
