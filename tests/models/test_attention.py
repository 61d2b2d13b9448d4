"""The attention of adapter training equals torch's, values and gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.attention import Place, attend_to_past

HEADS, KV_HEADS, WIDTH, PASSAGES = 6, 2, 8, 3
SEGMENTS = torch.tensor([-1, -1, 0, 0, 0, 1, 2, 2, 2])
OWNERS = torch.tensor([0, 0, 0, 1, 1, 2])


def by_torch(
    q: Tensor, k: Tensor, v: Tensor, past: tuple[Tensor, Tensor], markers: Tensor
) -> Tensor:
    added = torch.stack([markers[n] if n >= 0 else torch.zeros_like(markers[0]) for n in SEGMENTS])
    keys = torch.cat((past[0], k[0]), 1)
    values = torch.cat((past[1] + added.transpose(0, 1), v[0]), 1)
    own = (OWNERS[:, None] == OWNERS[None]).tril()
    mask = torch.cat((own.new_ones(len(OWNERS), len(SEGMENTS)), own), 1)
    repeat = HEADS // KV_HEADS
    return F.scaled_dot_product_attention(
        q, keys.repeat_interleave(repeat, 0)[None], values.repeat_interleave(repeat, 0)[None], mask
    )


def test_values_and_gradients_equal_torchs() -> None:
    chance = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, generator=chance)  # noqa: E731
    t, s = len(OWNERS), len(SEGMENTS)
    q, k, v = draw(1, HEADS, t, WIDTH), draw(1, KV_HEADS, t, WIDTH), draw(1, KV_HEADS, t, WIDTH)
    past = draw(KV_HEADS, s, WIDTH), draw(KV_HEADS, s, WIDTH)
    markers, upstream = draw(PASSAGES, KV_HEADS, WIDTH), draw(1, HEADS, t, WIDTH)
    own = (OWNERS[:, None] == OWNERS[None]).tril()
    place = Place(SEGMENTS, own, PASSAGES, HEADS // KV_HEADS, q.dtype)
    found = []
    for attention in (
        lambda *leaves: attend_to_past(*leaves[:3], past, leaves[3], place),
        lambda *leaves: by_torch(*leaves[:3], past, leaves[3]),
    ):
        leaves = [x.clone().requires_grad_() for x in (q, k, v, markers)]
        y = attention(*leaves)
        y.backward(upstream)
        found.append([y, *(x.grad for x in leaves)])
    for ours, theirs in zip(*found, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-5)
