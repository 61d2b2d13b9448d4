"""The KV blocks of a data folder, as the truth sees them: what must be forgotten of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from models.block_folder import BlockFolder
from models.block_key import text_key
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
