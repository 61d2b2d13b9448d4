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
    pages,
    tuning,
    versions,
)
from rag.api.limits import BodyLimit
from rag.api.loopback import LoopbackOnly
from rag.api.parts import Parts, Turnstile
from rag.api.refusals import Refusal, add_refusals
from rag.api.sessions import open_sessions
from rag.ports import Queue

if TYPE_CHECKING:
    from rag.bootstrap import Attest

RESOURCES = (
    health,
    accounts,
    collections,
    documents,
    jobs,
    versions,
    pages,
    ask,
    answers,
    evaluation,
    tuning,
)
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": said}
    for status, said in {
        401: "Not signed in",
        403: "Signed in, but without the right",
        404: "Not there, or not for you",
        422: "Input that cannot be used",
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
    app.state.parts = Parts(attest, queue, open_sessions(attest.settings), Turnstile(2, 16))
    for resource in RESOURCES:
        app.include_router(resource.router)
    add_refusals(app)
    app.add_middleware(BodyLimit, upload=attest.settings.max_upload_bytes)
    if attest.settings.sign_in == "none":
        app.add_middleware(LoopbackOnly)
    return app


def _operation(route: APIRoute) -> str:
    return route.name
