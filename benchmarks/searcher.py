"""A process that answers, as `benchmarks.search_size` asks it: by vectors made before."""

from __future__ import annotations

import time
from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import psutil

from benchmarks.collection import Real
from rag.fuse import convex
from rag.index.embedded import EmbeddedIndex
from rag.index.snapshot import LISTS, VECTORS
from rag.ports import Vectors
from rag.retrieve import retrieve
from rag.store.unit import SqlStore
from rag.words import Words

EMBEDDER = "benchmark"
CANDIDATES = 50


@dataclass
class Searcher:
    """The search as a process that answers has it, over vectors that were made before."""

    store: SqlStore
    index: EmbeddedIndex
    collection: str
    known: Real
    words: Words = field(default_factory=Words)
    identity: str = EMBEDDER
    max_tokens: int = 512
    most: int | None = 10  # passages read, as a search does; None: all, as an answer does

    def __post_init__(self) -> None:
        self._vectors = dict(zip(self.known.questions, self.known.asked, strict=True))
        self.dimension = self.known.vectors.shape[1]

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self._vectors[text] for text in texts])

    def ask(self, at: int, groups: Set[str]) -> dict[str, float]:
        """Milliseconds of one question, by stage."""
        began, had = time.perf_counter(), time.thread_time()
        found = retrieve(
            self.store,
            self.index,
            self,
            self.collection,
            self.known.questions[at % len(self.known.questions)],
            frozenset(groups),
            fuse=partial(convex, dense_weight=0.5),
            candidates=CANDIDATES,
            words=self.words,
            most=self.most,
        )
        had, took = time.thread_time() - had, time.perf_counter() - began
        stages = dict(found.timings)
        took -= stages.pop("embed")
        return {name: 1000 * s for name, s in {"all": took, "processor": had, **stages}.items()}


def memory() -> dict[str, int]:
    """MiB resident, by part: what is only this process's, what is mapped of the index's files, and
    all together."""
    parts = dict.fromkeys(("own", "vectors", "lists", "words", "libraries"), 0)
    for each in psutil.Process().memory_maps(grouped=True):
        name = Path(each.path).name
        part = {VECTORS: "vectors", LISTS: "lists"}.get(name, "libraries")
        if not each.path.startswith("/") or name.endswith("(deleted)"):
            part = "own"
        elif "working-" in each.path:
            part = "words"
        parts[part] += each.rss
    return {name: size // 2**20 for name, size in parts.items()} | {
        "all": psutil.Process().memory_info().rss // 2**20
    }
