"""Questions: the whole answer, the streamed one, and search alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from rag.answering import Event
from rag.api.access import Reader
from rag.api.attended import Start, whole
from rag.api.parts import Here, Parts
from rag.api.streamed import Streamed
from rag.domain import Answer, Condition, Explanation, Leg, Passage, Principal, Right, Turn
from rag.errors import AttestError
from rag.pieces import Gone
from rag.reach import collection_for
from rag.wire import error_json, to_json

router = APIRouter(prefix="/collections/{name}", tags=["questions"])
BROKE_OFF = {"error": "internal_error", "message": "the answer broke off; see the API's log"}

Conditions = Annotated[list[Condition], Field(max_length=50)]


class Question(BaseModel):
    """`history`: the conversation so far, oldest turn first."""

    question: str
    conditions: Conditions = []
    history: Annotated[list[Turn], Field(max_length=1000)] = []


class Query(BaseModel):
    query: str
    leg: Leg = Leg.HYBRID
    k: int = Field(10, ge=1, le=200)
    conditions: Conditions = []


def _admit(here: Parts, name: str, who: Principal) -> None:
    """Who may not read the collection hears so before standing in line."""
    with here.attest.store() as work:
        collection_for(work, name, who, Right.READ)


def _start(here: Parts, name: str, who: Principal, body: Question) -> Start:
    def start(waited: float, gone: Gone) -> Iterator[Event]:
        return here.attest.answering.stream(
            who,
            name,
            body.question,
            conditions=body.conditions,
            history=body.history,
            waited=waited,
            gone=gone,
        )

    return start


@router.post("/ask")
async def ask(name: str, body: Question, who: Reader, here: Here, request: Request) -> Answer:
    """The whole answer. Hanging up stops the work."""
    await run_in_threadpool(_admit, here, name, who)
    return await whole(here, who, request.receive, _start(here, name, who, body))


@router.post("/search")
def search(name: str, body: Query, who: Reader, here: Here) -> list[Passage]:
    _admit(here, name, who)
    return here.attest.answering.search(
        who, name, body.query, leg=body.leg, k=body.k, conditions=body.conditions
    )


@router.post("/explain")
def explain(name: str, body: Question, who: Reader, here: Here) -> Explanation:
    """How the question would come to its passages; nothing is answered and nothing stored."""
    return here.attest.answering.explain(who, name, body.question, conditions=body.conditions)


@router.post("/ask/stream", response_class=StreamingResponse)
async def ask_stream(name: str, body: Question, who: Reader, here: Here) -> Streamed:
    """Lines of JSON, `{"event": ..., "data": ...}`: `found` with the passages, `said` for each
    verified sentence, last `answer` (or `error`). Hanging up stops the work."""
    await run_in_threadpool(_admit, here, name, who)
    return Streamed(here, who, _start(here, name, who, body), Lines())


class Lines:
    """Events as lines of JSON."""

    media_type = "application/x-ndjson"

    def say(self, event: Event) -> str:
        return _line(type(event).__name__.lower(), to_json(event))

    def broke_off(self, error: AttestError | None) -> str:
        return _line("error", BROKE_OFF if error is None else error_json(error))


def _line(event: str, data: object) -> str:
    return json.dumps({"event": event, "data": data}) + "\n"
