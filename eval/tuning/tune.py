"""Tune an adapter: gather, train, export, register. Killed at any moment, the same call goes on."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from eval.tuning import snapshot
from eval.tuning.card import about_start, card_of
from eval.tuning.sources import Gathered, Named, collections_of, gather
from models.checkpoint import Checkpoint
from models.lora import WEIGHTS
from models.manifest import sha256_of
from models.training.episodes import EpisodeSettings
from models.training.export import export
from models.training.plan import DEFAULT_LORA, Plan
from models.training.train import Progress, TrainSettings, train
from rag import adapters
from rag.bootstrap import Attest
from rag.domain import Adapter, AdapterState, Principal, Right, Source
from rag.errors import BadInput, Conflict, DiskFull, UnknownAdapter
from rag.model_errors import model_errors
from rag.reach import collection_for
from rag.readers import DEFAULT, NONE, AdaptedReaders, Weights, forced

RATE_ANEW, RATE_ON = 9e-4, 3e-4  # for a new adapter; for one that can read already


@dataclass(frozen=True, slots=True)
class Tuning:
    """`collection` is the scope by name; None: the collection whose words are learnt, or every one
    where none's are, or with `every`. `start`: "default" (what answers there now), "none", or an
    adapter's name or folder. `command` is for the card."""

    name: str
    sources: tuple[Named, ...]
    collection: str | None = None
    every: bool = False
    start: str = DEFAULT
    steps: int = 300
    minutes: float = 0.0
    rank: int | None = None
    learning_rate: float | None = None
    seed: int = 0
    command: str = ""

    def data(self) -> dict[str, Any]:
        """What decides which records are gathered."""
        sources = [[one.kind.value, one.name, one.weight] for one in self.sources]
        return {"sources": sources, "collection": self.collection, "seed": self.seed}


def folder_of(data: Path, name: str) -> Path:
    """Where the run of a tuning lies: `run.json`, `losses.jsonl`, its last checkpoint."""
    return data / "tuning" / name


def tune(
    attest: Attest, who: Principal, asked: Tuning, report: Callable[[Progress], None]
) -> Adapter:
    """The registered candidate. What is needed to go on stays in the run's folder until `finish`.
    Raises BadName, BadInput, BadSamples, Conflict, NotPermitted, UnknownCollection, UnknownAdapter,
    DiskFull, ModelError (TrainingError)."""
    adapters.require_name(asked.name)
    scope, within = _scope(attest, who, asked)
    run = folder_of(attest.settings.data, asked.name)
    gathered = snapshot.kept(run, asked.data())
    known = _known(attest, asked.name)
    if known is not None:
        if gathered is None or known.state is not AdapterState.CANDIDATE:
            raise Conflict(
                f"there is an adapter {asked.name!r} already; choose another --name, or measure it "
                f"with `attest adapters measure {asked.name}`"
            )
        return known  # killed after it was registered
    if gathered is None:
        if (weights := attest.settings.data / "adapters" / asked.name).exists():
            raise Conflict(f"{weights} is there, but not registered; choose another --name")
        with attest.store() as work:
            gathered = gather(work, who, asked.sources, within, asked.seed)
        snapshot.keep(run, asked.data(), gathered)
    readers = AdaptedReaders(attest.settings, attest.store, lambda: attest.block_store)
    start = _start(attest, asked, readers, scope)
    with model_errors():
        plan = plan_of(asked, gathered, start)
        train(readers.base, gathered.records, plan, run, report)
    return _registered(attest, who, asked, scope, readers.base, gathered, start)


def finish(data: Path, name: str) -> None:
    """Keep of a run what its curve needs; the records it was made from and the optimiser go."""
    run = folder_of(data, name)
    snapshot.drop(run)
    (run / "checkpoint.pt").unlink(missing_ok=True)


def plan_of(asked: Tuning, gathered: Gathered, start: Weights | None) -> Plan:
    """Raises BadInput, TrainingError."""
    if start is not None and asked.rank is not None:
        raise BadInput(
            f"the rank is that of the adapter {start.name!r} to start from; leave --rank out, or "
            "begin anew with --start none"
        )
    rank = asked.rank or DEFAULT_LORA.rank
    rate = asked.learning_rate or (RATE_ANEW if start is None else RATE_ON)
    return Plan(
        lora=replace(DEFAULT_LORA, rank=rank, alpha=2.0 * rank),
        train=TrainSettings(
            steps=asked.steps,
            minutes=asked.minutes,
            learning_rate=rate,
            warmup=min(30, asked.steps // 10 + 1),
            checkpoint_every=20,
        ),
        episodes=EpisodeSettings(gathered.weights),
        start=None if start is None else start.folder,
        seed=asked.seed,
        data={one.name: asdict(one) for one in gathered.used},
    )


def _scope(attest: Attest, who: Principal, asked: Tuning) -> tuple[str | None, str | None]:
    """The collection (id and name) whose questions the adapter may answer. One that learnt the
    words of a collection may say them to whoever asks it, so it answers there only, unless `every`
    says that this is meant. Raises BadInput, UnknownCollection, NotPermitted."""
    learnt = collections_of(asked.sources, asked.collection)
    if asked.every and asked.collection is not None:
        raise BadInput("the adapter is for one collection or for every one; name either")
    named = asked.collection
    if named is None and not asked.every and learnt:
        named = learnt[0]
    others = [name for name in learnt if name != named]
    if others and not asked.every:
        raise BadInput(
            f"an adapter for {named!r} must not learn from {others[0]!r}: its readers are others; "
            "use --every-collection where all users may read both"
        )
    with attest.store() as work:
        scope = None if named is None else collection_for(work, named, who, Right.MANAGE).id
        adapters.require_right(work, who, scope)
    return scope, named


def _known(attest: Attest, name: str) -> Adapter | None:
    with attest.store() as work:
        try:
            return work.adapters.get(name)
        except UnknownAdapter:
            return None


def _start(
    attest: Attest, asked: Tuning, readers: AdaptedReaders, scope: str | None
) -> Weights | None:
    if asked.start == NONE:
        return None
    if asked.start == DEFAULT:
        return readers.chosen(scope)
    return forced(attest.settings.model_copy(update={"adapter": asked.start}))


def _registered(
    attest: Attest,
    who: Principal,
    asked: Tuning,
    scope: str | None,
    base: Checkpoint,
    gathered: Gathered,
    start: Weights | None,
) -> Adapter:
    """Written beside, renamed, then registered: what a kill left unregistered is written anew."""
    data: Path = attest.settings.data
    folder = data / "adapters" / asked.name
    run = folder_of(data, asked.name)
    before = about_start(start)
    sources = tuple(dict.fromkeys((*gathered.lineage, *before.lineage)))
    card = card_of(asked.name, asked.command, gathered, sources, before, run)
    written = data / "adapters" / f".{asked.name}.tmp"
    shutil.rmtree(written, ignore_errors=True)
    try:
        with model_errors():
            export(base, run, written, card)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(written, folder)
    except OSError as exc:
        raise DiskFull(f"the adapter cannot be written to {folder}: {exc}; make room") from exc
    adapter = Adapter(
        name=asked.name,
        base=base.identity,
        digest=sha256_of(folder / WEIGHTS),
        folder=folder.relative_to(data).as_posix(),
        state=AdapterState.CANDIDATE,
        collection=scope,
        card=_read_card(folder),
        sources=tuple(Source(each.document, each.version) for each in sources),
        promoted=None,
        created=datetime.now(UTC),
    )
    return adapters.register(attest.store, who, adapter)


def _read_card(folder: Path) -> Mapping[str, Any]:
    return dict(json.loads((folder / "card.json").read_text("utf-8")))
