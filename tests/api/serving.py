"""A real server for the API's tests, clients that hang up, and readers that take their time."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Writing
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from models.fake import CopyGenerator
from models.piece import Piece

PATIENCE = 60.0  # seconds; only a failing test waits so long


class Endless(CopyGenerator):
    """Says the same supported sentence until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.stopped = threading.Event(), threading.Event()

    def generate(
        self, passages: Sequence[str], question: str, sampling: Any, keep: bool = True
    ) -> Writing[Piece]:
        self.started.set()
        try:
            while True:
                yield from self._words(passages, question, sampling)
        finally:
            self.stopped.set()

    def _words(self, passages: Sequence[str], question: str, sampling: Any) -> Writing[Piece]:
        yield from super().generate(passages, question, sampling)
        yield Piece(" ", 1, 0.0)


class Mumbling(Endless):
    """Never comes to the end of a sentence, so that nothing of it can be said."""

    def _words(self, passages: Sequence[str], question: str, sampling: Any) -> Writing[Piece]:
        time.sleep(0.005)
        yield Piece(" mm", 1, 0.0)


class Breaking(CopyGenerator):
    """Breaks after its first sentence."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def generate(
        self, passages: Sequence[str], question: str, sampling: Any, keep: bool = True
    ) -> Writing[Piece]:
        for _ in range(2):
            yield from super().generate(passages, question, sampling)
            yield Piece(" ", 1, 0.0)
        raise self.error


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The app on a free port of this machine, by the server that `attest up` uses."""
    config = uvicorn.Config(app, port=0, log_level="warning", ws="none", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def posted(url: str, path: str, body: object, key: str = "") -> Iterator[socket.socket]:
    """A request whose reply is not read; leaving the block hangs up."""
    address = urlsplit(url)
    host, port = str(address.hostname), int(address.port or 80)
    raw = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n"
        f"Authorization: Bearer {key}\r\n\r\n"
    )
    with socket.create_connection((host, port)) as line:
        line.sendall(head.encode() + raw)
        yield line


def until(true: Callable[[], bool]) -> None:
    """Waits for what must come."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.005)
