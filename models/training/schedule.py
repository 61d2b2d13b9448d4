"""How long a run is, how fast it learns at each moment, and the seconds it has taken."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from models.lora import Adapter
from models.training.errors import BadPlan


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """`steps` optimiser steps of `accumulate` episodes each (all processes together). With
    `minutes`, the schedule follows whichever of steps and time is further on and training ends
    with it: then the curve depends on the machine's speed. `recompute`: keep each layer's input
    only and compute the rest again for the gradients (less memory, a third more time).
    `autocast`: products in bfloat16 also where the base weights are float32; None: on a GPU."""

    steps: int = 2000
    accumulate: int = 1
    learning_rate: float = 8e-4
    marker_rate: float = 4e-3
    warmup: int = 30
    weight_decay: float = 0.01
    clip: float = 1.0
    checkpoint_every: int = 50
    minutes: float = 0.0
    recompute: bool = False
    autocast: bool | None = None

    def __post_init__(self) -> None:
        """Raises BadPlan."""
        if min(self.steps, self.accumulate, self.checkpoint_every) < 1:
            raise BadPlan("steps, accumulate and checkpoint_every must be at least 1")
        if min(self.learning_rate, self.marker_rate, self.clip) <= 0:
            raise BadPlan("learning_rate, marker_rate and clip must be above 0")
        if min(self.warmup, self.weight_decay, self.minutes) < 0:
            raise BadPlan("warmup, weight_decay and minutes must not be below 0")


@dataclass
class Clock:
    """Seconds spent training, counted over restarts."""

    before: float
    started: float

    @classmethod
    def after(cls, seconds: float) -> Clock:
        return cls(seconds, time.monotonic())

    def spent(self) -> float:
        return self.before + time.monotonic() - self.started


def fraction_done(step: int, seconds: float, settings: TrainSettings) -> float:
    """How much of the schedule lies behind after `step` steps; 1 or more: it has ended."""
    by_time = seconds / (60 * settings.minutes) if settings.minutes else 0.0
    return max(step / settings.steps, by_time)


def rate_factor(step: int, fraction: float, warmup: int) -> float:
    """What the learning rates are multiplied by in step `step` (from 0): linear warm-up, then half
    a cosine down to 2% (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warm = min(1.0, (step + 1) / max(warmup, 1))
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(fraction, 1.0))))


def optimiser_of(adapter: Adapter, settings: TrainSettings) -> torch.optim.AdamW:
    """AdamW (arXiv 1711.05101); the marker vectors learn at a rate of their own, undecayed."""
    lora = [p for n, p in adapter.named_parameters() if n != "markers"]
    groups = [
        {"params": lora, "base": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": [adapter.markers], "base": settings.marker_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def set_rates(optimiser: torch.optim.AdamW, factor: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * factor
