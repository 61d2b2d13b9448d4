"""Training as one call: what it learns, what it refuses, what it leaves behind when it stops."""

from __future__ import annotations

import json
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from models.checkpoint import Checkpoint
from models.errors import DiskFull, WeightsCorrupt, WeightsMissing
from models.lora import Adapter, LoraConfig, load_adapter
from models.prompt import VERSION
from models.training.episodes import EpisodeSettings
from models.training.errors import (
    BadPlan,
    NoRecords,
    RunBusy,
    RunDiffers,
    RunUnwritable,
    TrainingDiverged,
)
from models.training.export import export
from models.training.plan import Plan
from models.training.records import Record
from models.training.run import Run
from models.training.schedule import TrainSettings
from models.training.train import Progress, train

SMALL = Plan(
    lora=LoraConfig(rank=4, alpha=8.0, markers=6),
    train=TrainSettings(steps=6, checkpoint_every=3, warmup=2),
    episodes=EpisodeSettings(questions=3, shown=(3,)),
)


def silent(progress: Progress) -> None:
    return


def weights(adapter: Adapter) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in adapter.named_parameters()}


def losses(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    return [line["loss"] for line in lines]


def changed(plan: Plan, **settings: Any) -> Plan:
    return replace(plan, train=replace(plan.train, **settings))


def test_it_learns(base: Checkpoint, records: list[Record], tmp_path: Path) -> None:
    reports: list[Progress] = []
    plan = changed(SMALL, steps=25, learning_rate=2e-2, checkpoint_every=100)
    adapter = train(base, records, plan, tmp_path, reports.append)
    assert [r.step for r in reports] == list(range(1, 26))
    assert reports[-1].loss < 0.75 * reports[0].loss
    assert losses(tmp_path) == [r.loss for r in reports]
    assert all(r.tokens_per_second > 0 and r.seconds_left >= 0 for r in reports)
    assert not any(p.requires_grad for p in adapter.parameters())
    assert all(m.delta is None for m in base.model.modules() if hasattr(m, "delta"))


def test_one_big_step_equals_its_parts(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    """Gradients of accumulated episodes are those of all learnt tokens at once: with a rate too
    small to matter, the loss of a step of 4 is the mean over the tokens of 4 steps of 1."""
    still = {"learning_rate": 1e-30, "marker_rate": 1e-30}
    train(base, records, changed(SMALL, steps=4, **still), tmp_path / "one", silent)
    whole = changed(SMALL, steps=1, accumulate=4, **still)
    train(base, records, whole, tmp_path / "four", silent)
    [together] = losses(tmp_path / "four")
    apart = losses(tmp_path / "one")
    assert min(apart) < together < max(apart)
    answers = json.loads((tmp_path / "four/losses.jsonl").read_text())["examples"]
    assert (
        answers
        == json.loads((tmp_path / "one/losses.jsonl").read_text().splitlines()[3])["examples"]
    )


def test_a_finished_run_is_only_read(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    done = weights(train(base, records, SMALL, tmp_path, silent))
    before = (tmp_path / "checkpoint.pt").stat().st_mtime_ns
    again: list[Progress] = []
    same = weights(train(base, records, SMALL, tmp_path, again.append))
    assert again == []
    assert all(torch.equal(done[name], same[name]) for name in done)
    assert (tmp_path / "checkpoint.pt").stat().st_mtime_ns == before


class Killed(Exception):
    pass


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(
    base: Checkpoint, records: list[Record], tmp_path: Path, dropout: float
) -> None:
    """Stopped after step 5 of 6, two past the checkpoint, with half a line written."""
    plan = replace(SMALL, lora=replace(SMALL.lora, dropout=dropout))

    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise Killed

    whole = weights(train(base, records, plan, tmp_path / "whole", silent))
    with pytest.raises(Killed):
        train(base, records, plan, tmp_path / "cut", stop)
    with (tmp_path / "cut/losses.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    torch.manual_seed(99)  # whatever else drew numbers in the meantime
    resumed = weights(train(base, records, plan, tmp_path / "cut", silent))
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(SMALL, seed=1), "seed was 0, now 1"),
        (changed(SMALL, learning_rate=1e-3), "train.learning_rate was 0.0008, now 0.001"),
        (replace(SMALL, lora=replace(SMALL.lora, rank=8)), "lora.rank was 4, now 8"),
        (
            replace(SMALL, episodes=replace(SMALL.episodes, weights={"made": 2.0})),
            r"episodes.weights.made was 1.0, now 2.0",
        ),
    ],
)
def test_a_run_of_other_settings_is_not_gone_on_with(
    base: Checkpoint, records: list[Record], tmp_path: Path, other: Plan, said: str
) -> None:
    first = changed(SMALL, steps=1)
    train(base, records, first, tmp_path, silent)
    kept = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(RunDiffers, match=said):
        train(base, records, changed(other, steps=1), tmp_path, silent)
    assert (tmp_path / "checkpoint.pt").read_bytes() == kept


def test_other_records_are_another_run(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    train(base, records, changed(SMALL, steps=1), tmp_path, silent)
    with pytest.raises(RunDiffers, match="records was"):
        train(base, records[:-1], changed(SMALL, steps=1), tmp_path, silent)


def test_what_does_not_move_the_curve_may_change(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    train(base, records, changed(SMALL, steps=1), tmp_path, silent)
    moved = replace(SMALL, data={"file": "elsewhere"})
    train(base, records, changed(moved, steps=1, checkpoint_every=7), tmp_path, silent)


@pytest.mark.parametrize(
    "plan",
    [
        replace(SMALL, lora=replace(SMALL.lora, mode="some")),
        replace(SMALL, lora=replace(SMALL.lora, reading="backwards")),
        replace(SMALL, lora=replace(SMALL.lora, targets=("lm_head",))),
        replace(SMALL, lora=replace(SMALL.lora, dropout=1.0)),
        replace(SMALL, lora=replace(SMALL.lora, markers=2)),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    base: Checkpoint, records: list[Record], tmp_path: Path, plan: Plan
) -> None:
    with pytest.raises(BadPlan):
        train(base, records, plan, tmp_path / "run", silent)
    assert not (tmp_path / "run").exists()


def test_no_record_is_said(base: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(NoRecords):
        train(base, [], SMALL, tmp_path / "run", silent)


def test_two_do_not_train_in_one_folder(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(RunBusy, match="another process"):
        train(base, records, SMALL, tmp_path, silent)


def test_a_loss_that_is_no_number_stops_at_the_last_good_checkpoint(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    def break_weights(progress: Progress) -> None:
        if progress.step == 4:
            base.model.norm.weight.data.fill_(float("nan"))

    with pytest.raises(TrainingDiverged, match=r"step 5: loss nan.*after step 3 is kept"):
        train(base, records, SMALL, tmp_path, break_weights)
    state = Run(tmp_path).state()
    assert state is not None
    assert state["step"] == 3
    assert all(torch.isfinite(t).all() for t in state["adapter"].values())


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """As a full disk would, the system refuses to let a file grow past `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_keeps_the_last_checkpoint(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    train(base, records, SMALL, tmp_path / "whole", silent)
    size = (tmp_path / "whole/checkpoint.pt").stat().st_size
    with files_of_at_most(size - 1), pytest.raises(DiskFull, match=r"no room.*nothing was kept"):
        train(base, records, SMALL, tmp_path / "run", silent)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "lock",
        "losses.jsonl",
        "run.json",
    ]
    train(base, records, SMALL, tmp_path / "run", silent)
    assert losses(tmp_path / "run") == losses(tmp_path / "whole")
    kept = Run(tmp_path / "run")
    state = kept.state()
    assert state is not None
    with files_of_at_most(1000), pytest.raises(DiskFull, match="the last checkpoint is kept"):
        kept.save(state)
    again = kept.state()
    assert again is not None
    assert again["step"] == 6


def test_a_folder_that_cannot_be_is_said(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunUnwritable, match="the folder"):
        train(base, records, SMALL, tmp_path / "file" / "run", silent)


def test_a_broken_checkpoint_is_said(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    train(base, records, changed(SMALL, steps=1), tmp_path, silent)
    whole = (tmp_path / "checkpoint.pt").read_bytes()
    (tmp_path / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(WeightsCorrupt, match=r"checkpoint\.pt cannot be read"):
        train(base, records, changed(SMALL, steps=1), tmp_path, silent)


def test_an_exported_adapter_can_be_gone_on_from(
    base: Checkpoint, records: list[Record], tmp_path: Path
) -> None:
    shape = replace(SMALL.lora, reading="full", mode="all", targets=("q_proj", "up_proj"))
    plan = changed(replace(SMALL, lora=shape, data={"a.csv": 1}), steps=2)
    trained = train(base, records, plan, tmp_path / "run", silent)
    export(base, tmp_path / "run", tmp_path / "out", {"note": "small"})
    card = json.loads((tmp_path / "out/card.json").read_text())
    assert (card["note"], card["steps"], card["run"]["data"]) == ("small", 2, {"a.csv": 1})
    assert card["lora"]["prompt_version"] == VERSION
    back = load_adapter(tmp_path / "out", base.model)
    assert back.config == trained.config
    for one, other in zip(back.parameters(), trained.parameters(), strict=True):
        assert torch.equal(one, other.to(torch.bfloat16).float())
    further = replace(SMALL, start=tmp_path / "out", lora=LoraConfig(dropout=0.1))
    went_on = train(base, records, changed(further, steps=1), tmp_path / "further", silent)
    assert went_on.config == replace(trained.config, dropout=0.1)
    state = Run(tmp_path / "further").about()
    assert (state["start"], state["lora"]["reading"], state["episodes"]["full"]) == (
        "out",
        "full",
        1.0,
    )


def test_nothing_to_export_is_said(base: Checkpoint, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="no checkpoint"):
        export(base, tmp_path, tmp_path / "out", {})


def test_a_checkpoint_as_the_first_version_wrote_it_is_exported(
    base: Checkpoint, tmp_path: Path
) -> None:
    """Its run.json knows fewer settings, its checkpoint torch's generator."""
    config = LoraConfig(rank=4, alpha=8.0, markers=6, prompt_version=VERSION)
    adapter = Adapter(base.model, config)
    state = {
        "adapter": adapter.state_dict(),
        "optimiser": {},
        "sampler": "[]",
        "torch": torch.get_rng_state(),
        "step": 50,
        "examples": 700,
        "spent": 1.0,
    }
    torch.save(state, tmp_path / "checkpoint.pt")
    lora = {name: getattr(config, name) for name in LoraConfig.__slots__}
    about = {"lora": lora, "train": {"steps": 100}, "data": {"squad2.jsonl.gz": 3.5}, "seed": 11}
    (tmp_path / "run.json").write_text(json.dumps(about))
    export(base, tmp_path, tmp_path / "out", {})
    assert load_adapter(tmp_path / "out", base.model).config == config
