"""The FastAPI app, put together from its parts. Built by a call, never at import."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from rag.api import (
    accounts,
    answers,
    ask,
    collections,
    documents,
    evaluation,
    health,
    jobs,
    openai_routes,
    origins,
    pages,
    reindexing,
    scrape,
    tuning,
    versions,
)
from rag.api.limits import BodyLimit
from rag.api.loopback import LoopbackOnly
from rag.api.metrics import Metrics
from rag.api.parts import Parts
from rag.api.refusals import Refusal, add_refusals
from rag.api.scrape import Counted
from rag.api.sessions import open_sessions
from rag.api.turnstile import Turnstile
from rag.ports import Queue

if TYPE_CHECKING:
    from rag.bootstrap import Attest

RESOURCES = (
    health,
    accounts,
    collections,
    documents,
    origins,
    reindexing,
    jobs,
    versions,
    pages,
    ask,
    answers,
    openai_routes,
    evaluation,
    tuning,
    scrape,
)
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": said}
    for status, said in {
        401: "Not signed in",
        403: "Signed in, but without the right",
        404: "Not there, or not for you",
        422: "Input that cannot be used",
        429: "Too many questions wait; try again after Retry-After seconds",
        503: "A part cannot be reached; try again later",
    }.items()
}


def make_app(attest: Attest, queue: Queue) -> FastAPI:
    """The API over these parts. CORS stays off; the interactive pages too, since they would fetch
    scripts from elsewhere (OFFLINE); the description is at /openapi.json."""
    app = FastAPI(
        title="Attest",
        summary="Answers from your own documents; every sentence cited and checked.",
        version=version("attest-rag"),
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=_operation,
        responses=REFUSALS,
    )
    own = attest.settings
    alone = own.sign_in == "none"  # one user, to whom the whole queue belongs
    turnstile = Turnstile(
        own.answers_at_once, own.answers_waiting, None if alone else own.answers_waiting_each
    )
    metrics = Metrics(turnstile, lambda: attest.store, lambda: attest.gauges())
    app.state.parts = Parts(attest, queue, open_sessions(own), turnstile, metrics)
    for resource in RESOURCES:
        app.include_router(resource.router)
    add_refusals(app)
    app.add_middleware(BodyLimit, upload=own.max_upload_bytes)
    if alone:
        app.add_middleware(LoopbackOnly)
    app.add_middleware(Counted, metrics=metrics)
    return app


def _operation(route: APIRoute) -> str:
    return route.name
