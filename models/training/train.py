"""Train an adapter: the one call for a command or a program.

Records and a plan go in; an adapter comes out, and its run's folder holds what a killed training
goes on from. Where records come from and what becomes of the adapter is not known here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models.checkpoint import Checkpoint
from models.lora import Adapter, LoraConfig, describe_adapter, load_adapter
from models.prompt import VERSION
from models.training.episodes import EpisodeSampler
from models.training.loop import Progress, Training
from models.training.plan import Plan, check, notes
from models.training.processes import Processes
from models.training.reader import EpisodeReader
from models.training.records import Record
from models.training.run import Run
from models.training.schedule import Clock, TrainSettings, fraction_done, optimiser_of

__all__ = ["Progress", "TrainSettings", "train"]


def train(
    base: Checkpoint,
    records: Sequence[Record],
    plan: Plan,
    folder: Path,
    report: Callable[[Progress], None],
    processes: Processes | None = None,
) -> Adapter:
    """The adapter after the plan's schedule, on the base's device, float32, in eval mode and
    detached. Goes on from `folder`'s checkpoint when there is one of this plan; a finished run is
    only read. `report` is called after every step, in the first process.

    All processes (see `processes.joined`) must see the same folder. Raises NoRecords, BadPlan,
    RunDiffers, RunBusy, TrainingDiverged, RunUnwritable, DiskFull, WeightsCorrupt.
    """
    world = processes or Processes()
    lora = _shape(plan)
    if lora.reading == "full":
        plan = replace(plan, episodes=replace(plan.episodes, full=1.0))
    check(lora, plan.episodes, plan.train, world.size)
    sampler = EpisodeSampler(records, plan.episodes, plan.seed)
    run = Run(folder)
    about = notes(plan, lora, base.identity, sampler.weights, records)
    if not world.first:
        return _trained(base, lora, plan, sampler, run, report, world)
    with run.held():
        run.begin(about)
        return _trained(base, lora, plan, sampler, run, report, world)


def _trained(
    base: Checkpoint,
    lora: LoraConfig,
    plan: Plan,
    sampler: EpisodeSampler,
    run: Run,
    report: Callable[[Progress], None],
    world: Processes,
) -> Adapter:
    adapter = _begin(base, lora, plan)
    adapter.attach(base.model)
    base.model.recompute = plan.train.recompute
    try:
        reader = EpisodeReader(base.model, adapter, base.tokenizer, plan.train.autocast)
        training = _resumed(reader, adapter, sampler, plan, run, world)
        adapter.train()
        while fraction_done(training.step, training.seconds(), plan.train) < 1:
            training.take_step(report)
        training.finish()
    finally:
        base.model.recompute = False
        Adapter.detach(base.model)
    return adapter.requires_grad_(False).eval()


def _resumed(
    reader: EpisodeReader,
    adapter: Adapter,
    sampler: EpisodeSampler,
    plan: Plan,
    run: Run,
    world: Processes,
) -> Training:
    """At the run's last checkpoint, or at its beginning."""
    optimiser = optimiser_of(adapter, plan.train)
    state: dict[str, Any] = run.state() or {"step": 0, "examples": 0, "spent": 0.0}
    if state["step"]:
        adapter.load_state_dict(state["adapter"])
        optimiser.load_state_dict(state["optimiser"])
        sampler.restore(json.loads(state["sampler"]))
    world.wait()  # nobody reads the checkpoint any more, the first may write
    if world.first:
        run.forget_after(state["step"])
    return Training(
        reader=reader,
        adapter=adapter,
        sampler=sampler,
        optimiser=optimiser,
        settings=plan.train,
        seed=plan.seed,
        run=run,
        world=world,
        clock=Clock.after(state["spent"]),
        step=state["step"],
        examples=state["examples"],
        kept=state["step"],
    )


def _shape(plan: Plan) -> LoraConfig:
    if plan.start is None:
        return replace(plan.lora, prompt_version=VERSION)
    config = describe_adapter(plan.start).config
    return replace(config, dropout=plan.lora.dropout, prompt_version=VERSION)


def _begin(base: Checkpoint, lora: LoraConfig, plan: Plan) -> Adapter:
    """A new adapter drawn from the plan's seed, or the one to go on from, as float32 weights."""
    if plan.start is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            adapter = Adapter(base.model, lora).to(base.model.device)
    else:
        adapter = load_adapter(plan.start, base.model).requires_grad_(True)
        adapter.config = lora
        for part in adapter.modules():
            if isinstance(part, nn.Dropout):
                part.p = lora.dropout
    return adapter
