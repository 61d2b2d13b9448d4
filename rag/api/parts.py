"""What every route needs, made once by `make_app` and handed to routes by dependency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from rag.api.metrics import Metrics
from rag.api.sessions import Sessions
from rag.api.turnstile import Turnstile
from rag.ports import Queue
from rag.settings import Settings

if TYPE_CHECKING:
    from rag.bootstrap import Attest


@dataclass(frozen=True, slots=True)
class Parts:
    attest: Attest
    queue: Queue
    sessions: Sessions
    turnstile: Turnstile
    metrics: Metrics

    @property
    def settings(self) -> Settings:
        return self.attest.settings


def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


Here = Annotated[Parts, Depends(_parts)]
