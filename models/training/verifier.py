"""Trains the verifier's head: labelled rows of numbers in, weights out. Seeded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class HeadPlan:
    """Strong regularisation: there are a few thousand labels."""

    units: int = 16
    networks: int = 5
    epochs: int = 25
    batch: int = 256
    rate: float = 5e-3
    weight_decay: float = 0.03
    dropout: float = 0.2
    seed: int = 0


def fit(rows: Array, labels: Array, weights: Array, plan: HeadPlan) -> dict[str, Array]:
    """rows (B, N), labels (B,) of 0 and 1, weights (B,) -> the tensors of `models.verifier`."""
    mean, scale = rows.mean(0), np.maximum(rows.std(0), 1e-6)
    x = torch.tensor((rows - mean) / scale, dtype=torch.float32)
    y = torch.tensor(labels, dtype=torch.float32)
    w = torch.tensor(weights / weights.mean(), dtype=torch.float32)
    networks = [_network(x, y, w, plan, plan.seed + k) for k in range(plan.networks)]
    stacked = {
        name: torch.stack([n[name] for n in networks]).numpy().astype(np.float64)
        for name in networks[0]
    }
    return {"mean": mean, "scale": scale} | stacked


def _network(x: Tensor, y: Tensor, w: Tensor, plan: HeadPlan, seed: int) -> dict[str, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    n, h = x.shape[1], plan.units
    w1 = nn.Parameter(torch.randn(n, h, generator=chance) / n**0.5)
    w2 = nn.Parameter(torch.randn(h, generator=chance) / h**0.5)
    b1, b2 = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(()))
    optimiser = torch.optim.AdamW([w1, b1, w2, b2], lr=plan.rate, weight_decay=plan.weight_decay)
    for _ in range(plan.epochs):
        order = torch.randperm(len(x), generator=chance)
        for at in range(0, len(x), plan.batch):
            rows = order[at : at + plan.batch]
            hidden = F.silu(x[rows] @ w1 + b1)
            kept = torch.rand(hidden.shape, generator=chance) >= plan.dropout
            logits = (hidden * kept / (1 - plan.dropout)) @ w2 + b2
            each = F.binary_cross_entropy_with_logits(logits, y[rows], reduction="none")
            loss = (each * w[rows]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    return {"w1": w1.detach(), "b1": b1.detach(), "w2": w2.detach(), "b2": b2.detach()}
