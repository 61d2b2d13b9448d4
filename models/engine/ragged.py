"""One pass of the model over new tokens of several answers, each with keys and values of its own:
the tokens lie in one row, so that every linear map is one product for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from models.attention import hidden
from models.config import ModelConfig
from models.kv import KVCache
from models.transformer import causal, windowed


class Ragged:
    """`parts`: the cache of each answer and how many new tokens it gets, in the row's order."""

    decides = True
    length = 0

    def __init__(self, config: ModelConfig, parts: Sequence[tuple[KVCache, int]]) -> None:
        self._config, self._parts = config, tuple(parts)
        self._masks = [self._seen(cache, tokens) for cache, tokens in parts]

    @property
    def positions(self) -> Tensor:
        """(1, N): where the new tokens stand."""
        places = [torch.arange(c.length, c.length + n) for c, n in self._parts]
        return torch.cat(places)[None].to(self._parts[0][0].keys.device)

    def attend(
        self, layer: int, q: Tensor, raw: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        near = self._config.window is not None and layer >= self._config.windowed_from
        at, read = 0, []
        for (cache, tokens), masks in zip(self._parts, self._masks, strict=True):
            own = slice(at, at + tokens)
            at += tokens
            new = raw[:, :, own], keys[:, :, own], values[:, :, own]
            read.append(cache.attend(layer, q[:, :, own], *new, masks[near]))
        return read[0] if len(read) == 1 else torch.cat(read, 2)

    def advance(self, tokens: int) -> None:
        for cache, own in self._parts:
            cache.advance(own)

    def _seen(self, cache: KVCache, tokens: int) -> tuple[Tensor | None, Tensor | None]:
        """The masks of layers without and with a window; None where everything is seen."""
        past, window = cache.length, self._config.window
        far = window is not None and past + tokens > window
        if tokens == 1 and not far:
            return None, None
        every = causal(past, tokens, cache.keys.device)[None, None]
        near = windowed(every, past, tokens, window) if far else None
        groups, dtype = self._config.heads // self._config.kv_heads, cache.keys.dtype
        wide = None if tokens == 1 else hidden(every, groups, dtype)
        return wide, wide if near is None else hidden(near, groups, dtype)
