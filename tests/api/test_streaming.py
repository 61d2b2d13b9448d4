"""Streaming over a real server: hanging up ends the work and gives the seat back; a large upload
is refused in words."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator as Writing
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn
from fastapi import FastAPI

from models.fake import CopyGenerator
from models.piece import Piece
from rag.api.app import make_app
from rag.client import Client
from rag.domain import Found, Said
from rag.errors import AttestError, LimitExceeded, ModelError
from rag.ports import Generator
from tests.api.conftest import copied
from tests.api.house import NAME, QUESTION, House, Sent


class Endless(CopyGenerator):
    """Says the same supported sentence until it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.stopped = threading.Event()

    def generate(self, passages: Sequence[str], question: str, sampling: Any) -> Writing[Piece]:
        try:
            while True:
                yield from super().generate(passages, question, sampling)
                yield Piece(" ", 1, 0.0)
        finally:
            self.stopped.set()


class Breaking(CopyGenerator):
    """Breaks after its first sentence."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def generate(self, passages: Sequence[str], question: str, sampling: Any) -> Writing[Piece]:
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
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def built(furnished: House, tmp_path: Path) -> Iterator[House]:
    made = copied(furnished, tmp_path / "data")
    yield made
    made.attest.close()


def test_hanging_up_ends_the_work(built: House) -> None:
    endless = Endless()
    built.attest.generator = cast(Generator, endless)
    app = make_app(built.attest, Sent())
    with served(app) as url, Client(url) as client:
        events = client.ask_stream(NAME, QUESTION)
        assert isinstance(next(events), Found)
        assert isinstance(next(events), Said)
        assert not endless.stopped.is_set()
        cast(Any, events).close()
        assert endless.stopped.wait(30)
        turnstile = app.state.parts.turnstile
        for _ in range(turnstile.inside):  # every seat is free again
            assert turnstile._seats.acquire(timeout=30)


@pytest.mark.parametrize(
    ("error", "expected"),
    [(ModelError("out of memory"), ModelError), (RuntimeError("a secret path"), AttestError)],
)
def test_what_breaks_later_is_said_in_the_stream(
    built: House, error: Exception, expected: type[AttestError]
) -> None:
    built.attest.generator = cast(Generator, Breaking(error))
    with served(make_app(built.attest, Sent())) as url, Client(url) as client:
        events = client.ask_stream(NAME, QUESTION)
        assert isinstance(next(events), Found)
        assert isinstance(next(events), Said)
        with pytest.raises(expected) as said:
            list(events)
        assert "secret" not in str(said.value)
        assert client.answers(NAME) == []


def test_a_large_upload_is_refused_in_words(built: House) -> None:
    with served(make_app(built.attest, Sent())) as url, Client(url) as client:
        for size in (5_000, 5_000_000, 50_000_000):
            with pytest.raises(LimitExceeded):
                client.upload(NAME, "large.bin", b"x" * size)
        assert client.health().status == "ok"
