"""The client against a scripted server: typed errors, streaming, odd names, odd servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from rag.client import Client
from rag.domain import Found, Said
from rag.errors import Busy, NotSignedIn, Unavailable, UnknownCollection

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler, token: str | None = None) -> Client:
    transport = httpx.MockTransport(handler)
    return Client("http://a", token, http=httpx.Client(transport=transport, base_url="http://a"))


def answering(status: int, body: Any) -> Handler:
    return lambda request: httpx.Response(status, json=body)


def test_a_refusal_comes_back_typed() -> None:
    with pytest.raises(UnknownCollection, match="no such"):
        client(answering(404, {"error": "unknown_collection", "message": "no such"})).collection(
            "x"
        )
    busy = {"error": "busy", "message": "later", "retry_after": 7.5}
    with pytest.raises(Busy) as refused:
        client(answering(429, busy)).ask("x", "why?")
    assert refused.value.retry_after == 7.5


def test_one_that_is_not_attest_is_said() -> None:
    with pytest.raises(Unavailable, match="502"):
        client(lambda request: httpx.Response(502, text="<html>")).health()
    with pytest.raises(Unavailable, match="form"):
        client(answering(200, {"hello": "world"})).health()
    with pytest.raises(Unavailable, match="form"):
        client(lambda request: httpx.Response(200, text="<html>")).health()


def test_one_that_is_not_there_is_said() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Unavailable, match="attest up"):
        client(refuse).collections()
    with pytest.raises(Unavailable, match="broke off"):
        list(client(refuse).ask_stream("x", "why?"))


def test_names_are_one_part_of_the_path() -> None:
    paths: list[bytes] = []

    def keep(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(200, json=[])

    client(keep).library("a b?&#%/../ü")
    assert paths == [b"/collections/a%20b%3F%26%23%25%2F..%2F%C3%BC/documents"]


def test_the_token_is_kept_and_sent() -> None:
    seen: list[str] = []

    def serve(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization", ""))
        if request.url.path == "/sign-in":
            assert json.loads(request.content) == {"user": "anna", "password": "p"}
            expires = "2026-01-01T00:00:00Z"
            return httpx.Response(200, json={"user": "anna", "token": "t", "expires": expires})
        return httpx.Response(200, json=[])

    made = client(serve)
    made.sign_in("anna", "p")
    made.collections()
    assert seen == ["", "Bearer t"]


def test_streamed_events_are_typed() -> None:
    lines = [
        {"event": "found", "data": {"passages": []}},
        {"event": "said", "data": {"text": "It is so. [1]\u2028", "citations": []}},
        {"event": "error", "data": {"error": "not_signed_in", "message": "gone"}},
    ]
    body = "".join(json.dumps(line) + "\n" for line in lines)
    events = client(lambda request: httpx.Response(200, text=body)).ask_stream("x", "why?")
    assert next(events) == Found(())
    assert next(events) == Said("It is so. [1]\u2028", ())
    with pytest.raises(NotSignedIn, match="gone"):
        next(events)


def test_a_refused_stream_is_a_refusal() -> None:
    refused = answering(404, {"error": "unknown_collection", "message": "no such"})
    with pytest.raises(UnknownCollection):
        next(client(refused).ask_stream("x", "why?"))
