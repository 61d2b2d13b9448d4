"""The KV blocks of this data folder and of an engine process, which may have a folder of its own:
what must be forgotten is forgotten in both (ERASED)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.block_key import text_key
from rag.engine_client import EngineClient
from rag.engine_wire import BlockKeys
from rag.errors import EngineUnavailable, StoreUnavailable
from rag.ports import KVBlocks

_AT_ONCE = 10_000  # keys in one request


@dataclass(frozen=True, slots=True)
class SharedKVBlocks:
    """Only keys go over the line, no text."""

    here: KVBlocks
    engine: EngineClient

    def forget(self, texts: Iterable[str]) -> None:
        self.forget_keys(text_key(text) for text in texts)

    def keys(self) -> set[str]:
        """Raises StoreUnavailable when the engine cannot be asked."""
        try:
            there = self.engine.get(BlockKeys, "/kv-blocks")
        except EngineUnavailable as exc:
            raise StoreUnavailable(f"the engine's KV blocks cannot be seen: {exc}") from exc
        return self.here.keys().union(there.keys)

    def forget_keys(self, keys: Iterable[str]) -> None:
        named = sorted(set(keys))
        try:
            self.here.forget_keys(named)
        finally:
            for at in range(0, len(named), _AT_ONCE):
                self._forget_there(named[at : at + _AT_ONCE])

    def _forget_there(self, keys: list[str]) -> None:
        try:
            self.engine.post(int, "/forget", BlockKeys(keys))
        except EngineUnavailable as exc:
            raise StoreUnavailable(
                f"KV blocks of erased text could not be erased in the engine: {exc}. Nobody is "
                "shown them; start the engine anew, and it erases what no live chunk shows"
            ) from exc
