"""Guesses at what is written next, looked up in the passages: answers copy them (prompt lookup
decoding, Saxena 2023; "inference with reference", arXiv 2304.04487). A guess is checked by the
model before it counts, so it can cost time but never change a word. Knows token ids only.
"""

from __future__ import annotations

from collections.abc import Sequence

LONGEST = 3  # tokens at the end of what is written that are looked up


class Lookup:
    """`passages` are the ids of the passages, in prompt order."""

    def __init__(self, passages: Sequence[Sequence[int]]) -> None:
        self._passages = passages
        self._places: dict[tuple[int, ...], tuple[int, int]] = {}
        self.copied: int | None = None  # the passage (from 0) that the last guess came from
        for number, ids in enumerate(passages):
            for at in range(len(ids)):
                for length in range(1, min(LONGEST, at + 1) + 1):
                    key = tuple(ids[at + 1 - length : at + 1])
                    self._places.setdefault(key, (number, at + 1))

    def guess(self, written: Sequence[int], most: int) -> tuple[int, ...]:
        """What follows, in a passage, the longest end of `written` that occurs in one; the
        passage that was copied from last is preferred."""
        for length in range(min(LONGEST, len(written)), 0, -1):
            place = self._places.get(tuple(written[-length:]))
            if place is not None:
                number, at = place
                self.copied = number
                return tuple(self._passages[number][at : at + most])
        return ()
