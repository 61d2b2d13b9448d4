"""The words of the chunks that questions find, so that each is analysed once and not at every
question that finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rag.analyse import analyse
from rag.domain import Passage
from rag.prompt import shown

MOST = 16_384  # chunks, about 12 MB


class Words:
    """Of one process; safe to share by threads. Chunks never change, so their ids name their words.
    Everything is dropped when a collection moves on: a deletion takes a generation, so what was
    deleted is not held beyond the next question (ERASED)."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._held: dict[str, Sequence[str]] = {}
        self._newest: dict[str, int] = {}

    def of(
        self, passages: Iterable[Passage], collection: str, newest: int
    ) -> Mapping[str, Sequence[str]]:
        """The analysed words of what a reader is shown, by chunk. All passages are visible in the
        collection's `newest` generation."""
        if self._newest.get(collection) != newest or len(self._held) >= self._most:
            self._held = {}  # threads that still fill the old one fill what nobody reads
            self._newest[collection] = newest
        held = self._held
        found = {}
        for passage in passages:
            id = passage.chunk.id
            found[id] = held[id] if id in held else analysed(passage)
            if len(held) < self._most:
                held[id] = found[id]
        return found


def analysed(passage: Passage) -> Sequence[str]:
    return tuple(analyse(shown(passage)))
