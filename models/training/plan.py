"""What to train: the adapter's shape, the schedule, the episodes and the seed, as one value."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from models.lora import ALL_TARGETS, LoraConfig
from models.prompt import VERSION
from models.training.episodes import EpisodeSettings
from models.training.errors import BadPlan
from models.training.records import Record
from models.training.schedule import TrainSettings

DEFAULT_LORA = LoraConfig(rank=24, alpha=48.0, markers=12, prompt_version=VERSION)


@dataclass(frozen=True, slots=True)
class Plan:
    """`start`: an adapter's folder to go on from; its shape then replaces `lora` (but for the
    dropout). `data`: where the records came from, for the run's notes and the card; it is not read.
    """

    lora: LoraConfig = DEFAULT_LORA
    train: TrainSettings = field(default_factory=TrainSettings)
    episodes: EpisodeSettings = field(default_factory=EpisodeSettings)
    start: Path | None = None
    seed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)


def check(lora: LoraConfig, episodes: EpisodeSettings, train: TrainSettings, size: int) -> None:
    """Raises BadPlan when these cannot be trained together by `size` processes."""
    if lora.mode not in ("reader", "all") or lora.reading not in ("block", "full"):
        raise BadPlan(
            f"mode {lora.mode!r} with reading {lora.reading!r} cannot be trained; modes are "
            "'reader' and 'all', readings 'block' and 'full'"
        )
    if lora.rank < 1 or not 0 <= lora.dropout < 1:
        raise BadPlan(f"rank {lora.rank} must be at least 1, dropout {lora.dropout} in [0, 1)")
    unknown = set(lora.targets) - set(ALL_TARGETS)
    if unknown or not lora.targets:
        raise BadPlan(
            f"targets {list(lora.targets)} cannot be trained; there are {', '.join(ALL_TARGETS)}"
        )
    if lora.markers and max(episodes.shown) > lora.markers:
        raise BadPlan(
            f"episodes show up to {max(episodes.shown)} passages, but the adapter numbers only "
            f"{lora.markers}"
        )
    if train.accumulate % size:
        raise BadPlan(
            f"{size} processes cannot share {train.accumulate} episodes a step evenly; set "
            "accumulate to a multiple of the processes"
        )


def notes(
    plan: Plan, lora: LoraConfig, base: str, weights: Mapping[str, float], records: Iterable[Record]
) -> dict[str, Any]:
    """What `run.json` says: all that the loss curve depends on, and `data`."""
    return {
        "base": base,
        "lora": asdict(lora),
        "train": asdict(plan.train),
        "episodes": asdict(plan.episodes) | {"weights": dict(weights)},
        "start": None if plan.start is None else plan.start.name,
        "seed": plan.seed,
        "records": fingerprint(records),
        "data": dict(plan.data),
    }


def fingerprint(records: Iterable[Record]) -> str:
    """The first 16 hex digits of a sha256 over everything that training reads of the records."""
    digest = hashlib.sha256()
    for record in records:
        digest.update(repr(record).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]
