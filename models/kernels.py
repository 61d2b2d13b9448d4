"""What a decoder multiplies and computes by where this processor has a quicker way than torch's: a
CPU that multiplies in bfloat16. Chosen once, at the start. Knows tensors only.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

one_at_a_time = Lock()  # numba's simplest threads serve one caller only


class Packed:
    """A linear map: the weights are laid out once in the order in which oneDNN's matrix product
    reads them, instead of at every call."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """weight (out, in) bfloat16, bias (out,)."""
        # torch carries no types for its own operators.
        self._packed = torch.ops.mkldnn._reorder_linear_weight(weight, 64)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        """x (..., in) -> x W^T + b (..., out)."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._packed, self._bias, "none", [], "")
        return y

    def onto(self, x: Tensor, y: Tensor) -> Tensor:
        """y (..., out) + x W^T + b, rounded once."""
        linear = torch.ops.mkldnn._linear_pointwise.binary
        total: Tensor = linear(x, y, self._packed, self._bias, "add")
        return total


class Between:
    """What stands between the products, each in one compiled pass (`models.fused`) instead of a
    handful of small operations. All tensors are bfloat16."""

    def __init__(self) -> None:
        from models import fused

        fused.keep_compiled()
        self._fused: Any = fused

    def norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        """RMSNorm of x (..., D)."""
        rows = x.reshape(-1, x.shape[-1])
        out = torch.empty_like(rows)
        with one_at_a_time:
            self._fused.norm(bits(rows), bits(weight), np.float32(eps), bits(out))
        return out.view(x.shape)

    def rotate(self, x: Tensor, heads: int, cos: Tensor, sin: Tensor) -> Tensor:
        """The first heads of x (1, T, all heads, width), rotated by cos, sin (1, 1, T, width)
        float32, as (1, heads, T, width)."""
        _, t, _, width = x.shape
        out = torch.empty(1, heads, t, width, dtype=x.dtype)
        with one_at_a_time:
            self._fused.rotate(bits(x[0]), cos[0, 0].numpy(), sin[0, 0].numpy(), bits(out[0]))
        return out

    def gate(self, both: Tensor) -> Tensor:
        """silu of the first half of (..., 2 F) times the second half."""
        rows = both.reshape(-1, both.shape[-1])
        out = torch.empty(len(rows), both.shape[-1] // 2, dtype=both.dtype)
        with one_at_a_time:
            self._fused.gate(bits(rows), bits(out))
        return out.view(*both.shape[:-1], -1)


def bits(tensor: Tensor) -> NDArray[np.uint16]:
    """bfloat16 numbers as their bits, which numpy has no type for; the same memory."""
    found: NDArray[np.uint16] = tensor.view(torch.int16).numpy().view(np.uint16)
    return found
