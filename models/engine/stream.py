"""What a caller holds while the engine writes: pieces as they come, then the end or an error."""

from __future__ import annotations

from collections.abc import Iterator
from queue import SimpleQueue

from models.piece import Piece


class Stream(Iterator[Piece]):
    """Filled by the engine's thread, read by one other. Whoever stops reading calls `cancel`, and
    the engine writes no further."""

    def __init__(self) -> None:
        self._pieces: SimpleQueue[Piece | BaseException | None] = SimpleQueue()
        self.cancelled = False

    def put(self, piece: Piece) -> None:
        self._pieces.put(piece)

    def end(self, error: BaseException | None = None) -> None:
        """No more pieces; `error` is raised where they are read."""
        self._pieces.put(error)

    def cancel(self) -> None:
        self.cancelled = True

    def __next__(self) -> Piece:
        item = self._pieces.get()
        if item is None:
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item
