"""Stored answers. You see your own; who manages the collection sees all of it. An answer that
quotes a document you may no longer read is not shown (caches obey the same rights)."""

from __future__ import annotations

from functools import partial
from threading import Event as Flag

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from rag.api.access import Manager, Reader
from rag.api.attended import attended
from rag.api.parts import Here
from rag.domain import Answer, Explanation, Feedback, Opinion, Replayed, Right
from rag.feedback import give_feedback
from rag.reach import answer_for, collection_for, may_read_sources

router = APIRouter(tags=["answers"])


class Said(BaseModel):
    """`correction` beside "wrong" only: the right answer, or the refusal sentence where the
    documents do not hold one."""

    verdict: Opinion
    correction: str = ""


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


@router.get("/answers/{id}/explanation")
def explanation(id: str, who: Reader, here: Here) -> Explanation:
    """How it came to its passages: the search done again as of its generation."""
    return here.attest.answering.explain_answer(who, id)


@router.post("/answers/{id}/replay")
async def replay(id: str, who: Reader, here: Here, request: Request) -> Replayed:
    """Compute it again from what was stored (REPLAYED). Hanging up stops the work."""
    await run_in_threadpool(answer, id, who, here)
    gone = Flag()
    again = partial(here.attest.answering.replay, who, id, gone=gone.is_set)

    async def work() -> Replayed:
        async with here.turnstile.turn(who.user):
            return await here.turnstile.run(again)

    return await attended(request.receive, gone, work)


@router.post("/answers/{id}/feedback")
def feedback(id: str, body: Said, who: Reader, here: Here) -> Feedback:
    """Your opinion of an answer you may see, in place of an earlier one."""
    return give_feedback(here.attest.store, who, id, body.verdict, body.correction)


@router.get("/answers/{id}/feedback")
def given(id: str, who: Reader, here: Here) -> Feedback | None:
    """What you said of it; null when you said nothing."""
    with here.attest.store() as work:
        return work.feedback.given(answer_for(work, id, who).id, who.user)


@router.get("/collections/{name}/feedback")
def feedback_of(name: str, who: Manager, here: Here) -> list[Feedback]:
    """What was said of the collection's answers, oldest first, for those who manage it; opinions
    of answers that show a document you may not read are left out."""
    with here.attest.store() as work:
        collection = collection_for(work, name, who, Right.MANAGE)
        return [
            held
            for held in work.feedback.all(collection.id)
            if may_read_sources(work, collection, work.answers.get(held.answer), who)
        ]
