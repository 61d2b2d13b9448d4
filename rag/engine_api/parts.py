"""What every route of the engine needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from rag.api.turnstile import Turnstile
from rag.engine_wire import Named
from rag.errors import EngineUnavailable
from rag.ports import Generator

if TYPE_CHECKING:
    from rag.bootstrap import Attest


@dataclass(frozen=True, slots=True)
class EngineParts:
    attest: Attest
    turnstile: Turnstile

    def reader(self, named: Named) -> Generator:
        """The very one that was named. Raises UnknownAdapter, and EngineUnavailable when the engine
        was started anew with another model."""
        reader = self.attest.readers.named(named.adapter)
        if reader.model != named.model:
            raise EngineUnavailable(
                f"the engine runs {reader.model} now, no longer {named.model}; ask again"
            )
        return reader


def _parts(request: Request) -> EngineParts:
    parts: EngineParts = request.app.state.parts
    return parts


Here = Annotated[EngineParts, Depends(_parts)]
