"""The real API on loopback for the pages: real SQLite, blobs, ingestion and index; the models are
the shipped stand-ins without weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest
import streamlit as st
import uvicorn
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Button

from ingestion.pipeline import run_job
from models.fake import CopyGenerator, HashEmbedder
from rag.api.app import make_app
from rag.bootstrap import Attest, open_attest
from rag.client import Client
from rag.domain import Job
from rag.ports import Generator
from rag.settings import Settings

APP = Path(__file__).parents[2] / "ui" / "app.py"
SECONDS = 60  # the longest one run of a page may take
Open = Callable[..., AppTest]


@dataclass
class Waiting:
    """The queue port: remembers the jobs until `work` does them, as a worker would."""

    attest: Attest
    jobs: list[str] = field(default_factory=list)

    def send(self, job: str) -> None:
        self.jobs.append(job)

    def work(self) -> None:
        while self.jobs:
            run_job(self.attest, self.jobs.pop(0), f"test-{len(self.jobs)}")


@dataclass(frozen=True)
class House:
    attest: Attest
    queue: Waiting
    client: Client
    url: str

    def add(self, collection: str, name: str, data: bytes | str) -> Job:
        """Upload and ingest."""
        raw = data.encode() if isinstance(data, str) else data
        job = self.client.upload(collection, name, raw)
        self.queue.work()
        return self.client.job(job.id)


@contextmanager
def served(folder: Path, **settings: object) -> Iterator[House]:
    attest = open_attest(Settings.model_validate({"data": folder, **settings}))
    attest.embedder = HashEmbedder()
    attest.generator = cast(Generator, CopyGenerator())
    queue = Waiting(attest)
    config = uvicorn.Config(make_app(attest, queue), port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.02)
            assert thread.is_alive(), "the API did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        with Client(f"http://127.0.0.1:{port}") as client:
            yield House(attest, queue, client, f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        thread.join()
        attest.close()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """Without sign-in."""
    with served(tmp_path / "data") as made:
        monkeypatch.setenv("ATTEST_API_URL", made.url)
        yield made


def _page(name: str) -> None:
    """What app.py does for one page; AppTest reads this function's text, so all is within."""
    from importlib import import_module

    import_module(f"ui.{name}").page()


@pytest.fixture
def opened() -> Iterator[Open]:
    """`opened("ask")`: that page, run once; without a name the whole app."""

    def run(name: str = "") -> AppTest:
        test = (
            AppTest.from_function(_page, default_timeout=SECONDS, args=(name,))
            if name
            else AppTest.from_file(str(APP), default_timeout=SECONDS)
        )
        return settled(test.run())

    yield run
    st.cache_resource.clear()  # closes the session's client


def settled(test: AppTest) -> AppTest:
    """Nothing was raised on the page."""
    assert [error.value for error in test.exception] == []
    return test


def html(test: AppTest) -> str:
    """All HTML on the page, in order."""
    return "\n".join(element.value for element in test.html)


def words(test: AppTest) -> str:
    """All that is told in words: captions, notes, warnings, errors, badges and paragraphs."""
    told = [test.caption, test.info, test.success, test.warning, test.error, test.markdown]
    return "\n".join(element.value for kind in told for element in kind)


def button(test: AppTest, text: str) -> Button:
    """The only button of that label."""
    (found,) = [each for each in test.button if each.label == text]
    return found
