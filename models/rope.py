"""Rotary position embedding (Su et al. 2021, arXiv 2104.09864), half-split layout.

R(s) R(j) = R(s + j): a key kept unrotated can be placed at any position by one rotation.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from models.config import ModelConfig, RopeScaling


def frequencies(config: ModelConfig) -> Tensor:
    """Angle per position and pair, (head_width / 2,) float32."""
    exponents = torch.arange(0, config.head_width, 2, dtype=torch.float32) / config.head_width
    base = 1.0 / (config.rope_theta**exponents)
    return base if config.rope_scaling is None else _scaled(base, config.rope_scaling)


def _scaled(base: Tensor, scaling: RopeScaling) -> Tensor:
    if scaling.kind == "linear":
        return base / scaling.factor
    if scaling.kind == "factors":
        return base / torch.tensor(scaling.factors)
    wavelength = 2 * math.pi / base
    low = scaling.original_positions / scaling.low_frequency
    high = scaling.original_positions / scaling.high_frequency
    smooth = (scaling.original_positions / wavelength - scaling.low_frequency) / (
        scaling.high_frequency - scaling.low_frequency
    )
    blended = (1 - smooth) * base / scaling.factor + smooth * base
    scaled = torch.where(wavelength > low, base / scaling.factor, base)
    return torch.where((wavelength <= low) & (wavelength >= high), blended, scaled)


def angles(positions: Tensor, frequency: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin, each (..., head_width) float32, for integer `positions` (...)."""
    turn = positions.to(torch.float32)[..., None] * frequency.to(positions.device)
    turn = torch.cat((turn, turn), dim=-1)
    return turn.cos(), turn.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate x (..., T, head_width) by angles (..., T, head_width); computed in float32, one
    rounding to x's type."""
    wide = x.to(torch.float32)
    first, second = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)
