"""Keys and values between calls. Knows layers and positions; not what the tokens mean.

Shapes: keys and values of one layer are (B, kv_heads, T, head_width).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from models.attention import attend
from models.config import ModelConfig


class KV(Protocol):
    """What attention reads from and writes to. `length` counts the tokens already held. One that
    `decides` what is seen by whom needs no mask and gets none."""

    @property
    def length(self) -> int: ...

    @property
    def decides(self) -> bool: ...

    def attend(
        self, layer: int, q: Tensor, raw: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        """Add this call's keys (`raw` before RoPE, `keys` after) and values, and return what the
        queries `q` (B, heads, T, head_width) read from all of them under `mask` (B or 1, 1, T,
        length + T; None: everything is seen), in q's shape."""
        ...

    def advance(self, tokens: int) -> None:
        """All layers have been extended by `tokens`."""
        ...


class KVCache:
    """Preallocated, appended in place: no copy per step. Raises ValueError past its capacity."""

    decides = False

    def __init__(
        self,
        config: ModelConfig,
        capacity: int,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        shape = (config.layers, batch, config.kv_heads, capacity, config.head_width)
        self.keys = torch.empty(shape, dtype=dtype, device=device)
        self.values = torch.empty(shape, dtype=dtype, device=device)
        self.capacity = capacity
        self._length = 0

    @property
    def length(self) -> int:
        return self._length

    def attend(
        self, layer: int, q: Tensor, raw: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        end = self._length + keys.shape[2]
        if end > self.capacity:
            raise ValueError(f"{end} tokens do not fit the cache of {self.capacity}")
        self.keys[layer, :, :, self._length : end] = keys
        self.values[layer, :, :, self._length : end] = values
        return attend(q, self.keys[layer, :, :, :end], self.values[layer, :, :, :end], mask)

    def advance(self, tokens: int) -> None:
        self._length += tokens

    def rewind(self, length: int) -> None:
        """Forget everything after the first `length` tokens."""
        if not 0 <= length <= self._length:
            raise ValueError(f"cannot rewind {self._length} tokens to {length}")
        self._length = length

    def append(self, keys: Tensor, values: Tensor) -> None:
        """Place rotated keys and values, (layers, B, kv_heads, T, head_width), at the end."""
        end = self._length + keys.shape[3]
        if end > self.capacity:
            raise ValueError(f"{end} tokens do not fit the cache of {self.capacity}")
        self.keys[:, :, :, self._length : end] = keys
        self.values[:, :, :, self._length : end] = values
        self._length = end


class Recorder:
    """Sees a fixed past (already rotated) and keeps the raw keys and values of what is added: this
    is how the keys and values of one passage are computed on their own.

    `past`: keys and values, each (layers, 1, kv_heads, P, head_width), or None.
    """

    decides = False

    def __init__(self, past: tuple[Tensor, Tensor] | None = None) -> None:
        self._past = past
        self._raw: list[Tensor] = []
        self._values: list[Tensor] = []

    @property
    def length(self) -> int:
        return 0 if self._past is None else self._past[0].shape[3]

    def attend(
        self, layer: int, q: Tensor, raw: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None
    ) -> Tensor:
        self._raw.append(raw)
        self._values.append(values)
        if self._past is None:
            return attend(q, keys, values, mask)
        past_keys = self._past[0][layer].expand(keys.shape[0], -1, -1, -1)
        past_values = self._past[1][layer].expand(keys.shape[0], -1, -1, -1)
        keys, values = torch.cat((past_keys, keys), 2), torch.cat((past_values, values), 2)
        return attend(q, keys, values, mask)

    def advance(self, tokens: int) -> None:
        return

    def recorded(self) -> tuple[Tensor, Tensor]:
        """Raw keys and values, each (layers, B, kv_heads, T, head_width)."""
        return torch.stack(self._raw), torch.stack(self._values)
