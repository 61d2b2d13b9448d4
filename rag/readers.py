"""Which weights read: one base in memory, and over it the adapter that answers a collection, looked
up for each question, so that a promotion or a rollback holds from the next one on.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from models import errors as model
from rag import errors
from rag.adapters import answering, weights_of
from rag.domain import Adapter, adapter_identity
from rag.model_errors import model_errors
from rag.ports import Generator, Store, Warmer
from rag.settings import Settings
from rag.uncollected import uncollected

if TYPE_CHECKING:
    from models.checkpoint import Checkpoint
    from models.engine.engine import Blocks, Engine

SHIPPED_ADAPTERS = Path(model.__file__).parent / "adapters"
DEFAULT, NONE = "default", "none"
_KEPT = 16  # readers; an adapter is small beside its base


@dataclass(frozen=True, slots=True)
class Weights:
    """An adapter's folder under the name it answers by. `digest` is the sha256 its weights file
    must have, "" where nothing promises one."""

    name: str
    folder: Path
    digest: str = ""


class OneReader:
    """The same reader for every collection: a fake, or one built elsewhere."""

    def __init__(self, only: Generator) -> None:
        self._only = only

    def of(self, collection: str | None) -> Generator:
        return self._only

    def named(self, adapter: str) -> Generator:
        if adapter != self._only.adapter:
            raise _gone(adapter, self._only.model)
        return self._only


class AdaptedReaders:
    """The readers of the settings' model. The setting `adapter` "default" leaves the choice to the
    registry and, where nothing is promoted, to what is shipped; any other value forces one.
    Adapters act beside the base's weights; with the setting `merge_adapter` that of all collections
    that have none of their own is merged into a copy of them. Nothing is loaded before the first
    question. With `passages_only` nothing is made ready but what KV blocks ahead of use need."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        blocks: Callable[[], Blocks],
        passages_only: bool = False,
    ) -> None:
        self._settings, self._store, self._blocks = settings, store, blocks
        self._passages_only = passages_only
        self._lock = RLock()
        self._readers: OrderedDict[Weights | None, Warmer] = OrderedDict()

    def of(self, collection: str | None) -> Warmer:
        return self._reader(self.chosen(collection))

    def named(self, adapter: str) -> Generator:
        name, _, digest = adapter.partition("@")
        if name == NONE:
            return self._reader(None)
        for weights in self._known(digest):
            reader = self._reader(weights)
            if reader.adapter.partition("@")[2] == digest:
                return reader
        raise _gone(adapter, self.identity)

    @cached_property
    def identity(self) -> str:
        """Which model the settings name."""
        from models.checkpoint import identity_at
        from models.pull import located

        with model_errors():
            return identity_at(located(self._settings.model, self._settings.model_folder))

    @cached_property
    def base(self) -> Checkpoint:
        """The settings' model for training, read once; the engine lays its own out otherwise."""
        return load_base(self._settings)

    @cached_property
    def engine(self) -> Engine:
        """What runs the settings' model for all readers."""
        with uncollected():
            from models.engine.engine import Engine, Limits

            limits = Limits(self._settings.answers_at_once, self._settings.answers_waiting)
            return Engine(load_base(self._settings), self._blocks(), limits, self._passages_only)

    def gauges(self) -> Mapping[str, float]:
        """How busy the engine is; nothing before it was started."""
        return self.engine.gauges() if "engine" in self.__dict__ else {}

    def close(self) -> None:
        """Stop the engine, if it was started."""
        if "engine" in self.__dict__:
            self.engine.close()

    def chosen(self, collection: str | None) -> Weights | None:
        """The adapter that answers a collection's questions now; None: the base alone does."""
        own = self._settings
        if own.adapter != DEFAULT:
            return forced(own)
        with self._store() as work:
            found = answering(work, self.identity, collection)
        return shipped(own) if found is None else self._registered(found)

    def _registered(self, adapter: Adapter) -> Weights:
        return Weights(adapter.name, weights_of(adapter, self._settings.data), adapter.digest)

    def _known(self, digest: str) -> list[Weights]:
        """Whatever may have these weights, the most likely first."""
        own = self._settings
        with self._store() as work:
            found = work.adapters.of_digest(digest) if digest else []
        same = [adapter for adapter in found if adapter.base == self.identity]
        there = [self._registered(a) for a in same if (own.data / a.folder).is_dir()]
        others = [shipped(own), forced(own) if own.adapter != DEFAULT else None]
        return [*there, *(weights for weights in others if weights is not None)]

    def _reader(self, weights: Weights | None) -> Warmer:
        with self._lock:
            if weights not in self._readers:
                merges = self._settings.merge_adapter and not self._passages_only
                usual = merges and weights == self.chosen(None)
                if usual and weights is not None:  # merged in place of the one before it
                    self._readers.clear()
                with model_errors():
                    self._readers[weights] = read(self.engine, weights, merge=usual)
            self._readers.move_to_end(weights)
            while len(self._readers) > _KEPT:
                self._readers.popitem(last=False)
            return self._readers[weights]


def load_base(settings: Settings) -> Checkpoint:
    """The settings' model. Raises WeightsMissing, WeightsCorrupt, UnsupportedCheckpoint."""
    place_compiled(settings)
    import torch

    from models.checkpoint import load
    from models.hardware import choose_device, choose_dtype
    from models.prepared import Prepared
    from models.pull import located

    if settings.threads:
        torch.set_num_threads(settings.threads)
    with model_errors():
        device = choose_device(settings.device)
        dtype = choose_dtype(settings.dtype, device)
        prepared = Prepared(settings.prepared_folder)
        return load(located(settings.model, settings.model_folder), dtype, device, prepared)


def place_compiled(settings: Settings) -> None:
    """Where the package's folder may not be written, as in a read-only container, have numba keep
    what it compiles in the data folder, which outlives a container as its user's cache would not.
    To be called before numba is imported; a NUMBA_CACHE_DIR that is set stays."""
    if not os.access(SHIPPED_ADAPTERS.parent, os.W_OK):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(settings.prepared_folder / "compiled"))


def prepare(settings: Settings) -> None:
    """Make what every start of the engine needs of the settings' model and the adapter that comes
    with it, and keep it in the data folder: some seconds once, then none. Raises as `load_base`."""
    from models.block_store import BlockStore
    from models.engine.engine import Engine

    engine = Engine(load_base(settings), BlockStore(None, 0, 0))
    weights = shipped(settings) if settings.adapter == DEFAULT else forced(settings)
    try:
        with model_errors():
            read(engine, weights, settings.merge_adapter)
    finally:
        engine.close()


def read(engine: Engine, weights: Weights | None, merge: bool = False) -> Warmer:
    """The engine's model with one adapter, merged or not. Raises the errors of `models`:
    WeightsCorrupt too when the file is not the one that was registered."""
    from models.lora import WEIGHTS, describe_adapter, load_adapter
    from models.manifest import sha256_of
    from rag.own_reader import OwnReader

    if weights is None:
        return OwnReader(engine)
    card = describe_adapter(weights.folder).card
    adapter = load_adapter(weights.folder, engine.checkpoint.model)
    digest = sha256_of(weights.folder / WEIGHTS)
    if weights.digest not in ("", digest):
        raise model.WeightsCorrupt(
            f"{weights.folder / WEIGHTS} is not what was registered as {weights.name!r}: expected "
            f"sha256 {weights.digest}, found {digest}; restore it, or retire the adapter"
        )
    name = adapter_identity(weights.name, digest)
    tuned = {k: card[k] for k in ("min_confidence", "confidence") if k in card}
    return OwnReader(engine, adapter, name, merge=merge, **tuned)


def shipped(settings: Settings) -> Weights | None:
    """The adapter that comes with the settings' model, if there is one; a model that is named by
    its path has none."""
    named = settings.model
    folder = SHIPPED_ADAPTERS / named
    return Weights(named, folder) if Path(named).name == named and folder.is_dir() else None


def forced(settings: Settings) -> Weights | None:
    """What the setting `adapter` names: "none", a name under `<data>/adapters`, or a path. Raises
    WeightsMissing."""
    named = settings.adapter
    if named == NONE:
        return None
    for path in (settings.data / "adapters" / named, Path(named)):
        if path.is_dir():
            return Weights(path.name, path)
    raise errors.WeightsMissing(
        f"there is no adapter {named!r} under {settings.data / 'adapters'}; use {DEFAULT!r}, "
        f"{NONE!r}, or the path of an adapter folder"
    )


def _gone(adapter: str, base: str) -> errors.UnknownAdapter:
    return errors.UnknownAdapter(
        f"the adapter {adapter!r} that wrote this answer is not here, or is not one of {base}; "
        "put its folder back, or set the model back"
    )
