"""The back ends of the search port, as the contract suite meets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from uuid import uuid4

import pytest
from hypothesis import given, settings

from rag.index.embedded import EmbeddedIndex, LexicalName
from rag.index.engine import Engine
from rag.index.fed import FedIndex
from rag.index.sizes import Sizes
from rag.ports import SearchIndex
from tests.index.truth import DIMENSION, Truth


class Wiped(SearchIndex, Protocol):
    """A search index whose rows can be dropped."""

    def forget(self) -> None: ...


class Backend(Protocol):
    """`exact`: the dense leg is held to the best k, bit by bit of the order; else to finding no
    row it may not and at least nine in ten of those it should. `steady`: a row's BM25 score is the
    same behind every filter. `examples`: how many random cases a property is tried on."""

    name: str
    exact: bool
    steady: bool
    examples: int

    def index(self, truth: Truth) -> Wiped:
        """A new one, over the only collection of `truth`."""
        ...


class Embedded:
    exact = True
    steady = True
    examples = 60

    def __init__(self, name: LexicalName) -> None:
        self.name = name

    def index(self, truth: Truth) -> EmbeddedIndex:
        return EmbeddedIndex(truth.store, "c", DIMENSION, self.name)


class OnDisk:
    """The embedded index with a snapshot of its first rows, made before the first question; all
    that comes later lies behind it. The lists are looked into far enough to find all rows."""

    name = "snapshots"
    exact = True
    steady = True
    examples = 15
    sizes = Sizes(snapshot=4, approximate=6, exact_rows=5)

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders

    def index(self, truth: Truth) -> EmbeddedIndex:
        if not truth.collection:
            truth.collection = uuid4().hex
        folder = self._folders.getbasetemp() / truth.collection
        return EmbeddedIndex(truth.store, "c", DIMENSION, folder=folder, sizes=self.sizes)


class Fed:
    """An engine on a server that every test of the session shares, each truth with a collection of
    its own; a truth's indexes share it, as processes do. `opening`: what another process writes to
    have it as `engine`."""

    def __init__(
        self, name: str, engine: Engine, opening: str, examples: int, steady: bool
    ) -> None:
        self.name = name
        self.engine = engine
        self.opening = opening
        self.exact = engine.exact
        self.examples = examples
        self.steady = steady

    def index(self, truth: Truth) -> FedIndex:
        if not truth.collection:
            truth.collection = uuid4().hex
        return FedIndex(
            truth.store, truth.collection, DIMENSION, self.engine, truth.alone, rows_at_once=7
        )


def explore(backend: Backend, **cases: Any) -> Callable[[Callable[..., None]], None]:
    """Run the decorated function at once, on as many random cases as the back end can afford."""

    def run(check: Callable[..., None]) -> None:
        settings(max_examples=backend.examples, deadline=None)(given(**cases)(check))()

    return run
