"""The lexical leg on `rank_bm25`: the reference every other lexical index is held against.

Right for a few thousand rows: each `add` counts everything anew, each search scores every row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rank_bm25 import BM25Okapi

from rag.index.lexical import K1, B
from rag.index.mask import Mask
from rag.index.ranked import NOTHING, Ranked


class RankBm25Lexical:
    """Okapi BM25 (Robertson et al. 1994) as `BM25Okapi` computes it: exact lengths, and an IDF
    without Lucene's +1 in which terms of more than half of the rows get a quarter of the mean IDF.
    Scores can be zero or less, so a row counts as found when it holds a token."""

    def __init__(self) -> None:
        self._rows: list[list[str]] = []
        self._added: BM25Okapi | None = None
        self._shown: BM25Okapi | None = None

    def add(self, rows: Sequence[Sequence[str]], labels: Sequence[Sequence[str]] = ()) -> None:
        self._rows = [*self._rows, *(list(row) for row in rows)]
        if any(self._rows):  # BM25Okapi divides by the number of tokens
            self._added = BM25Okapi(self._rows, k1=K1, b=B)

    def show(self) -> None:
        self._shown = self._added

    def search(self, tokens: Sequence[str], mask: Mask, k: int) -> Ranked:
        if k < 1 or not tokens or not mask.count or self._shown is None:
            return NOTHING
        wanted = set(tokens)
        found = np.array([not wanted.isdisjoint(row) for row in self._shown.doc_freqs], bool)
        scores = np.asarray(self._shown.get_scores(sorted(tokens)), np.float64)
        return Ranked(np.arange(len(scores)), scores).within(found).within(mask.allowed).top(k)
