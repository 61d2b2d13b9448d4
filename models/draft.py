"""Guesses at what is written next, looked up in the passages: answers copy them (prompt lookup
decoding, Saxena 2023; "inference with reference", arXiv 2304.04487). A guess is checked by the
model before it counts, so it can cost time but never change a word. Knows token ids only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

_LONGEST = 32  # tokens that two ends are compared by


class Lookup:
    """`passages` are the ids of the passages, in prompt order."""

    def __init__(self, passages: Sequence[Sequence[int]]) -> None:
        self._passages = passages
        self._after: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.copied: int | None = None  # the passage (from 0) that the last guess came from
        for number, ids in enumerate(passages):
            for at, token in enumerate(ids, 1):
                self._after[token].append((number, at))

    def guess(self, written: Sequence[int], most: int) -> Sequence[int]:
        """What follows, in a passage, the longest end of `written` that occurs in one; of equals
        the passage copied from last, then the first."""
        best, found = (0, False), None
        for number, at in self._after.get(written[-1], ()) if written else ():
            rank = self._shared(written, number, at), number == self.copied
            if rank > best:
                best, found = rank, (number, at)
        if found is None:
            return ()
        self.copied, at = found
        if best[0] == 1 and len(self._after[written[-1]]) > 1:
            most = min(most, 1)  # one common word in several places says little
        return self._passages[self.copied][at : at + most]

    def _shared(self, written: Sequence[int], number: int, at: int) -> int:
        """How many tokens before place `at` are the last ones written."""
        ids, length = self._passages[number], 1
        longest = min(len(written), at, _LONGEST)
        while length < longest and ids[at - length - 1] == written[-length - 1]:
            length += 1
        return length
