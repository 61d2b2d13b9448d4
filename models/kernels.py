"""Linear maps in the layout that this processor multiplies fastest, chosen once, at the start.
Knows matrices only.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Kernel(Protocol):
    """x (..., in) -> x W^T + b (..., out), in x's type."""

    def __call__(self, x: Tensor) -> Tensor: ...


class Packed:
    """bfloat16 on a CPU that multiplies in it: the weights are laid out once in the order in which
    oneDNN's matrix product reads them, instead of at every call."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight (out, in) bfloat16, bias (out,)."""
        # torch carries no types for its own operators.
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, 64)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return y
