"""KV blocks made ahead of use: of the newest chunks first, each by the reader that answers its
collection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from rag.ports import Store, Warmers

_PAGE = 32  # chunks read at a time: seconds of work, so that what is encoded was live just before


@dataclass(frozen=True, slots=True)
class Warmed:
    """`blocks` were made; then every chunk had one ("done"), it was stopped, or the disk's room for
    such blocks was used up ("full")."""

    blocks: int
    ended: Literal["done", "stopped", "full"]


def warm(
    store: Store,
    readers: Warmers,
    collection: str | None,
    stop: Callable[[], bool],
    progress: Callable[[int], None],
) -> Warmed:
    """Make the blocks that the chunks of a collection (an id; None: of all) lack, until `stop()`;
    `progress` is told how many were made. Raises ModelError, UnknownAdapter, StoreUnavailable."""
    made, before = 0, None
    while not stop():
        with store() as work:
            page = work.chunks.newest(_PAGE, before, collection)
        if not page:
            return Warmed(made, "done")
        for owner, chunks in groupby(page, lambda chunk: chunk.collection):
            reader = readers.of(owner)
            new, ended = reader.warm((chunk.text for chunk in chunks), stop)
            made += new
            progress(made)
            if ended != "done":
                return Warmed(made, ended)
        before = page[-1].row
    return Warmed(made, "stopped")
