"""The lexical leg's port: BM25 over rows that are already analysed to tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rag.index.mask import Mask
from rag.index.ranked import Ranked

K1 = 1.2  # saturation of term frequency
B = 0.75  # how far length is normalised


class Lexical(Protocol):
    """Rows are numbered from 0 in the order they were added; none is ever removed, rows that died
    are left out by the mask and keep counting in the statistics. `add` may run beside searches,
    `show` and `search` may not run beside `show`. The same rows give the same scores, however
    they were divided over calls of `add`."""

    def add(self, rows: Sequence[Sequence[str]], labels: Sequence[Sequence[str]] = ()) -> None:
        """Append the tokens of new rows and the labels that masks name them by, none if no mask has
        labels; no search sees them before `show`. Raises IndexUnavailable, after which this object
        is of no more use."""
        ...

    def show(self) -> None:
        """Let searches see all rows added so far."""
        ...

    def search(self, tokens: Sequence[str], mask: Mask, k: int) -> Ranked:
        """The k best permitted rows that hold at least one of the tokens, ties by position. A token
        counts as often as it is given, in any order. Raises IndexUnavailable."""
        ...
