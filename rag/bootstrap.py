"""The composition root: the only place that knows both the core and the adapters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from pathlib import Path
from threading import Lock

from models import errors as model
from rag import errors
from rag.answering import Answering, Policy
from rag.domain import Box, Collection, Passage, Sampling
from rag.fuse import convex, rrf
from rag.layout import Layout, boxes_for, load_layout
from rag.ports import Blobs, Embedder, Generator, Reranker, SearchIndex
from rag.reading import Limits
from rag.retrieve import Fuse
from rag.settings import Settings
from rag.store.blobs import FolderBlobs
from rag.store.migrate import upgrade
from rag.store.unit import SqlStore, open_store

SHIPPED_ADAPTERS = Path(model.__file__).parent / "adapters"
_LAYOUTS_KEPT = 64


class InRetrievedOrder:
    """The reranker that keeps the order of retrieval."""

    def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        return passages


class Attest:
    """The parts of one process over one data folder, each built when it is first used. Parts can
    be replaced by assigning them before their first use (`attest.generator = ...`)."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._indexes: dict[str, SearchIndex] = {}
        self._lock = Lock()
        self._layout = lru_cache(maxsize=_LAYOUTS_KEPT)(self._read_layout)

    @cached_property
    def store(self) -> SqlStore:
        return open_store(self.settings.database, max_attempts=self.settings.max_attempts)

    @cached_property
    def blobs(self) -> Blobs:
        return FolderBlobs(self.settings.blobs)

    @cached_property
    def embedder(self) -> Embedder:
        from models.embedder import SentenceEmbedder
        from models.pull import located

        with model_errors():
            folder = located(self.settings.embedder, self.settings.model_folder)
            return SentenceEmbedder(folder, self.settings.device, self.settings.threads)

    @cached_property
    def generator(self) -> Generator:
        return _generator(self.settings)

    @cached_property
    def reranker(self) -> Reranker:
        return InRetrievedOrder()

    @cached_property
    def answering(self) -> Answering:
        own = self.settings
        sure = own.min_confidence
        sure = self.generator.min_confidence if sure is None else sure
        policy = Policy(
            passages=own.passages,
            candidates=own.candidates,
            limits=Limits(own.min_support, sure),
            max_question_characters=own.max_question_characters,
            sampling=Sampling(max_tokens=own.max_answer_tokens),
        )
        return Answering(
            store=self.store,
            index=self.index,
            embedder=self.embedder,
            generator=self.generator,
            reranker=self.reranker,
            fuse=self.fuse,
            boxes=self.boxes,
            policy=policy,
        )

    def index(self, collection: str) -> SearchIndex:
        """The searcher of a collection (by id), kept by this process."""
        from rag.index.embedded import EmbeddedIndex

        with self._lock:
            if collection not in self._indexes:
                self._indexes[collection] = EmbeddedIndex(
                    self.store, collection, self.embedder.dimension, self.settings.lexical
                )
            return self._indexes[collection]

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

    def close(self) -> None:
        if "store" in self.__dict__:
            self.store.close()


def open_attest(settings: Settings) -> Attest:
    """The parts over the data folder; the folder is made and the schema brought up to date.
    Raises BadSettings, StoreUnavailable or DiskFull."""
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise errors.BadSettings(f"the data folder {settings.data} cannot be made: {exc}") from exc
    upgrade(settings.database)
    return Attest(settings)


def _generator(settings: Settings) -> Generator:
    import torch

    from models.checkpoint import load
    from models.generator import TransformerGenerator
    from models.hardware import choose_device, choose_dtype
    from models.lora import describe_adapter, load_adapter
    from models.pull import located

    if settings.threads:
        torch.set_num_threads(settings.threads)
    with model_errors():
        device = choose_device(settings.device)
        dtype = choose_dtype(settings.dtype, device)
        checkpoint = load(located(settings.model, settings.model_folder), dtype, device)
        folder = adapter_folder(settings)
        if folder is None:
            return TransformerGenerator(checkpoint)
        card = describe_adapter(folder).card
        adapter = load_adapter(folder, checkpoint.model)
        name = f"{settings.adapter}@{card.get('digest', 'unknown')}"
        thresholds = {k: float(card[k]) for k in ("refuse_above", "min_confidence") if k in card}
        return TransformerGenerator(checkpoint, adapter, name, **thresholds)


def adapter_folder(settings: Settings) -> Path | None:
    """Where the adapter of the settings lies: "none" is no adapter; "default" is the one shipped
    for the model, if there is one; else a name under `<data>/adapters` or a path. Raises
    WeightsMissing."""
    if settings.adapter == "none":
        return None
    if settings.adapter == "default":
        shipped = SHIPPED_ADAPTERS / settings.model
        return shipped if shipped.is_dir() else None
    for path in (settings.data / "adapters" / settings.adapter, Path(settings.adapter)):
        if path.is_dir():
            return path
    raise errors.WeightsMissing(
        f"there is no adapter {settings.adapter!r} under {settings.data / 'adapters'}; use "
        "'default', 'none', or the path of an adapter folder"
    )


@contextmanager
def model_errors() -> Iterator[None]:
    """Raise the errors of `models` as ours."""
    try:
        yield
    except model.ModelError as exc:
        ours = getattr(errors, type(exc).__name__, errors.ModelError)
        raise ours(str(exc)) from exc
