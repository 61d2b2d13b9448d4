"""Reads documents in sandboxed children without paying for a fresh interpreter each time.

A helper process imports the parsers once and forks one child for each document; the child sets its
limits, parses and ends. The helper itself never sees a byte of a document: it passes on the
descriptors of the two files that `ingestion.sandbox` exchanges.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from typing import IO

from ingestion.limits import Limits
from ingestion.sandbox import (
    Outcome,
    child_environment,
    die_with_parent,
    outcome_of,
    parse_request,
    too_slow,
    write_request,
)

_PARSERS = tuple(
    f"ingestion.parse.{part}"
    for part in ("delimited", "docx", "html", "mail", "markdown", "pdf", "pptx", "records", "text")
)
# what recognises pictures is left out: few documents need it, and it fills the address space
_LIBRARIES = (
    *("chardet", "docx", "olefile", "pptx", "puremagic", "pypdfium2.raw"),
    *("PIL.Image", "python_calamine"),
)
_GRACE = 5.0  # seconds beyond the child's own alarm before the helper itself is given up


class Reader:
    """Call it like `run_sandboxed`. Not for use by two threads at once, but that another one may
    `abandon` a reading; `close` ends the helper, and a helper that died is started anew."""

    def __init__(self) -> None:
        self._helper: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def __call__(self, data: bytes, name: str, limits: Limits) -> Outcome:
        """Raises an UnreadableDocument or a leaf of it."""
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
            write_request(source, data, name, limits)
            code = self._read(source, target, limits)
            target.seek(0)
            return outcome_of(code, target.read(), limits)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._helper is not None:
            self._helper.kill()
            self._helper.wait()
        self._line = self._helper = None

    def abandon(self) -> None:
        """Kill the helper, and with it the child: a reading under way raises UnreadableDocument."""
        helper = self._helper
        if helper is not None:
            helper.kill()

    def _read(self, source: IO[bytes], target: IO[bytes], limits: Limits) -> int:
        line = self._connected()
        line.settimeout(limits.seconds + _GRACE)
        try:
            socket.send_fds(line, [b"read\n"], [source.fileno(), target.fileno()])
            answer = line.recv(64)
        except TimeoutError:
            self.close()
            raise too_slow(limits) from None
        except OSError:
            answer = b""
        if not answer:  # the helper is gone, and with it its child
            self.close()
            return -signal.SIGKILL
        code = int(json.loads(answer))
        if code == -signal.SIGALRM:
            raise too_slow(limits)
        return code

    def _connected(self) -> socket.socket:
        if self._line is not None and self._helper is not None and self._helper.poll() is None:
            return self._line
        self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._helper = subprocess.Popen(
                [sys.executable, "-m", "ingestion.reader", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._line = ours
        return ours


# --- in the helper -----------------------------------------------------------------------------


def _serve(line: socket.socket) -> int:
    """Fork a child for every request until the line closes."""
    die_with_parent()
    _import_parsers()
    while True:
        message, descriptors, _, _ = socket.recv_fds(line, 64, 2)
        if not message or len(descriptors) != 2:
            return 0
        pid = os.fork()
        if pid == 0:
            line.close()
            _become_child(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(pid, 0)
        line.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _become_child(source: int, target: int) -> None:
    code = 1
    try:
        with open(source, "rb") as request, open(target, "wb") as answer:
            code = parse_request(request, answer)
    finally:
        os._exit(code)


def _import_parsers() -> None:
    """All that a child would otherwise import for itself."""
    for name in (*_PARSERS, *_LIBRARIES):
        importlib.import_module(name)


if __name__ == "__main__":
    sys.exit(_serve(socket.socket(fileno=int(sys.argv[1]))))
