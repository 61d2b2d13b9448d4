"""Stored answers. You see your own; who manages the collection sees all of it. An answer that
quotes a document you may no longer read is not shown (caches obey the same rights)."""

from __future__ import annotations

from fastapi import APIRouter, Query

from rag.api.access import Reader
from rag.api.parts import Here
from rag.domain import Answer, Replayed, Right
from rag.reach import answer_for, collection_for, may_read_sources

router = APIRouter(tags=["answers"])


@router.get("/collections/{name}/answers")
def answers(
    name: str, who: Reader, here: Here, limit: int = Query(50, ge=1, le=500)
) -> list[Answer]:
    """Your own, newest first."""
    with here.attest.store() as work:
        collection = collection_for(work, name, who, Right.READ)
        recent = work.answers.recent(collection.id, who.user, limit)
        return [held for held in recent if may_read_sources(work, collection, held, who)]


@router.get("/answers/{id}")
def answer(id: str, who: Reader, here: Here) -> Answer:
    with here.attest.store() as work:
        return answer_for(work, id, who)


@router.post("/answers/{id}/replay")
def replay(id: str, who: Reader, here: Here) -> Replayed:
    """Compute it again from what was stored (REPLAYED)."""
    with here.attest.store() as work:
        answer_for(work, id, who)
    with here.turnstile.turn():
        return here.attest.answering.replay(who, id)
