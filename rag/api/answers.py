"""Stored answers. You see your own; who manages the collection sees all of it. An answer that
quotes a document you may no longer read is not shown (caches obey the same rights)."""

from __future__ import annotations

from fastapi import APIRouter, Query

from rag.api.access import Reader
from rag.api.collections import permitted
from rag.api.parts import Here
from rag.domain import Answer, Collection, Principal, Replayed, Right
from rag.errors import NotFound, UnknownAnswer
from rag.permit import may_read
from rag.ports import UnitOfWork, readable

router = APIRouter(tags=["answers"])


def seen(work: UnitOfWork, id: str, who: Principal) -> Answer:
    """The answer, when `who` may see it and all it quotes. Raises UnknownAnswer."""
    answer = work.answers.get(id)
    try:
        collection = work.collections.get(answer.collection)
    except NotFound as exc:
        raise _unknown(id) from exc
    held = readable(collection, who)
    own = answer.user == who.user or (held is not None and held.includes(Right.MANAGE))
    if held is None or not own or not _may_read_sources(work, collection, answer, who):
        raise _unknown(id)
    return answer


def _may_read_sources(
    work: UnitOfWork, collection: Collection, answer: Answer, who: Principal
) -> bool:
    cited = {citation.document for citation in answer.citations}
    sources = cited | {passage.document for passage in answer.passages}
    return all(may_read(collection, work.documents.get(id), who) for id in sources)


def _unknown(id: str) -> UnknownAnswer:
    return UnknownAnswer(f"there is no answer {id!r}")


@router.get("/collections/{name}/answers")
def answers(
    name: str, who: Reader, here: Here, limit: int = Query(50, ge=1, le=500)
) -> list[Answer]:
    """Your own, newest first."""
    with here.attest.store() as work:
        collection = permitted(work, name, who, Right.READ)
        recent = work.answers.recent(collection.id, who.user, limit)
        return [held for held in recent if _may_read_sources(work, collection, held, who)]


@router.get("/answers/{id}")
def answer(id: str, who: Reader, here: Here) -> Answer:
    with here.attest.store() as work:
        return seen(work, id, who)


@router.post("/answers/{id}/replay")
def replay(id: str, who: Reader, here: Here) -> Replayed:
    """Compute it again from what was stored (REPLAYED)."""
    with here.attest.store() as work:
        seen(work, id, who)
    with here.turnstile.turn():
        return here.attest.answering.replay(who, id)
