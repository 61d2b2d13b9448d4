"""The line in front of the readers: so many questions are worked on at once, so many wait, and a
flood ends in clear refusals and not in a dead process."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import TypeVar

import anyio
from anyio.to_thread import run_sync

from rag.errors import Busy

T = TypeVar("T")
_SHORTEST, _LONGEST = 1.0, 120.0  # seconds that a refused one is told to wait
_FIRST_GUESS = 5.0  # seconds of an answer, before one was seen
_WEIGHT = 0.2  # of the newest answer in the running mean


class Turnstile:
    """`seats` questions are worked on at once; `places` more wait, of one user at most
    `places_each`. A free seat goes to the users who wait in turn, so that one with many questions
    delays others by one of them. Waiting holds no thread; who is cancelled while waiting leaves
    the line. Used from one event loop only."""

    def __init__(
        self,
        seats: int,
        places: int,
        places_each: int | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.seats, self.places = seats, places
        self.places_each = places if places_each is None else places_each
        self.taken = self.waiting = self.refused = 0
        self._threads = anyio.CapacityLimiter(seats)
        self._lines: OrderedDict[str, deque[anyio.Event]] = OrderedDict()  # next user first
        self._clock = clock
        self._usual = _FIRST_GUESS

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[float]:
        """A seat for the block; gives the seconds waited for it. Raises Busy at once when the line
        is full."""
        came = self._clock()
        await self._enter(user)
        sat_down = self._clock()
        try:
            yield sat_down - came
        finally:
            self._usual += _WEIGHT * (self._clock() - sat_down - self._usual)
            self._leave()

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """`work(*arguments)` in a thread. A seat brings one of its own, so that answers never take
        those that other requests need."""
        return await run_sync(work, *arguments, limiter=self._threads)

    async def _enter(self, user: str) -> None:
        if self.taken < self.seats:  # then nobody waits
            self.taken += 1
            return
        own = self._lines.get(user, ())
        if self.waiting >= self.places:
            raise self._busy("too many questions are waiting")
        if len(own) >= self.places_each:
            raise self._busy(f"{len(own)} questions of yours are waiting already")
        called = anyio.Event()
        self.waiting += 1
        self._lines.setdefault(user, deque()).append(called)
        try:
            await called.wait()
        except BaseException:
            if called.is_set():  # a seat was kept for one who is gone
                self._leave()
            else:
                self._forget(user, called)
            raise

    def _leave(self) -> None:
        """The seat goes to the next user's first question."""
        if not self._lines:
            self.taken -= 1
            return
        user, line = next(iter(self._lines.items()))
        called = line[0]
        self._lines.move_to_end(user)
        self._forget(user, called)
        called.set()

    def _forget(self, user: str, called: anyio.Event) -> None:
        self.waiting -= 1
        self._lines[user].remove(called)
        if not self._lines[user]:
            del self._lines[user]

    def _busy(self, why: str) -> Busy:
        self.refused += 1
        wait = self._usual * (self.waiting + 1) / self.seats
        wait = round(min(max(wait, _SHORTEST), _LONGEST), 1)
        return Busy(f"{why}; ask again in {wait:.0f} seconds", retry_after=wait)
