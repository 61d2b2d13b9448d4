"""Questions: the whole answer, the streamed one, and search alone."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Annotated

import anyio
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from rag.api.access import Reader
from rag.api.parts import Here, Parts, Turnstile
from rag.domain import Answer, Condition, Found, Leg, Passage, Principal, Right, Said
from rag.errors import AttestError
from rag.reach import collection_for
from rag.wire import error_json, to_json

router = APIRouter(prefix="/collections/{name}", tags=["questions"])
log = logging.getLogger("attest.api")
Event = Found | Said | Answer

Conditions = Annotated[list[Condition], Field(max_length=50)]


class Question(BaseModel):
    question: str
    conditions: Conditions = []


class Query(BaseModel):
    query: str
    leg: Leg = Leg.HYBRID
    k: int = Field(10, ge=1, le=200)
    conditions: Conditions = []


def _admit(here: Parts, name: str, who: Principal) -> None:
    with here.attest.store() as work:
        collection_for(work, name, who, Right.READ)


@router.post("/ask")
def ask(name: str, body: Question, who: Reader, here: Here) -> Answer:
    _admit(here, name, who)
    with here.turnstile.turn():
        return here.attest.answering.ask(who, name, body.question, conditions=body.conditions)


@router.post("/search")
def search(name: str, body: Query, who: Reader, here: Here) -> list[Passage]:
    _admit(here, name, who)
    return here.attest.answering.search(
        who, name, body.query, leg=body.leg, k=body.k, conditions=body.conditions
    )


@router.post("/ask/stream", response_class=StreamingResponse)
async def ask_stream(name: str, body: Question, who: Reader, here: Here) -> StreamingResponse:
    """Lines of JSON, `{"event": ..., "data": ...}`: `found` with the passages, `said` for each
    verified sentence, last `answer` (or `error`). Hanging up stops the work."""
    await run_in_threadpool(_admit, here, name, who)
    events = here.attest.answering.stream(who, name, body.question, conditions=body.conditions)
    await run_in_threadpool(here.turnstile.enter)
    try:
        # The first event is awaited here, so that what is refused before it has its own status.
        first = await run_in_threadpool(next, events, None)
    except BaseException:
        here.turnstile.leave()
        raise
    return Streamed(first, events, here.turnstile)


class Streamed(StreamingResponse):
    """Sends the events; when it ends for whatever reason, also because the client hung up, the
    generator is closed and the seat is given back."""

    def __init__(self, first: Event | None, events: Iterator[Event], turnstile: Turnstile) -> None:
        super().__init__(_lines(first, events), media_type="application/x-ndjson")
        self._events, self._turnstile = events, turnstile

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(_stop, self._events)
            self._turnstile.leave()


async def _lines(event: Event | None, events: Iterator[Event]) -> AsyncIterator[str]:
    try:
        while event is not None:
            yield _line(event)
            event = await run_in_threadpool(next, events, None)
    except AttestError as exc:
        yield json.dumps({"event": "error", "data": error_json(exc)}) + "\n"
    except Exception:
        log.exception("the stream of an answer broke off")
        failure = {"error": "internal_error", "message": "the answer broke off; see the API's log"}
        yield json.dumps({"event": "error", "data": failure}) + "\n"


def _stop(events: Iterator[Event]) -> None:
    """Ends the generator now and not when it is collected."""
    close = getattr(events, "close", None)
    if close is not None:
        close()


def _line(event: Event) -> str:
    name = type(event).__name__.lower()
    return json.dumps({"event": name, "data": to_json(event)}) + "\n"
