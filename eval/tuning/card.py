"""The card of a tuned adapter: what it was made from, by which command, and what it measured."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from eval.tuning.sources import Gathered
from models.lora import CARD, WEIGHTS, describe_adapter
from models.manifest import sha256_of
from rag.domain import Source, adapter_identity
from rag.model_errors import model_errors
from rag.readers import Weights

_ENDS = 10  # steps that the first and the last loss are the mean of
_POINTS = 60


@dataclass(frozen=True, slots=True)
class Start:
    """The adapter that training went on from: how it is named, the documents it knows already,
    what it was made from, and how sure its answers must be (the best guess until the new one is
    calibrated)."""

    identity: str
    lineage: tuple[Source, ...]
    data: object
    sure: Mapping[str, Any]


def about_start(start: Weights | None) -> Start:
    if start is None:
        return Start("none", (), None, {})
    with model_errors():
        card = describe_adapter(start.folder).card
    lineage = tuple(Source(one["document"], one["version"]) for one in card.get("lineage", ()))
    sure = {key: card[key] for key in ("min_confidence", "confidence") if key in card}
    made_from = card.get("data") or card.get("licences")
    identity = adapter_identity(start.name, sha256_of(start.folder / WEIGHTS))
    return Start(identity, lineage, made_from, sure)


def card_of(
    name: str,
    command: str,
    gathered: Gathered,
    lineage: Sequence[Source],
    start: Start,
    run: Path,
) -> dict[str, Any]:
    """All but what the weights' file adds (base, shape, digest, the run's settings)."""
    return {
        "name": name,
        "made_by": command,
        "start": {"adapter": start.identity, "data": start.data},
        "data": [asdict(one) for one in gathered.used],
        "lineage": [asdict(one) for one in lineage],
        "losses": losses_of(run),
        "effect": None,
        **start.sure,
    }


def losses_of(run: Path) -> dict[str, Any]:
    """Mean nats per learnt token over the first and the last steps, and a curve of [step, loss]."""
    lines = [json.loads(line) for line in (run / "losses.jsonl").read_text("utf-8").splitlines()]
    losses = [float(line["loss"]) for line in lines]
    every = max(1, len(lines) // _POINTS)
    return {
        "steps": len(losses),
        "questions": lines[-1]["examples"] if lines else 0,
        "first": round(fmean(losses[:_ENDS]), 4) if losses else None,
        "last": round(fmean(losses[-_ENDS:]), 4) if losses else None,
        "curve": [[line["step"], round(line["loss"], 4)] for line in lines[::every]],
    }


def rewrite(folder: Path, card: Mapping[str, Any]) -> None:
    """The card beside the weights, replaced as a whole."""
    temporary = folder / f"{CARD}.tmp"
    temporary.write_text(json.dumps(card, indent=2) + "\n", "utf-8")
    os.replace(temporary, folder / CARD)
