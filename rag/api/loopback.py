"""While there is no sign-in, only this machine may speak to the API, and only on purpose.

Three ways in are closed: another machine (the peer's address), DNS rebinding (a page whose own
name was pointed at 127.0.0.1 sends that name as Host), and cross-site requests (a page elsewhere
that posts a form to 127.0.0.1 sends its own Origin).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from rag.api.refusals import refusal
from rag.errors import NotPermitted
from rag.wire import error_json

NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class LoopbackOnly:
    app: ASGIApp
    what: str = "without sign-in the API"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or (reason := _why_not(scope)) is None:
            await self.app(scope, receive, send)
            return
        error = NotPermitted(f"{reason}; {self.what} serves this machine only")
        await refusal(scope["path"], 403, error_json(error))(scope, receive, send)


def _why_not(scope: Scope) -> str | None:
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    peer = (scope.get("client") or ("127.0.0.1",))[0]
    if not _is_loopback(peer):
        return f"{peer} is another machine"
    if _host(f"//{headers.get(b'host', '')}") not in NAMES:
        return f"the Host header names {headers.get(b'host', 'nothing')!r}"
    origin = headers.get(b"origin")
    if origin is not None and _host(origin) not in NAMES:
        return f"the request comes from a page of {origin!r}"
    if headers.get(b"sec-fetch-site") == "cross-site":
        return "the request comes from another site's page"
    return None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
