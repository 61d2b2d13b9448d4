"""Passes over a few tokens, which is how answers are written: the weights as int8, all layers in
one compiled function (`models.fused`), each answer with its own adapter or none. For decoders of
the plain kind on a CPU; everything else goes through `Transformer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.blocks import KVBlock
from models.kernels import bits, one_at_a_time
from models.kv import KVCache
from models.lora import Adapter, LoraDelta
from models.prepared import Prepared, Tensors
from models.projection import Projection
from models.rope import angles
from models.transformer import Transformer

_PROJECTIONS = ("attention.qkv", "attention.out", "ffn.gate_up", "ffn.down")
_PARTS = 3  # most that one projection has
_PARTS_OF_INT8 = ("numbers", "scale")
_STEP = 16  # numbers that one instruction takes


def can_be_fused(model: Transformer) -> bool:
    """Whether the compiled function does what this decoder does."""
    c = model.config
    plain = not (c.qkv_bias or c.out_bias or c.qk_norm or c.window)
    whole = not any(n % (2 * _STEP) for n in (c.width, c.ffn_width, c.head_width))
    return plain and whole and model.device.type == "cpu" and model.dtype == torch.bfloat16


def quantised(weight: Tensor) -> tuple[Tensor, Tensor]:
    """int8 (out, in) and a float32 scale for each row, (out,): rounded to 1/127 of the row's
    largest weight."""
    wide = weight.to(torch.float32)
    scale = (wide.abs().amax(1) / 127).clamp_min(1e-12)
    return (wide / scale[:, None]).round_().to(torch.int8), scale


@dataclass(frozen=True, eq=False, slots=True)
class FewLora:
    """An adapter as the compiled function reads it; `tensors` keeps alive what `at` points to.
    at (layers, 4, 3, 2), ranks (4, 3)."""

    tensors: tuple[Tensor, ...]
    at: NDArray[np.int64]
    ranks: NDArray[np.int64]


class Few:
    """Made from a decoder's weights before they are packed; shares its embedding."""

    def __init__(
        self, model: Transformer, prepared: Prepared | None = None, identity: str = ""
    ) -> None:
        """`prepared` keeps the int8 weights of the model of that identity."""
        from models import fused

        fused.keep_compiled()
        self._fused, self._config = fused, model.config
        self._embedding, self._frequency = model.embedding, model.frequency
        names = ("attention_norm.weight", "ffn_norm.weight")
        norms = [torch.stack([own.get_parameter(n) for n in names]) for own in model.layers]
        self._norms = torch.stack(norms).to(torch.float32).numpy()
        self._norm = model.norm.weight.to(torch.float32).numpy()
        kept = prepared or Prepared()
        found = kept.tensors("int8", identity, lambda: _quantised(model))
        arrays = {name: tensor.numpy() for name, tensor in found.items()}
        self._layers = [arrays[f"{n}.{part}"] for n in _PROJECTIONS for part in _PARTS_OF_INT8]
        self._head = tuple(arrays[f"head.{part}"] for part in _PARTS_OF_INT8)
        self._columns = _columns(model)
        # Compile now, or read what was compiled before: not when the first answer waits for it.
        cache = KVCache(model.config, 2, dtype=torch.bfloat16)
        self([0], [(cache, 1, None)])
        block = KVBlock(cache.keys[:, 0, :, :1].clone(), cache.values[:, 0, :, :1].clone())
        self.join(cache, [block], None)

    def lora(self, adapter: Adapter) -> FewLora:
        """The adapter, ready to be named in a pass."""
        layers = self._config.layers
        at = np.zeros((layers, len(_PROJECTIONS), _PARTS, 2), np.int64)
        ranks = np.zeros((len(_PROJECTIONS), _PARTS), np.int64)
        tensors: list[Tensor] = []
        for layer in range(layers):
            for which, name in enumerate(_PROJECTIONS):
                key = f"layers/{layer}/{name.replace('.', '/')}"
                if key not in adapter.deltas:
                    continue
                delta: LoraDelta = adapter.deltas[key]  # type: ignore[assignment]
                for part, (named, _) in enumerate(delta.parts):
                    if named not in delta.a:
                        continue
                    a = delta.a[named].to(torch.bfloat16).contiguous()
                    b = (delta.b[named].T * delta.scale).to(torch.bfloat16).contiguous()
                    at[layer, which, part] = a.data_ptr(), b.data_ptr()
                    ranks[which, part] = a.shape[0]
                    tensors += [a, b]
        return FewLora(tuple(tensors), at, ranks)

    def __call__(
        self, ids: Sequence[int], parts: Sequence[tuple[KVCache, int, FewLora | None]]
    ) -> Tensor:
        """Logits (N, vocabulary) float32 of N new tokens; `parts`: the cache of each answer
        (bfloat16), how many of the tokens are its own, and its adapter. The caches grow by them."""
        rows = [(cache, i, lora) for cache, tokens, lora in parts for i in range(tokens)]
        places = [cache.length + i for cache, i, _ in rows]
        for cache, tokens, _ in parts:
            cache.advance(tokens)
        c, eps, threads = self._config, np.float32(self._config.norm_eps), torch.get_num_threads()
        x = self._embedding(torch.tensor(ids)).to(torch.float32).numpy()
        cos, sin = (t.numpy() for t in angles(torch.tensor(places), self._frequency))  # type: ignore[arg-type]
        keys = np.array([cache.keys.data_ptr() for cache, _, _ in rows], np.int64)
        values = np.array([cache.values.data_ptr() for cache, _, _ in rows], np.int64)
        room = np.array([cache.capacity for cache, _, _ in rows], np.int64)
        adapters = [lora for lora in dict.fromkeys(lora for _, _, lora in rows) if lora is not None]
        own = np.array([adapters.index(r[2]) if r[2] is not None else -1 for r in rows], np.int64)
        at = np.zeros((len(adapters), c.layers, len(_PROJECTIONS), _PARTS, 2), np.int64)
        ranks = np.zeros((len(adapters), len(_PROJECTIONS), _PARTS), np.int64)
        for number, lora in enumerate(adapters):
            at[number], ranks[number] = lora.at, lora.ranks
        with one_at_a_time:
            hidden = self._fused.forward(
                x, cos, sin, self._norms, *self._layers, keys, values, room,
                np.array(places, np.int64), own, at, ranks, self._columns, self._norm,
                c.heads, c.kv_heads, eps, threads,
            )  # fmt: skip
        return self._logits(hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """(N, vocabulary) float32 from hidden states (N, D)."""
        return self._logits(hidden.to(torch.float32).contiguous().numpy())

    def _logits(self, hidden: NDArray[np.float32]) -> Tensor:
        with one_at_a_time:
            found = self._fused.logits(hidden, *self._head, torch.get_num_threads())
        return torch.from_numpy(found)

    def join(self, cache: KVCache, blocks: Sequence[KVBlock], markers: Tensor | None) -> None:
        """As `models.blocks.join`, into a cache: the blocks one after the other, the first (the
        prefix) without a marker."""
        c = self._config
        none = np.zeros((c.layers, c.kv_heads, c.head_width), np.float32)
        into = bits(cache.keys[:, 0]), bits(cache.values[:, 0])
        end = cache.length + sum(block.length for block in blocks)
        if end > cache.capacity:
            raise ValueError(f"{end} tokens do not fit the cache of {cache.capacity}")
        for number, block in enumerate(blocks):
            places = torch.arange(cache.length, cache.length + block.length)
            cos, sin = (t.numpy() for t in angles(places, self._frequency))  # type: ignore[arg-type]
            marker = none
            if number and markers is not None:
                marker = markers[number - 1].to(torch.bfloat16).to(torch.float32).numpy()
            own = bits(block.keys.contiguous()), bits(block.values.contiguous())
            with one_at_a_time:
                self._fused.place(*own, *into, cache.length, cos, sin, marker)
            cache.advance(block.length)


def _columns(model: Transformer) -> NDArray[np.int64]:
    """(4, 3, 2): first column and size of each part of each projection."""
    columns = np.zeros((len(_PROJECTIONS), _PARTS, 2), np.int64)
    for which, name in enumerate(_PROJECTIONS):
        projection: Projection = model.layers[0].get_submodule(name)  # type: ignore[assignment]
        first = 0
        for part, (_, size) in enumerate(projection.parts):
            columns[which, part] = first, size
            first += size
    return columns


def _quantised(model: Transformer) -> Tensors:
    """Numbers and scales of the projections, (layers, out, in) and (layers, out), and the head."""
    found = dict(zip(("head.numbers", "head.scale"), quantised(model.head.weight), strict=True))
    for name in _PROJECTIONS:
        weights = [layer.get_parameter(f"{name}.weight") for layer in model.layers]
        numbers, scales = zip(*map(quantised, weights), strict=True)
        found |= {f"{name}.numbers": torch.stack(numbers), f"{name}.scale": torch.stack(scales)}
    return found
