"""What every route needs, made once by `make_app` and handed to routes by dependency."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from rag.api.sessions import Sessions
from rag.errors import Busy
from rag.ports import Queue
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.bootstrap import Attest


@dataclass(slots=True)
class Turnstile:
    """Lets `inside` questions be worked on at once and `waiting` more stand in line; the next one
    is told Busy, so that a flood ends in clear refusals and not in a dead process."""

    inside: int
    waiting: int
    _seats: threading.Semaphore = field(init=False)
    _places: threading.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self._seats = threading.Semaphore(self.inside)
        self._places = threading.Semaphore(self.inside + self.waiting)

    def enter(self) -> None:
        """Raises Busy at once when the line is full; else waits for a seat."""
        if not self._places.acquire(blocking=False):
            raise Busy("too many questions are waiting; ask again in a moment", retry_after=5.0)
        self._seats.acquire()

    def leave(self) -> None:
        self._seats.release()
        self._places.release()

    @contextmanager
    def turn(self) -> Iterator[None]:
        self.enter()
        try:
            yield
        finally:
            self.leave()


@dataclass(frozen=True, slots=True)
class Parts:
    attest: Attest
    queue: Queue
    sessions: Sessions
    turnstile: Turnstile

    @property
    def settings(self) -> Settings:
        return self.attest.settings


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Here = Annotated[Parts, Depends(_parts)]
