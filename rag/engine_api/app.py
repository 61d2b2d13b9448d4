"""The engine's app, put together from its parts. Built by a call, never at import."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from fastapi import FastAPI

from rag.api.limits import BodyLimit
from rag.api.loopback import LoopbackOnly
from rag.api.refusals import add_refusals
from rag.api.turnstile import Turnstile
from rag.engine_api import routes
from rag.engine_api.key import KeyOnly
from rag.engine_api.parts import EngineParts

if TYPE_CHECKING:
    from rag.bootstrap import Attest

LARGEST = 32 * 2**20  # bytes of a request: all passages of a prompt, or many keys


def make_engine_app(attest: Attest) -> FastAPI:
    """The engine over these parts, which must read with weights of their own. Whoever holds its key
    may use it; without a key, only this machine."""
    app = FastAPI(
        title="Attest engine",
        version=version("attest-rag"),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    own = attest.settings
    app.state.parts = EngineParts(attest, Turnstile(own.answers_at_once, own.answers_waiting))
    app.include_router(routes.router)
    add_refusals(app)
    app.add_middleware(BodyLimit, upload=0, json=LARGEST)
    if own.engine_key is None:
        app.add_middleware(LoopbackOnly, what="without engine_key the engine")
    else:
        app.add_middleware(KeyOnly, key=own.engine_key)
    return app
