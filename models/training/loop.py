"""One step after the other: episodes to gradients, gradients to weights, and what was learnt to the
run's folder. Knows losses; not the text they come from.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from models.lora import Adapter
from models.training.episodes import EpisodeSampler
from models.training.errors import TrainingDiverged
from models.training.processes import Processes
from models.training.reader import EpisodeReader
from models.training.run import Run
from models.training.schedule import (
    Clock,
    TrainSettings,
    fraction_done,
    rate_factor,
    set_rates,
)


@dataclass(frozen=True, slots=True)
class Progress:
    """After `step` steps. `fraction`: how much of the schedule lay behind when the step began."""

    step: int
    fraction: float
    loss: float  # mean nats per learnt token over this step
    examples: int  # questions since the beginning
    tokens_per_second: float  # question and answer tokens
    seconds_left: float


@dataclass
class Training:
    """A run on its way: everything that changes from step to step."""

    reader: EpisodeReader
    adapter: Adapter
    sampler: EpisodeSampler
    optimiser: torch.optim.AdamW
    settings: TrainSettings
    seed: int
    run: Run
    world: Processes
    clock: Clock
    step: int
    examples: int
    kept: int  # the step after which the last checkpoint was made; 0: none yet

    def seconds(self) -> float:
        """Spent so far, by the first process's clock: all end the schedule at the same step."""
        return self.world.agree(self.clock.spent()) if self.settings.minutes else self.clock.spent()

    def take_step(self, report: Callable[[Progress], None]) -> None:
        """Learn from `accumulate` episodes, weighing every learnt token alike. Raises
        TrainingDiverged (the weights are then those before the step), DiskFull, RunUnwritable."""
        began, settings = time.monotonic(), self.settings
        fraction = fraction_done(self.step, self.seconds(), settings)
        set_rates(self.optimiser, rate_factor(self.step, fraction, settings.warmup))
        loss, learnt, questions, tokens = self._gradients()
        norm = torch.nn.utils.clip_grad_norm_(self.adapter.parameters(), settings.clip)
        self._check(loss, float(norm))
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.step += 1
        self.examples += int(questions)
        if not self.world.first:
            return
        progress = Progress(
            step=self.step,
            fraction=fraction,
            loss=loss / learnt,
            examples=self.examples,
            tokens_per_second=tokens / (time.monotonic() - began),
            seconds_left=self.clock.spent() * (1 - fraction) / max(fraction, 1 / settings.steps),
        )
        self.run.add_loss(asdict(progress))
        report(progress)
        if self.step % settings.checkpoint_every == 0:
            self.save()

    def _gradients(self) -> tuple[float, float, float, float]:
        """Leaves the mean over all learnt tokens in the parameters' gradients. Returns the sum of
        the losses, and the numbers of learnt tokens, questions and tokens, of all processes."""
        counts = torch.zeros(4, dtype=torch.float64)
        for turn in range(self.settings.accumulate):
            episode = self.sampler.draw()
            if not self.world.mine(turn):
                continue
            with self._chance(turn):
                batch = self.reader.batch(episode)
                loss, learnt = self.reader.loss(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            questions = int(batch.owner[-1]) + 1
            counts += torch.tensor([float(loss.detach()), learnt, questions, len(batch.ids)])
        gradients = [_gradient(p) for p in self.adapter.parameters()]
        self.world.add_up(gradients)
        counts = counts.to(gradients[0].device)  # with NCCL, sums are made on GPUs
        self.world.add_up([counts])
        loss_sum, learnt_sum, questions_sum, tokens_sum = counts.tolist()
        torch._foreach_div_(gradients, learnt_sum)
        return loss_sum, learnt_sum, questions_sum, tokens_sum

    @contextmanager
    def _chance(self, turn: int) -> Iterator[None]:
        """Dropout drawn from the seed and the episode's number: the same after a restart, and in
        whichever process the episode is read."""
        if not self.adapter.config.dropout:
            yield
            return
        device = next(self.adapter.parameters()).device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            number = self.step * self.settings.accumulate + turn
            torch.manual_seed((self.seed * 1_000_003 + number) % 2**63)
            yield

    def _check(self, loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            return
        self.optimiser.zero_grad(set_to_none=True)
        kept = f"the checkpoint after step {self.kept} is kept" if self.kept else "nothing was kept"
        raise TrainingDiverged(
            f"step {self.step + 1}: loss {loss}, length of the gradient {norm}; {kept} in "
            f"{self.run.folder}. Train with a lower learning rate into another folder"
        )

    def finish(self) -> None:
        """Keep the last state, where it is not kept yet."""
        if self.world.first and self.step > self.kept:
            self.save()

    def save(self) -> None:
        """Raises DiskFull, RunUnwritable."""
        self.run.save(
            {
                "adapter": self.adapter.state_dict(),
                "optimiser": self.optimiser.state_dict(),
                "sampler": json.dumps(self.sampler.state()),
                "step": self.step,
                "examples": self.examples,
                "spent": self.clock.spent(),
            }
        )
        self.kept = self.step


def _gradient(parameter: Tensor) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad
