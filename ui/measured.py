"""The numbers of a run's report, read as what they are: a value, its interval, its n."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rag.views import Run

ANSWERS = ("right", "f1", "wrong_answer_rate", "answered_share", "citation_recall", "groundedness")
RETRIEVAL = ("ndcg@10", "recall@10", "recall@100", "mrr@10")


@dataclass(frozen=True, slots=True)
class Measured:
    """`value` is None where nothing was scored: that is not zero. `low` and `high` bound the
    bootstrap interval, None where there is none."""

    value: float | None
    low: float | None
    high: float | None
    n: int

    def __str__(self) -> str:
        return "not scored" if self.value is None else f"{self.value:.3f}"

    @property
    def interval(self) -> str:
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:.3f} to {self.high:.3f}"


def measured(row: Mapping[str, Any]) -> Measured:
    n = row.get("n", 0)
    bounds = (_number(row.get("low")), _number(row.get("high")))
    return Measured(_number(row.get("value")), *bounds, int(n) if isinstance(n, int) else 0)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def metrics(run: Run) -> dict[str, Measured]:
    """By name, in the order of the report; of a retrieval run those of the leg that was asked."""
    report = run.report
    held: object = report.get("metrics")
    if run.kind == "retrieval":
        held = _inner(_inner(report, "legs"), str(report.get("leg", ""))).get("metrics")
    if not isinstance(held, Mapping):
        return {}
    return {name: measured(row) for name, row in held.items() if isinstance(row, Mapping)}


def legs(run: Run) -> Mapping[str, Mapping[str, Any]]:
    return _inner(run.report, "legs")


def latency(run: Run) -> Mapping[str, Mapping[str, Any]]:
    """Percentiles in seconds by stage; of a retrieval run in milliseconds by leg."""
    if run.kind != "retrieval":
        return _inner(run.report, "latency")
    return {leg: _inner(row, "milliseconds_per_query") for leg, row in legs(run).items()}


def splits(run: Run) -> dict[str, dict[str, dict[str, Measured]]]:
    """Split -> its values -> metrics; splits that divide nothing are left out."""
    found: dict[str, dict[str, dict[str, Measured]]] = {}
    for split, values in _inner(run.report, "splits").items():
        if len(values) > 1:
            found[split] = {
                value: {k: measured(v) for k, v in row.items() if isinstance(v, Mapping)}
                for value, row in values.items()
            }
    return found


def _inner(held: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The mapping under `key`; empty in reports of another form."""
    inner = held.get(key)
    return inner if isinstance(inner, Mapping) else {}
