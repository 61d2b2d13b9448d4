"""Keys and values in one byte each.

Keys before RoPE have a few channels that are far larger than the rest (KIVI, arXiv 2402.02750), so
each channel of a head has a scale of its own, over the tokens of the block; values gain from the
same (docs/experiments.md). A scale is itself one byte: an eighth of an octave, rounded up, so that
nothing is clipped. Its value has 8 significant bits, so that byte times scale is exact in float32
and rounded once to the model's dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor

_LEVELS = 127
LARGEST = 127 * 2.0**11.5  # magnitudes above have no scale


def _scales() -> Tensor:
    """(256,) ascending from 2**-20 to 2**11.875, each the next bfloat16 above its power of two."""
    exact = torch.exp2(torch.arange(256, dtype=torch.float64) / 8 - 20)
    mantissa, exponent = torch.frexp(exact)
    return torch.ldexp((mantissa * 256).ceil() / 256, exponent).float()


SCALES = _scales()


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """`x` (layers, kv_heads, T, head_width) as int8, and the codes of its scales, uint8 (layers,
    kv_heads, 1, head_width). Within half a scale of `x`; a scale is at most 9.6% larger than the
    channel's largest magnitude / 127, or 2**-20. Raises ValueError for what is not finite or larger
    than LARGEST."""
    x = x.detach().to("cpu", torch.float32)
    largest = x.abs().amax(2, keepdim=True)
    if not bool((largest <= LARGEST).all()):  # false for NaN too
        raise ValueError(f"keys or values of magnitude {largest.max():g} cannot be quantised")
    codes = torch.searchsorted(SCALES, largest / _LEVELS)
    levels = (x / SCALES[codes]).round_().clamp_(-_LEVELS, _LEVELS)
    return levels.to(torch.int8), codes.to(torch.uint8)


def restore(levels: Tensor, codes: Tensor, dtype: torch.dtype) -> Tensor:
    """What `quantise` took, in `dtype`: float32, or bfloat16, where levels and scales are exact."""
    return levels.to(dtype).mul_(SCALES[codes.long()].to(dtype))
