"""How large a request body may be. Counted while it arrives, so that nothing passes the limit
whatever the Content-Length says."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FORM_SLACK = 256 * 1024  # a multipart form's own lines and the upload's metadata
JSON_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class BodyLimit:
    """`upload` bytes for multipart forms, `json` for everything else."""

    app: ASGIApp
    upload: int
    json: int = JSON_BODY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._limit(dict(scope["headers"]))
        arrived = 0

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > limit:
                raise HTTPException(413, _too_large(limit))
            return message

        await self.app(scope, counted, send)

    def _limit(self, headers: dict[bytes, bytes]) -> int:
        if headers.get(b"content-type", b"").startswith(b"multipart/form-data"):
            return self.upload + FORM_SLACK
        return self.json


def _too_large(limit: int) -> str:
    return f"this request holds more than {limit:,} bytes, the most that is taken at once"
