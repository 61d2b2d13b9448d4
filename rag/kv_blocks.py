"""The KV blocks of a data folder, as the truth sees them: what must be forgotten of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from models.block_folder import BlockFolder
from models.block_key import text_key
from rag.errors import StoreUnavailable
from rag.model_errors import model_errors
from rag.ports import KVBlocks, Store


class FolderKVBlocks:
    """Those of every process that keeps blocks under `path`."""

    def __init__(self, path: Path) -> None:
        self._folder = BlockFolder(path)

    def forget(self, texts: Iterable[str]) -> None:
        with model_errors():
            self._folder.forget(texts)

    def keys(self) -> set[str]:
        return self._folder.keys()

    def sizes(self) -> list[int]:
        """Of each block on disk, in bytes."""
        return [size for _, size in self._folder.scan()]

    def mark(self) -> str:
        return self._folder.journal.name()

    def clear(self) -> None:
        """Lose every block, in the memory of every process too. Raises StoreUnavailable."""
        try:
            self._folder.clear()
        except OSError as exc:
            raise StoreUnavailable(
                f"the KV blocks cannot be removed: {exc}; make the folder writable, or stop Attest "
                "and delete it"
            ) from exc

    def forget_keys(self, keys: Iterable[str]) -> None:
        with model_errors():
            self._folder.forget_keys(keys)


def leftovers(store: Store, blocks: KVBlocks) -> set[str]:
    """The keys of blocks on disk whose text no live chunk shows: of text that was deleted by a
    process that was killed right after it had committed, or of passages that were never stored."""
    kept = blocks.keys()
    if not kept:
        return set()
    with store() as work:  # afterwards, since a document may come in meanwhile
        for collection in work.collections.all():
            kept.difference_update(map(text_key, work.chunks.shown(collection.id)))
    return kept & blocks.keys()  # and one may have been deleted


@dataclass(frozen=True, slots=True)
class Covered:
    """How many live chunks a collection (a name) has, and how many of them have a block on disk,
    whichever reader made it."""

    collection: str
    chunks: int
    with_block: int


def covered(store: Store, blocks: KVBlocks) -> list[Covered]:
    kept, found = blocks.keys(), []
    with store() as work:
        for collection in work.collections.all():
            has = [text_key(text) in kept for text in work.chunks.shown(collection.id)]
            found.append(Covered(collection.name, len(has), sum(has)))
    return found
