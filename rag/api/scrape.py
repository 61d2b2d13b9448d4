"""`GET /metrics` for Prometheus, and the count of requests behind it.

For administrators, or a key of theirs with the scope `metrics` alone: how much is asked, refused
and failing is nobody else's business, and unlike health no sign-in page needs it."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rag.api.access import Scraper
from rag.api.metrics import Metrics
from rag.api.parts import Here
from rag.api.refusals import HUNG_UP

router = APIRouter(tags=["health"])
METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})


@router.get("/metrics", response_class=Response)
def metrics(who: Scraper, here: Here) -> Response:
    """In Prometheus's text format."""
    return Response(here.metrics.text(), media_type=CONTENT_TYPE_LATEST)


@dataclass(frozen=True, slots=True)
class Counted:
    """Counts each request by the route's pattern (never by its path, which names things)."""

    app: ASGIApp
    metrics: Metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = HUNG_UP

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noted)
        except Exception:
            status = 500
            raise
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            route = getattr(scope.get("route"), "path", "none")
            self.metrics.requested(method, route, status)
