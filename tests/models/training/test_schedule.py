from __future__ import annotations

import math

import pytest

from models.checkpoint import Checkpoint
from models.lora import Adapter, LoraConfig
from models.training.errors import BadPlan
from models.training.schedule import (
    TrainSettings,
    fraction_done,
    optimiser_of,
    rate_factor,
    set_rates,
)


def test_rates_warm_up_and_follow_a_cosine_down() -> None:
    factors = [rate_factor(step, step / 100, warmup=10) for step in range(101)]
    assert factors[0] == pytest.approx(0.1, rel=1e-3)
    assert factors[:10] == sorted(factors[:10])
    assert factors[9:] == sorted(factors[9:], reverse=True)
    assert factors[50] == pytest.approx(0.02 + 0.98 * 0.5)
    assert factors[100] == pytest.approx(0.02)
    assert rate_factor(0, 0.0, warmup=0) == 1.0


def test_the_schedule_ends_by_steps_or_by_time() -> None:
    assert fraction_done(30, 1e9, TrainSettings(steps=60)) == 0.5
    assert fraction_done(30, 45.0, TrainSettings(steps=60, minutes=1)) == 0.75
    assert fraction_done(60, 0.0, TrainSettings(steps=60, minutes=1)) == 1


def test_markers_learn_at_their_own_rate_undecayed(base: Checkpoint) -> None:
    adapter = Adapter(base.model, LoraConfig(rank=2, markers=3))
    optimiser = optimiser_of(adapter, TrainSettings(learning_rate=1e-3, marker_rate=4e-3))
    set_rates(optimiser, 0.5)
    lora, markers = optimiser.param_groups
    assert markers["params"] == [adapter.markers]
    assert (lora["lr"], markers["lr"]) == (5e-4, 2e-3)
    assert (lora["weight_decay"], markers["weight_decay"]) == (0.01, 0.0)
    assert len(lora["params"]) + 1 == len(list(adapter.parameters()))
    assert math.isclose(lora["base"], 1e-3)


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"accumulate": 0}, {"clip": 0.0}, {"warmup": -1}, {"learning_rate": 0.0}]
)
def test_settings_that_cannot_be_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(BadPlan):
        TrainSettings(**bad)  # type: ignore[arg-type]
