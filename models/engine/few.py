"""Passes over a few tokens, which is how answers are written: the weights as int8, all layers in
one compiled function (`models.fused`). For decoders of the plain kind on a CPU; everything else
goes through `Transformer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.kv import KVCache
from models.rope import angles
from models.transformer import Transformer

_one_at_a_time = Lock()  # numba's simplest threads serve one caller only


def can_be_fused(model: Transformer) -> bool:
    """Whether the compiled function does what this decoder does."""
    c = model.config
    plain = not (c.qkv_bias or c.out_bias or c.qk_norm or c.window)
    whole = not any(n % 32 for n in (c.width, c.ffn_width, c.head_width))
    return plain and whole and model.device.type == "cpu" and model.dtype == torch.bfloat16


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """int8 (out, in) and a float32 scale for each row, (out,): rounded to 1/127 of the row's
    largest weight."""
    wide = weight.to(torch.float32)
    scale = (wide.abs().amax(1) / 127).clamp_min(1e-12)
    return (wide / scale[:, None]).round_().to(torch.int8), scale


class Few:
    """Made from a decoder's unpacked weights; the model's embedding is shared, nothing else."""

    def __init__(self, model: Transformer) -> None:
        from models import fused

        fused.keep_compiled()
        self._fused, self._config = fused, model.config
        self._embedding, self._frequency = model.embedding, model.frequency
        names = ("attention_norm.weight", "ffn_norm.weight")
        norms = [torch.stack([own.get_parameter(n) for n in names]) for own in model.layers]
        self._norms = torch.stack(norms).to(torch.float32).numpy()
        self._norm = model.norm.weight.to(torch.float32).numpy()
        self._layers = [
            array
            for name in ("attention.qkv", "attention.out", "ffn.gate_up", "ffn.down")
            for array in _stacked([layer.get_parameter(f"{name}.weight") for layer in model.layers])
        ]
        head, scale = quantised(model.head.weight)
        self._head = head.numpy(), scale.numpy()
        # Compile now, or read what was compiled before: not when the first answer waits for it.
        self([0], [(KVCache(model.config, 1, dtype=torch.bfloat16), 1)])

    def __call__(self, ids: Sequence[int], parts: Sequence[tuple[KVCache, int]]) -> Tensor:
        """Logits (N, vocabulary) float32 of N new tokens; `parts`: the cache of each answer
        (bfloat16) and how many of the tokens are its own. The caches grow by them."""
        caches = [cache for cache, tokens in parts for _ in range(tokens)]
        places = [cache.length + i for cache, tokens in parts for i in range(tokens)]
        for cache, tokens in parts:
            cache.advance(tokens)
        c, eps, threads = self._config, np.float32(self._config.norm_eps), torch.get_num_threads()
        x = self._embedding(torch.tensor(ids)).to(torch.float32).numpy()
        cos, sin = (t.numpy() for t in angles(torch.tensor(places), self._frequency))  # type: ignore[arg-type]
        keys, values = (
            np.array([t.data_ptr() for t in of], np.int64)
            for of in ([c.keys for c in caches], [c.values for c in caches])
        )
        room, at = np.array([c.capacity for c in caches], np.int64), np.array(places, np.int64)
        with _one_at_a_time:
            hidden = self._fused.forward(
                x, cos, sin, self._norms, *self._layers, keys, values, room, at,
                c.heads, c.kv_heads, eps, threads,
            )  # fmt: skip
            found: NDArray[np.float32] = self._fused.logits(
                hidden, self._norm, *self._head, eps, threads
            )
        return torch.from_numpy(found)


def _stacked(weights: Sequence[Tensor]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    numbers, scales = zip(*map(quantised, weights), strict=True)
    return torch.stack(numbers).numpy(), torch.stack(scales).numpy()
