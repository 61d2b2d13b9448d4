"""Memory for the keys and values of the answers being written. Caches are used again, since memory
fresh from the system is mapped page by page while the first token waits.
"""

from __future__ import annotations

import torch

from models.config import ModelConfig
from models.kv import KVCache

STEP = 512  # capacities are multiples of it, so that one answer's cache fits the next


class CachePool:
    """At most `tokens` tokens in all caches together, those kept for later among them."""

    def __init__(
        self, config: ModelConfig, tokens: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._config, self._dtype, self._device = config, dtype, device
        self.tokens = tokens
        self._free: list[KVCache] = []
        self._held = 0  # tokens of all caches, free or taken

    @property
    def free(self) -> int:
        """Tokens that could still be taken."""
        return self.tokens - self._held + sum(cache.capacity for cache in self._free)

    def take(self, tokens: int) -> KVCache | None:
        """An empty cache for so many tokens; None when there is no room now."""
        wanted = -(-tokens // STEP) * STEP
        fitting = [cache for cache in self._free if cache.capacity >= wanted]
        if fitting:
            cache = min(fitting, key=lambda c: c.capacity)
            self._free.remove(cache)
            cache.rewind(0)
            return cache
        if wanted > self.free:
            return None
        while self._held + wanted > self.tokens:
            self._held -= self._free.pop(0).capacity
        self._held += wanted
        return KVCache(self._config, wanted, dtype=self._dtype, device=self._device)

    def give(self, cache: KVCache) -> None:
        """The cache is no longer used."""
        self._free.append(cache)

    def trim(self, tokens: int) -> bool:
        """Let go of free caches, the largest first, until they hold at most so many tokens
        together. Whether any went."""
        self._free.sort(key=lambda cache: cache.capacity)
        held = self._held
        while self._free and sum(cache.capacity for cache in self._free) > tokens:
            self._held -= self._free.pop().capacity
        return self._held < held

    @property
    def bytes(self) -> int:
        """Of all caches that are there, free or taken."""
        c = self._config
        return self._held * 2 * c.layers * c.kv_heads * c.head_width * self._dtype.itemsize
