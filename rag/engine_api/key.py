"""Who may speak to the engine: whoever holds its key. Without it nothing is answered, not even
whether there is an engine."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from fastapi.responses import JSONResponse
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from rag.errors import NotSignedIn
from rag.wire import error_json


@dataclass(frozen=True, slots=True)
class KeyOnly:
    app: ASGIApp
    key: SecretStr

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._held(scope):
            await self.app(scope, receive, send)
            return
        error = NotSignedIn("the engine's key is missing or wrong; send engine_key as bearer token")
        headers = {"WWW-Authenticate": "Bearer"}
        await JSONResponse(error_json(error), 401, headers)(scope, receive, send)

    def _held(self, scope: Scope) -> bool:
        """Compared in a time that tells nothing of the key."""
        wanted = f"Bearer {self.key.get_secret_value()}".encode("ascii")
        given: bytes = dict(scope["headers"]).get(b"authorization", b"")
        return hmac.compare_digest(given, wanted)
