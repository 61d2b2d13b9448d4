"""How far a long evaluation has come, as lines for a person."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

Say = Callable[[str], None]
EVERY = 10.0  # seconds between two lines of `stderr_lines`


class Progress:
    """Call `step()` after each piece; `say` gets a line each time and may drop what is too much."""

    def __init__(self, what: str, total: int, say: Say | None = None) -> None:
        self._what, self._total, self._done = what, total, 0
        self._say = say or stderr_lines()
        self._began = time.monotonic()

    def step(self, pieces: int = 1) -> None:
        self._done += pieces
        each = (time.monotonic() - self._began) / max(self._done, 1)
        left = each * (self._total - self._done)
        self._say(f"{self._what}: {self._done}/{self._total}, {each:.2g} s each, {left:.0f} s left")


def stderr_lines() -> Say:
    """A line every ten seconds on stderr; nothing for what is done sooner."""
    last = time.monotonic()

    def say(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(line, file=sys.stderr, flush=True)

    return say
