"""Work for a client that may hang up: it is stopped then, wherever it is."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from threading import Event as Flag
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rag.answering import Event
from rag.api.parts import Parts
from rag.domain import Answer, Principal
from rag.errors import Abandoned
from rag.pieces import Gone

T = TypeVar("T")
Start = Callable[[float, Gone], Iterator[Event]]  # (seconds waited, gone) -> the events


async def attended(receive: Receive, gone: Flag, work: Callable[[], Awaitable[T]]) -> T:
    """What `work()` gives. When the client hangs up, `gone` is set for the threads of the work and
    the rest of it is cancelled. Raises ClientDisconnect then. The request's body must have been
    read."""
    with anyio.CancelScope() as scope:

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            gone.set()
            scope.cancel()

        watching = asyncio.create_task(watch())
        try:
            return await work()
        except Abandoned as exc:
            raise ClientDisconnect from exc
        finally:
            watching.cancel()
    raise ClientDisconnect


class Spoken(Response):
    """Sent while it is made. When the client hangs up, at any time, `gone` is set for whoever makes
    it, and the rest is cancelled."""

    def __init__(self, media_type: str, log: logging.Logger) -> None:
        self.status_code, self.media_type, self.background = 200, media_type, None
        self.init_headers({"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = Flag()
        try:
            await attended(receive, gone, lambda: self._speak(gone, send))
        except ClientDisconnect:
            self._log.info("%s: the client hung up", scope["path"])

    @abstractmethod
    async def _speak(self, gone: Flag, send: Send) -> None: ...


@asynccontextmanager
async def answering(
    here: Parts, who: Principal, gone: Flag, start: Start
) -> AsyncIterator[AsyncIterator[Event]]:
    """Waits for a seat, then gives the events as they come, each computed in a thread. At the end
    of the block the work is stopped, however far it is. Raises Busy."""
    async with here.turnstile.turn(who.user) as waited:
        events = start(waited, gone.is_set)
        try:
            yield _each(here, events)
        finally:
            gone.set()
            with anyio.CancelScope(shield=True):
                await here.turnstile.run(_stop, events)


async def whole(here: Parts, who: Principal, receive: Receive, start: Start) -> Answer:
    """The last of the events: the answer. Raises Busy, ClientDisconnect, and what answering
    raises."""
    gone = Flag()

    async def work() -> Answer:
        async with answering(here, who, gone, start) as events:
            async for event in events:
                if isinstance(event, Answer):
                    return event
        raise TypeError("the stream ended without an answer")

    return await attended(receive, gone, work)


async def _each(here: Parts, events: Iterator[Event]) -> AsyncIterator[Event]:
    while (event := await here.turnstile.run(_next, events)) is not None:
        if isinstance(event, Answer):
            here.metrics.answered(event)
        yield event


def _next(events: Iterator[Event]) -> Event | None:
    return next(events, None)


def _stop(events: Iterator[Event]) -> None:
    """Ends the generator now and not when it is collected."""
    close = getattr(events, "close", None)
    if close is not None:
        close()
