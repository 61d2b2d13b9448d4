"""Positions with scores, best first, and the one way to a top k that is exact and repeatable."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ranked:
    """`positions[i]` scored `scores[i]`; both have shape (n,). Higher is better."""

    positions: NDArray[np.int64]
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.positions)

    def top(self, k: int) -> Ranked:
        """The best k, ties by position."""
        order = np.lexsort((self.positions, -self.scores))[:k]
        return Ranked(self.positions[order], self.scores[order])

    def within(self, allowed: NDArray[np.bool_]) -> Ranked:
        """Those whose position is allowed; positions past the end of `allowed` are not."""
        kept = self.positions < len(allowed)
        kept[kept] = allowed[self.positions[kept]]
        return Ranked(self.positions[kept], self.scores[kept])


NOTHING = Ranked(np.empty(0, np.int64), np.empty(0, np.float64))


def exact_top(
    best: Callable[[int], Ranked], allowed: NDArray[np.bool_], k: int, first: int
) -> Ranked:
    """The k best allowed rows, ties by position, exactly.

    `best(n)` gives the n best rows of any filter at least as wide as `allowed`, best first with
    ties in any order, and fewer than n only when there are no more. The look deepens from `first`
    until the kth allowed row scores more than the last row seen: then no unseen row can belong to
    the k, nor tie with one of them.
    """
    n = max(first, k + 1)
    while True:
        seen = best(n)
        kept = seen.within(allowed).top(k)
        settled = len(kept) == k and kept.scores[-1] > seen.scores[-1]
        if settled or len(seen) < n:
            return kept
        n *= 4


def best_of(positions: NDArray[np.int64], scores: NDArray[np.float32], k: int) -> Ranked:
    """The k best of all that were scored, ties by position; both have shape (n,)."""
    if len(scores) > k:
        cut = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = scores >= cut
        positions, scores = positions[kept], scores[kept]
    return Ranked(positions, scores.astype(np.float64)).top(k)
