"""Pieces on their way from the thread that reads them to the event loop that sends them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from collections.abc import Generator as Writing
from contextlib import closing
from threading import Event as Flag

from rag.errors import AttestError, DoesNotFit
from rag.ports import Piece

log = logging.getLogger("attest.engine")
Item = Piece | AttestError | None  # None: the answer is complete


class Crossing:
    """Made on the loop; `put` and `pump` are for threads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Item] = asyncio.Queue()

    def put(self, item: Item) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, item)

    async def some(self, seconds: float) -> list[Item]:
        """All that are there; none when none came within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                found = [await self._queue.get()]
        except TimeoutError:
            return []
        while not self._queue.empty():
            found.append(self._queue.get_nowait())
        return found

    def pump(self, start: Callable[[], Writing[Piece]], gone: Flag) -> None:
        """All pieces of what `start` begins, then the end or what went wrong. Stops the reader at
        the first piece after `gone` was set."""
        try:
            with closing(start()) as pieces:
                for piece in pieces:
                    if gone.is_set():
                        break
                    self.put(piece)
            self.put(None)
        except AttestError as exc:
            self.put(exc)
        except ValueError as exc:
            self.put(DoesNotFit(str(exc)))
        except Exception:
            log.exception("an answer broke off")
            self.put(AttestError("the answer broke off by a fault of ours; see the engine's log"))
