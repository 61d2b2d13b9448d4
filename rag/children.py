"""The children of one supervisor, started again when they die: said each time, and not for ever."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rag.errors import Unavailable
from rag.process import Child, Guard, start

STOP_WITHIN = 20.0  # seconds for the worker to finish its step; a lease takes care of the rest
RESTARTS, RESTARTS_WITHIN = 5, 600.0  # of one part in so many seconds; then all is given up


class Children:
    """By name, in the order of their start. `guard` ends them should this process be killed."""

    def __init__(self, guard: Guard, say: Callable[[str], None]) -> None:
        self._guard, self._say = guard, say
        self._running: dict[str, Child] = {}
        self._died: dict[str, list[float]] = defaultdict(list)  # when

    def run(
        self, name: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> Child:
        return self._watched(start(name, command, log, env or {}))

    def stop(self, name: str) -> None:
        """And what it left behind."""
        child = self._running[name]
        child.stop(STOP_WITHIN)
        self._guard.forget(child.pid)

    def all_run(self) -> None:
        """Raises Unavailable when one has died."""
        for child in self._running.values():
            if child.ended() is not None:
                raise Unavailable(child.why())

    def mend(self) -> None:
        """Start again what has died. Raises Unavailable for what dies too often."""
        for name, child in list(self._running.items()):
            if child.ended() is not None:
                self.count(name, child.why())
                self.stop(name)
                self._watched(child.again())

    def count(self, name: str, why: str) -> None:
        """Say that one died and is started again. Raises Unavailable when that was too often."""
        now = time.monotonic()
        recent = [at for at in self._died[name] if now - at < RESTARTS_WITHIN]
        if len(recent) == RESTARTS:
            raise Unavailable(
                f"{why}\nit was started again {RESTARTS} times within {RESTARTS_WITHIN / 60:g} "
                "minutes already, so everything is stopped"
            )
        self._died[name] = [*recent, now]
        self._say(f"attest: {why}\nattest: the {name} is started again")

    def _watched(self, child: Child) -> Child:
        self._guard.watch(child.pid)
        self._running[child.name] = child
        return child
