"""An answer sent while it is written, in whatever form a way in speaks."""

from __future__ import annotations

import logging
from threading import Event as Flag
from typing import Protocol

from starlette.types import Send

from rag.answering import Event
from rag.api.attended import Spoken, Start, answering
from rag.api.parts import Parts
from rag.domain import Principal
from rag.errors import AttestError

log = logging.getLogger("attest.api")


class Voice(Protocol):
    """How events are put into bytes."""

    media_type: str

    def say(self, event: Event) -> str: ...
    def broke_off(self, error: AttestError | None) -> str:
        """The last words when the answer cannot be finished; None: by a fault of ours."""
        ...


class Streamed(Spoken):
    """What fails before the first event has its own status; what fails later is said in the stream.
    When the client hangs up, at any time, the work is stopped and the seat given back."""

    def __init__(self, here: Parts, who: Principal, start: Start, voice: Voice) -> None:
        super().__init__(voice.media_type, log)
        self._here, self._who, self._start, self._voice = here, who, start, voice

    async def _speak(self, gone: Flag, send: Send) -> None:
        async with answering(self._here, self._who, gone, self._start) as events:
            first = await anext(events)
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            try:
                await _send(send, self._voice.say(first))
                async for event in events:
                    await _send(send, self._voice.say(event))
            except AttestError as exc:
                await _send(send, self._voice.broke_off(exc))
            except Exception:
                log.exception("the stream of an answer broke off")
                await _send(send, self._voice.broke_off(None))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send(send: Send, text: str) -> None:
    if text:
        await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
