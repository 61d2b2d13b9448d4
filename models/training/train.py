"""The training loop: AdamW, warm-up and cosine, clipping, accumulation, checkpoints it can go on
from after being killed. Knows examples and losses; not where records come from.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from models.lora import Adapter
from models.training.episodes import EpisodeSampler
from models.training.reader import EpisodeReader


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """`steps` optimiser steps of `accumulate` episodes each. With `minutes`, the schedule follows
    whichever of steps and time is further on, and training ends with it."""

    steps: int = 2000
    accumulate: int = 1
    learning_rate: float = 8e-4
    marker_rate: float = 4e-3
    warmup: int = 30
    weight_decay: float = 0.01
    clip: float = 1.0
    checkpoint_every: int = 50
    minutes: float = 0.0


@dataclass(frozen=True, slots=True)
class Progress:
    step: int
    fraction: float
    loss: float  # mean nats per learnt token over this step
    examples: int
    tokens_per_second: float  # question and answer tokens
    seconds_left: float


@dataclass
class _Clock:
    """Seconds spent training, counted over restarts."""

    before: float
    started: float

    def spent(self) -> float:
        return self.before + time.monotonic() - self.started


def train(
    reader: EpisodeReader,
    adapter: Adapter,
    sampler: EpisodeSampler,
    settings: TrainSettings,
    folder: Path,
    report: Callable[[Progress], None],
) -> int:
    """Train until the schedule ends; return the number of steps. Goes on from `folder`'s newest
    checkpoint when there is one. Losses are appended to `folder/losses.jsonl`."""
    optimiser = _optimiser(adapter, settings)
    step, examples, clock = _resume(adapter, optimiser, sampler, folder)
    adapter.train()
    with (folder / "losses.jsonl").open("a", encoding="utf-8") as losses:
        while (fraction := _fraction(step, clock, settings)) < 1:
            began = time.monotonic()
            _set_rates(optimiser, settings, step, fraction)
            total, count, tokens = 0.0, 0, 0
            for _ in range(settings.accumulate):
                episode = sampler.draw()
                batch = reader.batch(episode)
                loss, learnt = reader.loss(batch)
                (loss / (learnt * settings.accumulate)).backward()  # type: ignore[no-untyped-call]
                total, count = total + float(loss.detach()), count + learnt
                examples += int(batch.owner[-1]) + 1
                tokens += len(batch.ids)
            torch.nn.utils.clip_grad_norm_(adapter.parameters(), settings.clip)
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
            speed = tokens / (time.monotonic() - began)
            left = clock.spent() * (1 - fraction) / max(fraction, 1e-3)
            progress = Progress(step, fraction, total / count, examples, speed, left)
            losses.write(json.dumps(asdict(progress)) + "\n")
            losses.flush()
            report(progress)
            if step % settings.checkpoint_every == 0:
                _checkpoint(adapter, optimiser, sampler, step, examples, clock, folder)
    _checkpoint(adapter, optimiser, sampler, step, examples, clock, folder)
    adapter.eval()
    return step


def _fraction(step: int, clock: _Clock, settings: TrainSettings) -> float:
    by_time = clock.spent() / (60 * settings.minutes) if settings.minutes else 0.0
    return max(step / settings.steps, by_time)


def _optimiser(adapter: Adapter, settings: TrainSettings) -> torch.optim.AdamW:
    lora = [p for n, p in adapter.named_parameters() if n != "markers"]
    groups = [
        {"params": lora, "base": settings.learning_rate, "weight_decay": settings.weight_decay},
        {"params": [adapter.markers], "base": settings.marker_rate, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _set_rates(
    optimiser: torch.optim.AdamW, settings: TrainSettings, step: int, fraction: float
) -> None:
    warm = min(1.0, (step + 1) / settings.warmup)
    cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fraction))
    for group in optimiser.param_groups:
        group["lr"] = group["base"] * warm * cosine


def _checkpoint(
    adapter: Adapter,
    optimiser: torch.optim.AdamW,
    sampler: EpisodeSampler,
    step: int,
    examples: int,
    clock: _Clock,
    folder: Path,
) -> None:
    """Written beside and renamed: a kill leaves the old checkpoint or the new one."""
    state: dict[str, Any] = {
        "adapter": adapter.state_dict(),
        "optimiser": optimiser.state_dict(),
        "sampler": json.dumps(sampler.state()),
        "torch": torch.get_rng_state(),
        "step": step,
        "examples": examples,
        "spent": clock.spent(),
    }
    temporary = folder / "checkpoint.tmp"
    torch.save(state, temporary)
    os.replace(temporary, folder / "checkpoint.pt")


def _resume(
    adapter: Adapter, optimiser: torch.optim.AdamW, sampler: EpisodeSampler, folder: Path
) -> tuple[int, int, _Clock]:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return 0, 0, _Clock(0.0, time.monotonic())
    state = torch.load(path, weights_only=True)
    adapter.load_state_dict(state["adapter"])
    optimiser.load_state_dict(state["optimiser"])
    sampler.restore(json.loads(state["sampler"]))
    torch.set_rng_state(state["torch"])
    return state["step"], state["examples"], _Clock(state["spent"], time.monotonic())
