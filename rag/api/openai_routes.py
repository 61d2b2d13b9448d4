"""The way in for OpenAI's clients: a model is a collection, a completion a cited answer."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from rag.answering import Event
from rag.api.access import Reader
from rag.api.attended import whole
from rag.api.openai_reply import Chunks, Model, Models, completion_json
from rag.api.openai_request import ChatCompletionRequest
from rag.api.parts import Here, Parts
from rag.api.streamed import Streamed
from rag.domain import Collection, Principal, Right
from rag.errors import UnknownCollection
from rag.pieces import Gone
from rag.ports import readable
from rag.reach import collection_for

router = APIRouter(prefix="/v1", tags=["openai"])
PREFIX = "attest/"


@router.get("/models")
def models(who: Reader, here: Here) -> Models:
    """The collections you may read."""
    with here.attest.store() as work:
        held = [each for each in work.collections.all() if readable(each, who) is not None]
    return Models(data=[Model.of(each) for each in held])


@router.get("/models/{model:path}")
def model(model: str, who: Reader, here: Here) -> Model:
    return Model.of(_named(here, model, who))


@router.post("/chat/completions", response_model=None)
async def chat_completions(
    body: ChatCompletionRequest, who: Reader, here: Here, request: Request
) -> Response:
    """The last user message, answered from the collection that `model` names; it may follow on what
    was said before it. Hanging up stops the work."""
    body.require_supported()
    question, history = body.question, body.history
    collection = await run_in_threadpool(_named, here, body.model, who)
    answering = here.attest.answering
    sampling = body.sampling(answering.policy.sampling)

    def start(waited: float, gone: Gone) -> Iterator[Event]:
        return answering.stream(
            who,
            collection.name,
            question,
            history=history,
            sampling=sampling,
            waited=waited,
            gone=gone,
        )

    if body.stream:
        wants_usage = body.stream_options is not None and body.stream_options.include_usage
        return Streamed(here, who, start, Chunks(body.model, wants_usage))
    answer = await whole(here, who, request.receive, start)
    return JSONResponse(completion_json(body.model, answer))


def _named(here: Parts, model: str, who: Principal) -> Collection:
    """The collection of that name, which may stand behind `attest/`. Raises UnknownCollection."""
    with here.attest.store() as work:
        try:
            return collection_for(work, model, who, Right.READ)
        except UnknownCollection:
            if not model.startswith(PREFIX):
                raise
            return collection_for(work, model.removeprefix(PREFIX), who, Right.READ)
