"""What a command says: one JSON document or plain text on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass, field

from rag.wire import Json

EVERY = 2.0  # seconds between two lines of progress where nobody sees a moving line
AGAIN = 15.0  # seconds until the same line is repeated, to show that it is still alive


@dataclass(slots=True)
class Terminal:
    json: bool
    _moving: bool = False
    _said: str = ""
    _last: float = field(default_factory=time.monotonic)

    def result(self, document: Json, text: str = "") -> None:
        """The command's outcome: `document` with --json, else `text`. Once a command."""
        self._settle()
        shown = json.dumps(document, ensure_ascii=False) if self.json else text
        if shown:
            self._write(shown if shown.endswith("\n") else shown + "\n")

    def stream(self, text: str) -> None:
        """A part of the plain text, as soon as it is known; nothing with --json."""
        if not self.json:
            self._settle()
            self._write(text)

    def _write(self, text: str) -> None:
        """As UTF-8 and with the text's own line ends, whatever the terminal's settings are."""
        sys.stdout.flush()
        raw = getattr(sys.stdout, "buffer", None)
        if raw is None:  # a test's or a notebook's stdout
            sys.stdout.write(text)
        else:
            raw.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()

    def say(self, line: str) -> None:
        """A diagnostic."""
        self._settle()
        print(line, file=sys.stderr, flush=True)

    def progress(self, line: str) -> None:
        """Where a long command is: a moving line in a terminal, else a line every two seconds."""
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line[:200]}", end="", file=sys.stderr, flush=True)
            self._moving = True
        elif time.monotonic() - self._last >= (AGAIN if line == self._said else EVERY):
            self._last, self._said = time.monotonic(), line
            print(line, file=sys.stderr, flush=True)

    def _settle(self) -> None:
        if self._moving:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._moving = False
