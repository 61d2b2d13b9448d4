"""The real app over the small house, once with sign-in and once without."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from rag.api.app import make_app
from rag.api.sessions import open_sessions
from rag.client import Client
from tests.api.house import House, Sent, furnish, opened, settings_in

LOOPBACK = ("127.0.0.1", 50000)
As = Callable[..., Client]


@pytest.fixture
def queue() -> Sent:
    return Sent()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Built once; each test works on a copy of its folder."""
    return furnish(tmp_path_factory.mktemp("house") / "data")


def copied(furnished: House, folder: Path, **settings: object) -> House:
    shutil.copytree(furnished.attest.settings.data, folder)
    return replace(furnished, attest=opened(settings_in(folder, **settings)))


@pytest.fixture
def house(furnished: House, tmp_path: Path) -> Iterator[House]:
    made = copied(furnished, tmp_path / "data", sign_in="local")
    yield made
    made.attest.close()


@pytest.fixture
def built(furnished: House, tmp_path: Path) -> Iterator[House]:
    """Without sign-in."""
    made = copied(furnished, tmp_path / "local")
    yield made
    made.attest.close()


@pytest.fixture
def app(house: House, queue: Sent) -> FastAPI:
    return make_app(house.attest, queue)


@pytest.fixture
def signed_in(app: FastAPI, house: House) -> Iterator[As]:
    """`signed_in("mia")`: a client as that person; without a name nobody's."""
    with TestClient(app, "http://127.0.0.1", client=LOOPBACK) as http:

        def client(person: str | None = None) -> Client:
            return Client("http://127.0.0.1", person and session(house, person), http=http)

        yield client


def session(house: House, person: str) -> str:
    """A token without the deliberately slow password check."""
    with house.attest.store() as work:
        account = work.accounts.get(person)
    return open_sessions(house.attest.settings).start(account).token


@pytest.fixture
def local(built: House, queue: Sent) -> Iterator[Client]:
    """The local user's client, without sign-in."""
    with TestClient(make_app(built.attest, queue), "http://127.0.0.1", client=LOOPBACK) as http:
        yield Client("http://127.0.0.1", http=http)
