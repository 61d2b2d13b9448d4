"""Evaluation runs, for the Quality page."""

from __future__ import annotations

from fastapi import APIRouter, Query

from rag.api.access import Reader
from rag.api.parts import Here
from rag.ports import RunRecord
from rag.views import Run

router = APIRouter(prefix="/runs", tags=["evaluation"])


@router.get("")
def runs(
    who: Reader,
    here: Here,
    limit: int = Query(50, ge=1, le=500),
    kind: str = Query("", max_length=100),
) -> list[Run]:
    """Newest first. Reports hold measurements, no documents, so whoever signs in may see them."""
    with here.attest.store() as work:
        return [_shown(run) for run in work.runs.recent(limit, kind)]


@router.get("/{id}")
def run(id: str, who: Reader, here: Here) -> Run:
    with here.attest.store() as work:
        return _shown(work.runs.get(id))


def _shown(run: RunRecord) -> Run:
    return Run(run.id, run.kind, run.name, run.report, run.created)
