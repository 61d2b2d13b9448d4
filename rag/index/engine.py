"""What a search engine outside this process must do to be fed and asked by `rag.index.fed`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rag.domain import Filter
from rag.ports import Delta


@dataclass(frozen=True, slots=True)
class Held:
    """What an engine holds of one collection: everything up to `generation` of the history that
    `mark` tells from others (`Chunks.mark`), in the build called `build`, 32 hexadecimal digits. A
    build begins empty and only grows; a wiped collection is fed again under a new name."""

    build: str
    generation: int
    mark: str


NONE_HELD = Held("", 0, "")


@dataclass(frozen=True, slots=True)
class Found:
    """A row that an engine found. Higher scores are better."""

    row: int
    chunk: str
    score: float


class BuildGone(Exception):
    """The build is not there any more, so its rows may be gone in part. Engines raise it and
    `FedIndex` answers it; nobody else sees it."""


class Engine(Protocol):
    """Holds the rows of many collections (by id; any text). Every method raises IndexUnavailable
    when the engine is away or refuses; none ever answers in part. What `apply` has recorded, every
    later call of every process sees. Safe to share by threads."""

    @property
    def exact(self) -> bool:
        """Whether the dense leg finds the best k behind every filter; else it misses some."""
        ...

    def held(self, collection: str) -> Held:
        """What the last finished `apply` recorded; `NONE_HELD` where there was none."""
        ...

    def begin(self, collection: str, build: str, dimension: int) -> None:
        """Make room for a new build, for rows with vectors of `dimension` numbers. Records
        nothing."""
        ...

    def apply(self, collection: str, delta: Delta, held: Held) -> None:
        """Take over the rows born and ended into the build `held.build`, and then record `held`.
        Done again, wholly or in part, it changes nothing more. Vectors have been checked. Never
        called by two at once for one collection. Raises Corrupt when a row ended that is not here,
        BuildGone."""
        ...

    def lexical(
        self, collection: str, build: str, tokens: Sequence[str], filter: Filter, k: int
    ) -> list[Found]:
        """The k best permitted rows by BM25 (k1 and b of `rag.index.lexical`) over
        `rag.index.terms.terms`, best first, ties by row; rows without any of the tokens are not
        found. A repeated token counts again. `tokens`, k and whatever the filter lists are never
        empty. Rights, generation and conditions are applied before the cut. Raises BuildGone
        unless the build was wholly there until the last row was found."""
        ...

    def dense(
        self, collection: str, build: str, vector: NDArray[np.float32], filter: Filter, k: int
    ) -> list[Found]:
        """As `lexical`, by the inner product with a unit vector of the rows' dimension."""
        ...

    def chunks(self, collection: str, build: str, generation: int) -> Iterator[str]:
        """All that are live at `generation`, in any order; those left of a build that is gone."""
        ...

    def rows(self, collection: str, build: str) -> int:
        """How many a build holds, ended ones with them; 0 of one that is gone."""
        ...

    def leave_out(self, collection: str, build: str, documents: Collection[str], until: int) -> int:
        """Remove for good the ended rows of these documents, and every row that died up to `until`;
        how many. What is left is found as before. Done again it goes on where it was. Not beside
        `apply`. Raises BuildGone."""
        ...

    def forget(self, collection: str) -> None:
        """Remove every build of the collection, unfinished ones too, and what was recorded (that
        first)."""
        ...

    def sweep(self, kept: Collection[str]) -> int:
        """Forget every collection but these, as those that were deleted while the engine was away;
        how many there were."""
        ...

    def close(self) -> None: ...
