"""Tiny blocks that tell from which text they are."""

from __future__ import annotations

import torch

from models.block_file import Stored
from models.block_key import BlockKey, text_key
from models.blocks import KVBlock

SHAPE = (2, 1, 3, 4)
IN_MEMORY = 2 * 2 * 3 * 4 * 4  # bytes of one in float32


def key(text: str, reading: str = "base") -> BlockKey:
    return BlockKey(reading, text_key(text))


def made(text: str, reading: str = "base") -> KVBlock:
    seed = int(text_key(f"{reading} {text}")[:8], 16)
    chance = torch.Generator().manual_seed(seed)
    return KVBlock(torch.randn(SHAPE, generator=chance), torch.randn(SHAPE, generator=chance))


ON_DISK = len(Stored.of(made(""), "exact").pack(key("").place))  # and of its file; int8 has less


def same(one: KVBlock | None, other: KVBlock | None) -> bool:
    if one is None or other is None:
        return one is other
    return torch.equal(one.keys, other.keys) and torch.equal(one.values, other.values)
