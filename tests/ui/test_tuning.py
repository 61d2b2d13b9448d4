"""Training runs and adapters on the Quality page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

from rag.domain import Adapter, AdapterState, Source
from tests.ui.conftest import House, Open, button, settled, words


def trained(folder: Path, steps: int) -> None:
    folder.mkdir(parents=True)
    lines = [
        {
            "step": step, "fraction": step / 200, "loss": 4.0 / step, "examples": 14 * step,
            "tokens_per_second": 123.4, "seconds_left": 4000.0,
        }
        for step in range(1, steps + 1)
    ]  # fmt: skip
    (folder / "losses.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def register(house: House, name: str, passed: bool = True) -> None:
    effect = {"value": 0.625, "low": 0.5, "high": 0.75, "n": 40}
    adapter = Adapter(
        name=name,
        base="smollm2-135m-instruct@bf16",
        digest="ab" * 32,
        folder=f"adapters/{name}",
        state=AdapterState.CANDIDATE,
        collection=None,
        card={
            "steps": 100,
            "effect": {
                "candidate": {"run": "r1", "metrics": {"right": effect}},
                "gate": {
                    "passed": passed,
                    "reasons": [] if passed else ["right is 0.625, below 0.7"],
                },
            },
        },
        sources=(Source("d1", "v1"), Source("d1", "v2")),
        promoted=None,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    (house.attest.settings.data / adapter.folder).mkdir(parents=True)
    with house.attest.store() as work:
        work.adapters.register(adapter)
        work.commit()


def test_without_a_run_or_an_adapter_there_is_nothing_to_show(house: House, opened: Open) -> None:
    page = opened("quality")
    assert len(page.tabs) == 0


def test_a_training_run(house: House, opened: Open) -> None:
    trained(house.attest.settings.data / "tuning" / "staff", 100)
    page = opened("quality")
    assert [tab.label for tab in page.tabs] == ["Evaluation", "Tuning"]
    assert page.selectbox(key="tuning-run").value == "staff"
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown == {
        "Loss": "0.040",
        "Steps": "100",
        "Questions": "1,400",
        "Tokens a second": "123",
        "Time left": "1 h 6 min",
    }
    assert "100 steps, 50% of the schedule" in words(page)
    assert "`attest tune` makes one" in words(page)


def test_an_adapter_is_promoted_and_rolled_back(house: House, opened: Open) -> None:
    register(house, "staff")
    page = opened("quality")
    assert [each.label for each in page.expander] == ["staff · candidate"]
    assert "trained on 1 document of the library" in words(page)
    assert "**effect › candidate › metrics**" in words(page)
    (effect,) = page.table
    assert effect.value.to_csv(index=False).splitlines()[1] == "right,0.625,0.500 to 0.750,40"
    settled(button(page, "Promote").click().run())
    assert [each.label for each in page.expander] == ["staff · promoted"]
    settled(button(page, "Roll back").click().run())
    assert [each.label for each in page.expander] == ["staff · retired"]


def test_an_adapter_that_the_gate_did_not_let_pass(house: House, opened: Open) -> None:
    register(house, "staff", passed=False)
    page = opened("quality")
    assert "The gate was not passed: right is 0\\.625\\, below 0\\.7" in words(page)
    assert "once a gate has let it pass" in words(page)
    assert not [each for each in page.button if each.label == "Promote"]


def test_an_adapter_whose_weights_are_gone(house: House, opened: Open) -> None:
    register(house, "staff")
    (house.attest.settings.data / "adapters" / "staff").rmdir()
    page = opened("quality")
    settled(button(page, "Promote").click().run())
    assert "are no longer in" in words(page)
