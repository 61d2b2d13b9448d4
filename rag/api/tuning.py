"""Training runs and the adapters that came of them, for the Quality page."""

from __future__ import annotations

from fastapi import APIRouter

from eval.tuning_runs import tuning_run, tuning_runs
from rag import adapters
from rag.api.access import Admin, Reader
from rag.api.parts import Here
from rag.domain import Adapter, AdapterState, Right
from rag.errors import Conflict
from rag.ports import readable
from rag.views import TuningRun

router = APIRouter(tags=["tuning"])


@router.get("/tuning")
def training_runs(who: Admin, here: Here) -> list[TuningRun]:
    """The runs of this machine's data folder with their last step, newest first."""
    return tuning_runs(here.settings.data)


@router.get("/tuning/{name}")
def training_run(name: str, who: Admin, here: Here) -> TuningRun:
    """One run with its loss curve."""
    return tuning_run(here.settings.data, name)


@router.get("/adapters")
def registered(who: Reader, here: Here) -> list[Adapter]:
    """Newest first: administrators see all of them, others those of the collections they manage
    (a card names documents)."""
    with here.attest.store() as work:
        found = work.adapters.all()
        if who.admin:
            return found
        held = [c.id for c in work.collections.all() if readable(c, who) is Right.MANAGE]
        return [adapter for adapter in found if adapter.collection in held]


@router.post("/adapters/{name}/promote")
def promote(name: str, who: Admin, here: Here) -> Adapter:
    """It answers the questions of its scope from the next one on."""
    return adapters.promote(here.attest.store, who, here.settings.data, name)[0]


@router.post("/adapters/{name}/rollback")
def rollback(name: str, who: Admin, here: Here) -> list[Adapter]:
    """Take a promoted adapter back. Returns it, then the one that answers again, if there is one.
    Raises Conflict when it is not the promoted one of its scope (any more)."""
    with here.attest.store() as work:
        adapter = work.adapters.get(name)
    if adapter.state is not AdapterState.PROMOTED:
        raise Conflict(f"the adapter {name!r} is not promoted, so it cannot be taken back")
    taken, back = adapters.rollback(
        here.attest.store, who, here.settings.data, adapter.collection, adapter.base
    )
    return [taken] if back is None else [taken, back]
