"""An answer's pieces as lines of JSON, sent while they are written."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from collections.abc import Generator as Writing
from threading import Event as Flag

import anyio
from starlette.types import Send

from rag.api.attended import Spoken
from rag.api.turnstile import Turnstile
from rag.engine_api.crossing import Crossing, Item
from rag.engine_wire import BEAT
from rag.errors import AttestError, Busy
from rag.pieces import PlainPiece
from rag.ports import Piece
from rag.wire import error_json, to_json

log = logging.getLogger("attest.engine")
ALL = "all"  # whoever holds the key stands in one line; who is served first the API has decided


class Speaking(Spoken):
    """`{"data": [piece, ...]}` for what was written since the last line, an empty line where
    nothing was for a while, last `{"end": true}` or an error. What fails before the first line has
    its own status. When the client hangs up, in the line or later, the work is stopped."""

    def __init__(self, turnstile: Turnstile, start: Callable[[], Writing[Piece]]) -> None:
        super().__init__("application/x-ndjson", log)
        self._turnstile, self._start = turnstile, start

    async def _speak(self, gone: Flag, send: Send) -> None:
        crossing, place = Crossing(), anyio.CancelScope()
        working = asyncio.create_task(self._work(crossing, gone, place))
        try:
            await self._send_all(crossing, send)
        finally:
            gone.set()
            place.cancel()  # who still waits leaves the line; a thread ends by `gone`
            with anyio.CancelScope(shield=True):
                await working

    async def _work(self, crossing: Crossing, gone: Flag, place: anyio.CancelScope) -> None:
        try:
            with place:
                async with self._turnstile.turn(ALL):
                    await self._turnstile.run(crossing.pump, self._start, gone)
        except Busy as exc:
            crossing.put(exc)

    async def _send_all(self, crossing: Crossing, send: Send) -> None:
        items = await crossing.some(BEAT)
        if items and isinstance(items[0], AttestError):
            raise items[0]
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        while True:
            said, ended = _lines(items)
            await send({"type": "http.response.body", "body": said, "more_body": not ended})
            if ended:
                return
            items = await crossing.some(BEAT)


def _lines(items: list[Item]) -> tuple[bytes, bool]:
    """And whether they are the last."""
    ends = [item for item in items if item is None or isinstance(item, AttestError)]
    pieces = [item for item in items if item is not None and not isinstance(item, AttestError)]
    sent = [PlainPiece(p.text, p.tokens, p.logprob, p.refusal, p.timings) for p in pieces]
    lines = [json.dumps({"data": to_json(sent)})] if sent else []
    lines += [json.dumps({"end": True} if end is None else error_json(end)) for end in ends]
    return "".join(f"{line}\n" for line in lines or [""]).encode("ascii"), bool(ends)
