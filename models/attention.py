"""Grouped-query attention over keys and values that lie side by side. Knows shapes only.

B sequences, T queries, S keys, heads = groups * kv_heads.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """q (B, heads, T, head_width), rotated; keys, values (B, kv_heads, S, head_width); mask
    (B or 1, 1, T, S), true = seen, or what `hidden` made of it; None: all is seen. Returns (B,
    heads, T, head_width)."""
    b, heads, t, width = q.shape
    groups = heads // keys.shape[1]
    # The query heads that share a key head become rows of one query: nothing is repeated.
    rows = q.reshape(b, keys.shape[1], groups * t, width)
    seen = mask
    if mask is not None and mask.dtype == torch.bool and t > 1:
        seen = mask.repeat(1, 1, groups, 1)
    read = F.scaled_dot_product_attention(rows, keys, values, attn_mask=seen)
    return read.view(q.shape)


def hidden(mask: Tensor, groups: int, dtype: torch.dtype) -> Tensor:
    """A mask (B or 1, 1, T, S), true = seen, as what is added to the scores of `groups` query heads
    per key head: made once, where it would be made anew by every layer."""
    added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return added.masked_fill_(~mask, float("-inf")).repeat(1, 1, groups, 1)


def attend_to_past(
    q: Tensor, k: Tensor, v: Tensor, past: tuple[Tensor, Tensor], markers: Tensor, place: Place
) -> Tensor:
    """Attention of T tokens to a past that all of them see and to those of their own that `place`
    lets them see; gradients reach q, k, v, `markers` and, where it wants them, the past.

    q (1, heads, T, w); k, v (1, kv_heads, T, w); past: keys and values, each (kv_heads, S, w);
    markers (N, kv_heads, w): row n is added to the values of passage n's tokens.
    """
    _, heads, t, width = q.shape
    rows = q.reshape(k.shape[1], heads // k.shape[1] * t, width)
    with torch.autocast(q.device.type, enabled=False):  # all are of the weights' type already
        out: Tensor = _PastAttention.apply(rows, k[0], v[0], *past, markers, place)  # type: ignore[no-untyped-call]
    return out.view(q.shape)


class Place:
    """Which past tokens belong to which passage, and which own tokens see which.

    `segments` (S,): passage number from 0, -1 for none; `own` (T, T): true = seen.
    """

    def __init__(
        self, segments: Tensor, own: Tensor, passages: int, groups: int, dtype: torch.dtype
    ) -> None:
        numbers = torch.arange(passages, device=segments.device)
        self.passage = (segments[:, None] == numbers).to(dtype)  # (S, N)
        hidden = torch.zeros(own.shape, dtype=dtype, device=own.device)
        self.hidden = hidden.masked_fill(~own, float("-inf")).repeat(groups, 1)  # (groups * T, T)


class _PastAttention(torch.autograd.Function):
    """Plain products in the weights' own type, softmax in one pass: on CPU several times faster
    than scaled_dot_product_attention's backward pass, which widens everything to float32."""

    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        past_keys: Tensor,
        past_values: Tensor,
        markers: Tensor,
        place: Place,
    ) -> Tensor:
        s = past_keys.shape[1]
        keys = torch.cat((past_keys, k), 1)
        added = torch.einsum("sn,nhw->hsw", place.passage, markers)
        values = torch.cat((past_values + added, v), 1)
        scores = (q * q.shape[-1] ** -0.5) @ keys.transpose(1, 2)
        scores[..., s:] += place.hidden
        seen = scores.softmax(-1)
        ctx.save_for_backward(q, keys, values, seen)
        ctx.place = place
        read: Tensor = seen @ values
        return read

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, keys, values, seen = ctx.saved_tensors
        passage = ctx.place.passage
        s, scale = len(passage), q.shape[-1] ** -0.5
        of_seen = grad @ values.transpose(1, 2)
        of_scores = torch._softmax_backward_data(of_seen, seen, -1, seen.dtype)
        of_q = (of_scores @ keys) * scale
        of_k = (of_scores[..., s:].transpose(1, 2) @ q) * scale
        of_v = seen[..., s:].transpose(1, 2) @ grad
        of_past: tuple[Tensor | None, Tensor | None] = (None, None)
        if ctx.needs_input_grad[3] or ctx.needs_input_grad[4]:
            past_keys = (of_scores[..., :s].transpose(1, 2) @ q) * scale
            of_past = past_keys, seen[..., :s].transpose(1, 2) @ grad
        of_markers = torch.einsum("hrn,hrw->nhw", seen[..., :s] @ passage, grad)
        return of_q, of_k, of_v, *of_past, of_markers, None
