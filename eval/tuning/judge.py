"""Measure an adapter against what answers now, on the same samples; a gate may promote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eval import commands
from eval import gate as gates
from eval.progress import Say
from eval.tuning.card import rewrite
from models.manifest import sha256_of
from rag import adapters
from rag.bootstrap import Attest
from rag.domain import Adapter, AdapterState, Principal
from rag.errors import BadInput
from rag.readers import NONE, AdaptedReaders


@dataclass(frozen=True, slots=True)
class Judging:
    """`limit` samples are drawn over the whole file; each is read with `distractors` more passages.
    Without a `gate` nothing is promoted."""

    samples: Path
    gate: Path | None = None
    limit: int | None = None
    distractors: int = 4
    seed: int = 0


def judge(
    attest: Attest, who: Principal, name: str, judging: Judging, say: Say | None = None
) -> tuple[Adapter, dict[str, Any]]:
    """The adapter as it stands now, and its measured effect, which joins the card. Raises
    UnknownAdapter, BadInput (a gate that is none, an adapter of another base), BadSamples,
    NotPermitted, ModelError."""
    if judging.gate is not None:
        gates.load(judging.gate)
    with attest.store() as work:
        adapter = work.adapters.get(name)
        adapters.require_right(work, who, adapter.collection)
    effect = _effect(attest, adapter, judging, say)
    card = {**adapter.card, "effect": effect}
    rewrite(adapters.weights_of(adapter, attest.settings.data), card)
    with attest.store() as work:
        work.adapters.set_card(name, card)
        work.commit()
    passed = bool(effect["gate"] and effect["gate"]["passed"])
    if passed and adapter.state is not AdapterState.PROMOTED:
        adapters.promote(attest.store, who, attest.settings.data, name)
    with attest.store() as work:
        return work.adapters.get(name), effect


def _effect(attest: Attest, adapter: Adapter, judging: Judging, say: Say | None) -> dict[str, Any]:
    own = adapters.weights_of(adapter, attest.settings.data)
    current = _current(attest, adapter)
    before = _run(attest, current, f"before {adapter.name}", judging, say)
    after = _run(
        attest, str(own), f"tuned {adapter.name}", judging, say, gate=judging.gate, against=before
    )
    file = judging.samples
    samples = {"file": file.name, "sha256": sha256_of(file), "n": after["n"], "seed": judging.seed}
    return {
        "samples": samples | {"distractors": judging.distractors, "limit": judging.limit},
        "candidate": _measured(after),
        "current": _measured(before),
        "difference": _scored(after["against"]["differences"]),
        "gate": after.get("gate"),
    }


def _current(attest: Attest, adapter: Adapter) -> str:
    """What answers in the adapter's scope now, as the setting `adapter` names it."""
    readers = AdaptedReaders(attest.settings, attest.store, lambda: attest.block_store)
    if readers.identity != adapter.base:
        raise BadInput(
            f"the adapter {adapter.name!r} belongs to {adapter.base}, but the settings' model is "
            f"{readers.identity}; set the model it was tuned for"
        )
    chosen = readers.chosen(adapter.collection)
    return NONE if chosen is None else str(chosen.folder)


def _run(
    attest: Attest,
    weights: str,
    name: str,
    judging: Judging,
    say: Say | None,
    gate: Path | None = None,
    against: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return commands.run(
        attest,
        judging.samples,
        limit=judging.limit,
        distractors=judging.distractors,
        adapter=weights,
        seed=judging.seed,
        spread=True,
        gate=gate,
        against=None if against is None else str(against["id"]),
        name=name,
        progress=say,
    )


def _measured(report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "run": report["id"],
        "adapter": report["settings"]["adapter"],
        "metrics": _scored(report["metrics"]),
    }


def _scored(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Those with a value, with n and the interval's bounds."""
    keys = ("value", "low", "high", "n")
    return {
        name: {key: row[key] for key in keys}
        for name, row in rows.items()
        if row["value"] is not None
    }
