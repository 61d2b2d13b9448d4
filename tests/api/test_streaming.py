"""Answers over a real server: hanging up at any time ends the work and gives the seat back; a full
line refuses; a large upload is refused in words."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from rag.api.app import make_app
from rag.client import Client
from rag.domain import Found, Said
from rag.errors import AttestError, Busy, LimitExceeded, ModelError
from rag.ports import Generator
from tests.api.conftest import copied
from tests.api.house import NAME, QUESTION, House, Sent
from tests.api.serving import PATIENCE, Breaking, Endless, Mumbling, posted, served, until

ASK = f"/collections/{NAME}/ask"
BODY = {"question": QUESTION}
COMPLETION = {"model": NAME, "messages": [{"role": "user", "content": QUESTION}]}


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
        assert endless.stopped.wait(PATIENCE)
        until(lambda: app.state.parts.turnstile.taken == 0)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ASK, BODY),
        (f"{ASK}/stream", BODY),
        ("/v1/chat/completions", COMPLETION),
        ("/v1/chat/completions", COMPLETION | {"stream": True}),
    ],
)
def test_hanging_up_before_a_word_is_said_ends_the_work(
    built: House, path: str, body: dict[str, Any]
) -> None:
    mumbling = Mumbling()
    built.attest.generator = cast(Generator, mumbling)
    app = make_app(built.attest, Sent())
    with served(app) as url, Client(url) as client:
        with posted(url, path, body):
            assert mumbling.started.wait(PATIENCE)
        assert mumbling.stopped.wait(PATIENCE)
        until(lambda: app.state.parts.turnstile.taken == 0)
        assert client.answers(NAME) == [], "what nobody waited for is not kept"


def test_hanging_up_ends_a_replay(built: House) -> None:
    with served(make_app(built.attest, Sent())) as url, Client(url) as client:
        answer = client.ask(NAME, QUESTION)
    mumbling = Mumbling()
    built.attest.generator = cast(Generator, mumbling)
    built.attest.__dict__.pop("answering")  # so that it takes the new reader
    with served(make_app(built.attest, Sent())) as url:
        with posted(url, f"/answers/{answer.id}/replay", None):
            assert mumbling.started.wait(PATIENCE)
        assert mumbling.stopped.wait(PATIENCE)


def test_a_full_line_refuses_and_says_for_how_long(furnished: House, tmp_path: Path) -> None:
    house = copied(furnished, tmp_path / "data", answers_at_once=1, answers_waiting=1)
    endless = Endless()
    house.attest.generator = cast(Generator, endless)
    app = make_app(house.attest, Sent())
    turnstile = app.state.parts.turnstile
    with served(app) as url, Client(url) as client, posted(url, ASK, BODY):
        assert endless.started.wait(PATIENCE)
        with posted(url, ASK, BODY):
            until(lambda: turnstile.waiting == 1)
            for asking in (client.ask, lambda *asked: next(client.ask_stream(*asked))):
                with pytest.raises(Busy, match="ask again in") as refused:
                    asking(NAME, QUESTION)
            reply = httpx.post(url + ASK, json=BODY, timeout=PATIENCE)
            assert reply.status_code == 429
            seconds = reply.json()["retry_after"]
            assert refused.value.retry_after == seconds > 0
            assert seconds <= int(reply.headers["Retry-After"]) < seconds + 1
        until(lambda: turnstile.waiting == 0)  # hanging up gave the place back
        with posted(url, ASK, BODY):
            until(lambda: turnstile.waiting == 1)
    house.attest.close()


def test_a_crowd_that_waits_keeps_nobody_else_waiting(furnished: House, tmp_path: Path) -> None:
    """More than there are threads for requests."""
    house = copied(furnished, tmp_path / "data", answers_at_once=1)
    house.attest.generator = cast(Generator, Endless())
    app = make_app(house.attest, Sent())
    with served(app) as url, ExitStack() as crowd, Client(url) as client:
        for _ in range(61):
            crowd.enter_context(posted(url, ASK, BODY))
        until(lambda: app.state.parts.turnstile.waiting == 60)
        assert [held.name for held in client.collections()] == [NAME]
    house.attest.close()


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


def test_an_answer_says_how_long_it_waited(built: House) -> None:
    with served(make_app(built.attest, Sent())) as url, Client(url) as client:
        answer = client.ask(NAME, QUESTION)
        assert 0 <= answer.timings["queue"] <= answer.timings["total"]
        assert client.answer(answer.id) == answer


def test_a_large_upload_is_refused_in_words(built: House) -> None:
    with served(make_app(built.attest, Sent())) as url, Client(url) as client:
        for size in (5_000, 5_000_000, 50_000_000):
            with pytest.raises(LimitExceeded):
                client.upload(NAME, "large.bin", b"x" * size)
        assert client.health().status == "ok"
