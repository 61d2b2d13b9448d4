"""Evaluation runs, for the Quality page."""

from __future__ import annotations

from fastapi import APIRouter, Query

from eval.runs import compare
from rag.api.access import Reader
from rag.api.parts import Here
from rag.errors import BadInput
from rag.ports import RunRecord
from rag.views import Comparison, Run

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


@router.get("/{first}/against/{second}")
def against(first: str, second: str, who: Reader, here: Here) -> Comparison:
    """The second less the first, over the samples both scored. Raises BadInput."""
    with here.attest.store() as work:
        a, b = work.runs.get(first), work.runs.get(second)
    if {a.kind, b.kind} != {"answers"}:
        raise BadInput("only runs of answers are compared sample by sample")
    found = compare(a.report, b.report)
    return Comparison(found["shared"], found["differences"])


def _shown(run: RunRecord) -> Run:
    return Run(run.id, run.kind, run.name, run.report, run.created)
