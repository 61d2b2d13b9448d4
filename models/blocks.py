"""KV blocks: the keys and values of one passage computed on its own, after the shared prefix, and
joined in any order at question time (Block-Attention, arXiv 2409.15355; keys are stored before
RoPE and rotated once). Knows token ids only. Gradients flow where the weights want them: an
adapter that is trained to read passages needs them, serving has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.kv import KVCache, Recorder
from models.rope import angles, rotate
from models.transformer import Transformer


@dataclass(frozen=True, slots=True)
class KVBlock:
    """`keys` (before RoPE) and `values`, each (layers, kv_heads, T, head_width)."""

    keys: Tensor
    values: Tensor

    @property
    def length(self) -> int:
        return self.keys.shape[2]


def encode(model: Transformer, ids: Sequence[int]) -> KVBlock:
    """The keys and values of tokens that nothing stands before: the prefix of every prompt."""
    recorder = Recorder()
    model(torch.tensor([list(ids)], device=model.device), kv=recorder)
    keys, values = recorder.recorded()
    return KVBlock(keys[:, 0], values[:, 0])


def encode_blocks(
    model: Transformer, prefix: KVBlock, passages: Sequence[Sequence[int]]
) -> list[KVBlock]:
    """One block per passage, in one padded batch. A passage sees the prefix and itself."""
    if not passages:
        return []
    longest = max(map(len, passages))
    ids = torch.zeros(len(passages), longest, dtype=torch.long)
    for row, passage in enumerate(passages):
        ids[row, : len(passage)] = torch.tensor(list(passage))
    recorder = Recorder(place(model, prefix, 0))
    model(ids.to(model.device), kv=recorder)
    keys, values = recorder.recorded()
    return [
        KVBlock(keys[:, row, :, : len(p)].contiguous(), values[:, row, :, : len(p)].contiguous())
        for row, p in enumerate(passages)
    ]


def place(model: Transformer, block: KVBlock, start: int) -> tuple[Tensor, Tensor]:
    """Rotated keys, and values, each (layers, 1, kv_heads, T, head_width), for position `start`."""
    positions = torch.arange(start, start + block.length, device=block.keys.device)
    cos, sin = angles(positions, model.frequency)  # type: ignore[arg-type]
    return rotate(block.keys, cos, sin)[:, None], block.values[:, None]


def join(
    model: Transformer,
    prefix: KVBlock,
    blocks: Sequence[KVBlock],
    markers: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Prefix and blocks side by side, each (layers, 1, kv_heads, S, head_width). Block i (from 0)
    gets marker vector i, (layers, kv_heads, head_width), added to its values."""
    keys, values = place(model, prefix, 0)
    all_keys, all_values, at = [keys], [values], prefix.length
    for number, block in enumerate(blocks):
        keys, values = place(model, block, at)
        if markers is not None and len(markers):
            values = values + markers[number][:, None, :, None].to(values.dtype)
        all_keys.append(keys)
        all_values.append(values)
        at += block.length
    return torch.cat(all_keys, 3), torch.cat(all_values, 3)


def mark(cache: KVCache, at: int, lengths: Sequence[int], markers: Tensor | None) -> None:
    """Add marker vector i to the values of passage i, where passages of these lengths were read in
    one pass and lie in the cache from `at` on."""
    if markers is None:
        return
    for number, length in enumerate(lengths):
        added = markers[number][:, None, :, None].to(cache.values.dtype)
        cache.values[:, :, :, at : at + length] += added
        at += length
