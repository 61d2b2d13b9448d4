"""While there is no sign-in, only this machine, only by its own name, only from its own pages."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse

from rag.api.limits import BodyLimit
from rag.api.loopback import LoopbackOnly


def get(peer: str = "127.0.0.1", **headers: str) -> httpx.Response:
    app = LoopbackOnly(PlainTextResponse("in"))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, client=(peer, 5000))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8808") as http:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return await http.post("/collections", headers=sent)

    return asyncio.run(ask())


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8808", "LOCALHOST", "[::1]:8808"])
def test_its_own_names_pass(host: str) -> None:
    assert get(host=host).text == "in"


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1"])
def test_its_own_addresses_pass(peer: str) -> None:
    assert get(peer).text == "in"


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "evil.example:8808", ""]
)
def test_a_rebound_name_is_refused(host: str) -> None:
    refused = get(host=host)
    assert refused.status_code == 403
    assert refused.json()["error"] == "not_permitted"


@pytest.mark.parametrize("peer", ["10.0.0.7", "192.168.1.9", "2001:db8::1", "nonsense"])
def test_another_machine_is_refused(peer: str) -> None:
    assert get(peer).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1.evil.example"]
)
def test_a_page_of_elsewhere_is_refused(origin: str) -> None:
    assert get(origin=origin).status_code == 403


def test_a_page_of_this_machine_passes() -> None:
    assert get(origin="http://localhost:8809").text == "in"
    assert get(sec_fetch_site="same-origin").text == "in"


def test_a_cross_site_request_is_refused() -> None:
    assert get(sec_fetch_site="cross-site").status_code == 403


def test_forwarding_headers_make_nobody_local() -> None:
    assert get("10.0.0.7", x_forwarded_for="127.0.0.1").status_code == 403


def test_a_body_is_counted_whatever_its_length_says() -> None:
    app = FastAPI()

    @app.post("/")
    async def length(request: Request) -> int:
        return len(await request.body())

    app.add_middleware(BodyLimit, upload=10)

    async def send(size: int) -> httpx.Response:
        async def pieces() -> object:
            for _ in range(size // 1024):
                yield b"x" * 1024

        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
            return await http.post("/", content=pieces())  # type: ignore[arg-type]

    assert asyncio.run(send(1024 * 1024)).json() == 1024 * 1024
    assert asyncio.run(send(1024 * 1025)).status_code == 413
