"""A linear map whose rows may hold several named projections (fused q, k, v or gate, up)."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.kernels import Packed


class Delta(Protocol):
    """What an adapter adds to a projection: x (..., in) and its y (..., out) -> y (..., out)."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor: ...


class Projection(nn.Module):
    """y = x W^T + b, plus the adapter's delta when one is attached.

    `parts` are (name, rows) in row order; their names are the checkpoint's (q_proj, ...), so that
    adapters trained on separate projections fit the fused one.
    """

    def __init__(self, width: int, parts: tuple[tuple[str, int], ...], bias: bool = False) -> None:
        super().__init__()
        self.parts = parts
        rows = sum(size for _, size in parts)
        self.weight = nn.Parameter(torch.empty(rows, width), requires_grad=False)
        self.bias = nn.Parameter(torch.zeros(rows), requires_grad=False) if bias else None
        self.delta: Delta | None = None
        self.kernel: Packed | None = None

    def pack(self) -> None:
        """Multiply by weights laid out for this processor (see `Packed`); the ones they were made
        of are let go, so the projection can no longer be trained or merged into."""
        self.kernel = Packed(self.weight, self.bias)
        self.weight = nn.Parameter(torch.empty_like(self.weight, device="meta"), False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.linear(x, self.weight, self.bias) if self.kernel is None else self.kernel(x)
        return y if self.delta is None else self.delta(x, y)
