"""Training runs and adapters through the typed client and the real app."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rag.domain import Adapter, AdapterState, Source
from rag.errors import Conflict, NotFound, NotPermitted, UnknownAdapter
from tests.api.conftest import As
from tests.api.house import NAME, House


def lines(folder: Path, steps: range, **changed: Any) -> Path:
    """What training appends to, a line a step; the loss is the step."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "losses.jsonl").open("a", encoding="utf-8") as file:
        for step in steps:
            line = {
                "step": step, "fraction": step / 1000, "loss": float(step), "examples": 14 * step,
                "tokens_per_second": 100.0, "seconds_left": 1000.0 - step,
            }  # fmt: skip
            file.write(json.dumps(line | changed) + "\n")
    return folder / "losses.jsonl"


MEASURED = {"value": 0.5, "low": None, "n": 3}


def adapter(name: str, collection: str | None = None, passed: bool = True) -> Adapter:
    return Adapter(
        name=name,
        base="base@1",
        digest=name * 4,
        folder=f"adapters/{name}",
        state=AdapterState.CANDIDATE,
        collection=collection,
        card={"steps": 12, "effect": {"right": MEASURED, "gate": {"passed": passed}}},
        sources=(Source("d1", "v1"),),
        promoted=None,
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )


def registered(house: House, *adapters: Adapter) -> None:
    with house.attest.store() as work:
        for each in adapters:
            work.adapters.register(each)
            (house.attest.settings.data / each.folder).mkdir(parents=True)
        work.commit()


def test_a_run_and_its_curve(house: House, signed_in: As) -> None:
    ada, tuning = signed_in("ada"), house.attest.settings.data / "tuning"
    assert ada.tuning_runs() == []
    lines(tuning / "staff", range(1, 1001))
    path = lines(tuning / "staff", range(1000, 1001), loss=7.0)  # taken again after a kill
    with path.open("a") as file:
        file.write('{"step": 1001, "loss": 1')  # being written
    (tuning / "begun").mkdir()
    (run,) = ada.tuning_runs()
    assert (run.name, run.steps, [point.step for point in run.curve]) == ("staff", 1000, [1000])
    assert run.curve[0].loss == 7.0
    curve = ada.tuning_run("staff").curve
    assert len(curve) == 334
    assert [(point.step, point.loss) for point in curve[:2]] == [(3, 2.0), (6, 5.0)]
    assert curve[-1].step == 1000


def test_runs_that_hold_nothing_readable(house: House, signed_in: As) -> None:
    ada, tuning = signed_in("ada"), house.attest.settings.data / "tuning"
    lines(tuning / "odd", range(1, 2), loss=float("nan"))
    lines(tuning / "odd", range(2, 3), tokens_per_second=None)
    assert ada.tuning_run("odd").curve == ()
    for name in ("none", "..", "../blobs"):
        with pytest.raises(NotFound):
            ada.tuning_run(name)
    with pytest.raises(NotPermitted):
        signed_in("mia").tuning_runs()


def test_adapters_for_those_who_manage_their_scope(house: House, signed_in: As) -> None:
    with house.attest.store() as work:
        own = work.collections.named(NAME).id
    registered(house, adapter("wide"), adapter("own", own))
    shown = signed_in("ada").adapters()
    assert [each.name for each in shown] == ["own", "wide"]
    assert shown[1].card == adapter("wide").card
    assert [each.name for each in signed_in("mia").adapters()] == ["own"]
    assert signed_in("rae").adapters() == []


def test_promoting_and_taking_back(house: House, signed_in: As) -> None:
    ada = signed_in("ada")
    registered(house, adapter("one"), adapter("two"))
    with pytest.raises(Conflict, match="not promoted"):
        ada.roll_adapter_back("one")
    assert ada.promote_adapter("one").state is AdapterState.PROMOTED
    ada.promote_adapter("two")
    assert [each.state.value for each in ada.adapters()] == ["promoted", "retired"]
    assert [each.name for each in ada.roll_adapter_back("two")] == ["two", "one"]
    assert [each.name for each in ada.roll_adapter_back("one")] == ["one"]
    registered(house, adapter("poor", passed=False))
    with pytest.raises(Conflict, match="no gate has let"):
        ada.promote_adapter("poor")
    with pytest.raises(UnknownAdapter):
        ada.promote_adapter("three")
