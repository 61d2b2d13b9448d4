"""A KV block as it is kept, and as bytes.

    "attestk1" | CRC-32 of all that follows | length of the header | header (JSON) | tensors

Numbers are little-endian and 32 bits wide; the header is padded with spaces so that the tensors
begin at a multiple of 64 bytes. CRC-32 was the fastest checksum of the standard library here, after
Adler-32, which is weaker (docs/experiments.md); it guards against damage, not against intent.
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor

from models.block_key import Place
from models.block_quantise import quantise, restore
from models.blocks import KVBlock

Precision = Literal["int8", "exact"]
_MAGIC = b"attestk1"  # format 1
_FRAME = struct.Struct("<8sII")
_CHECKED = 12  # what the checksum is of begins here
_ALIGNED = 64


class Damaged(Exception):
    """These bytes are not the block they should be."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A block as it is kept, on the CPU: as "int8" the levels and scale codes of the keys and of
    the values, as "exact" the keys and the values. `dtype` is what it is used in."""

    precision: Precision
    dtype: torch.dtype
    shape: tuple[int, ...]  # of the keys and of the values: (layers, kv_heads, T, head_width)
    tensors: tuple[Tensor, ...]

    @classmethod
    def of(cls, block: KVBlock, precision: Precision) -> Stored:
        """Raises ValueError for a block that cannot be kept."""
        shape = tuple(block.keys.shape)
        if len(shape) != 4 or not prod(shape) or shape != tuple(block.values.shape):
            raise ValueError(f"keys {shape} and values {tuple(block.values.shape)} are no block")
        if precision == "int8":
            tensors = [*quantise(block.keys), *quantise(block.values)]
        else:
            tensors = [each.detach().cpu().clone() for each in (block.keys, block.values)]
        return cls(precision, block.keys.dtype, shape, tuple(t.contiguous() for t in tensors))

    def block(self, device: torch.device | str) -> KVBlock:
        """As every user of it gets it, bit for bit."""
        if self.precision == "int8":
            levels, codes, value_levels, value_codes = self.tensors
            keys = restore(levels, codes, self.dtype)
            values = restore(value_levels, value_codes, self.dtype)
        else:
            keys, values = self.tensors
        return KVBlock(keys.to(device), values.to(device))

    def pack(self, place: Place) -> bytes:
        header = {
            "dtype": str(self.dtype).removeprefix("torch."),
            "precision": self.precision,
            "reading": place.folder,
            "shape": self.shape,
            "text": place.text,
        }
        head = json.dumps(header).encode()
        head += b" " * (-(_FRAME.size + len(head)) % _ALIGNED)
        parts = [struct.pack("<I", len(head)) + head]
        parts += [t.view(torch.uint8).numpy().data.cast("B") for t in self.tensors]  # type: ignore[misc]
        check = 0
        for part in parts:
            check = zlib.crc32(part, check)
        return b"".join([_MAGIC, struct.pack("<I", check), *parts])


def unpack(data: bytearray, place: Place) -> Stored:
    """What `pack` wrote for this place; its tensors lie in `data`. Raises Damaged."""
    if len(data) < _FRAME.size:
        raise Damaged(f"{len(data)} bytes are too few")
    magic, check, length = _FRAME.unpack_from(data)
    if magic != _MAGIC:
        raise Damaged("not a KV block of this format")
    if zlib.crc32(memoryview(data)[_CHECKED:]) != check:
        raise Damaged("its checksum differs")
    header = json.loads(data[_FRAME.size : _FRAME.size + length])
    if (header["reading"], header["text"]) != place:
        raise Damaged("it is another one's")
    dtype: torch.dtype = getattr(torch, header["dtype"])
    shape, precision = tuple(header["shape"]), header["precision"]
    at, tensors = _FRAME.size + length, []
    for kind, size in _layout(precision, dtype, shape):
        tensors.append(torch.frombuffer(data, dtype=kind, count=prod(size), offset=at).view(size))
        at += prod(size) * kind.itemsize
    return Stored(precision, dtype, shape, tuple(tensors))


def _layout(
    precision: Precision, dtype: torch.dtype, shape: tuple[int, ...]
) -> list[tuple[torch.dtype, tuple[int, ...]]]:
    """Dtype and shape of each tensor, in their order."""
    if precision == "exact":
        return [(dtype, shape)] * 2
    layers, heads, _, width = shape
    return [(torch.int8, shape), (torch.uint8, (layers, heads, 1, width))] * 2
