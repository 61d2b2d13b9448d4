"""A small house for the API's tests. The truth, the blobs and the index are the real ones; the
models are the shipped stand-ins without weights. Four people, one collection with an open and a
narrowed document, a stored answer, a failed job, a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import numpy as np

from models.fake import CopyGenerator, HashEmbedder
from rag import changes
from rag.api.passwords import hash_password
from rag.bootstrap import Attest, open_attest
from rag.domain import (
    LOCAL_USER,
    Block,
    BlockKind,
    Chunk,
    Document,
    Job,
    Origin,
    OriginKind,
    Principal,
    Right,
    chunk_id,
)
from rag.errors import BrokerUnavailable
from rag.ports import Generator, Publication, RunRecord
from rag.settings import Settings

NAME = "handbook"
OPEN = "Employees have thirty days of paid leave. Leave is asked for in writing."
SECRET = "The director earns ninety thousand a year."
QUESTION = "How many days of paid leave do employees have?"
PASSWORD = "a long password of this test"
PEOPLE = {
    "mia": frozenset({"managers"}),
    "wim": frozenset({"writers"}),
    "rae": frozenset({"readers"}),
    "sam": frozenset({"strangers"}),
}
RIGHTS = {"managers": Right.MANAGE, "writers": Right.WRITE, "readers": Right.READ}


class Sent:
    """The queue port, remembering. `down` makes it a broker that cannot be reached."""

    def __init__(self) -> None:
        self.jobs: list[str] = []
        self.down = False

    def send(self, job: str) -> None:
        if self.down:
            raise BrokerUnavailable("the broker cannot be reached; the job waits")
        self.jobs.append(job)


@dataclass(frozen=True)
class House:
    attest: Attest
    open: Document
    secret: Document
    answer: str
    failed: Job
    run: str


def furnish(folder: Path) -> House:
    """Build the house in an empty folder; slow, since it migrates and hashes."""
    attest = opened(settings_in(folder))
    mia = Principal("mia", PEOPLE["mia"])
    hashed = hash_password(PASSWORD)
    for person, groups in PEOPLE.items():
        changes.add_user(attest.store, LOCAL_USER, person, hashed, groups)
    changes.add_user(attest.store, LOCAL_USER, "ada", hashed, (), admin=True)
    changes.create_collection(attest.store, mia, NAME, {**RIGHTS, "local": Right.MANAGE})
    leave = publish(attest, "leave.md", OPEN)
    pay = publish(attest, "pay.md", SECRET, readers=frozenset({"managers", "local"}))
    answer = attest.answering.ask(mia, NAME, QUESTION)
    with attest.store() as work:
        work.runs.add(RunRecord("run-1", "answers", "nightly", {"n": 3}, datetime.now(UTC)))
        work.commit()
    failed = _failed(attest)
    _add_source(attest)
    attest.close()
    return House(attest, leave, pay, answer.id, failed, "run-1")


def opened(settings: Settings) -> Attest:
    """The real parts, but for the models."""
    attest = open_attest(settings)
    attest.embedder = HashEmbedder()
    attest.generator = cast(Generator, CopyGenerator())
    return attest


def publish(
    attest: Attest, name: str, text: str, readers: frozenset[str] | None = None
) -> Document:
    """What ingestion does with a text of one chunk, without its worker."""
    blob = attest.blobs.put(text.encode())
    with attest.store() as work:
        collection = work.collections.named(NAME)
        job = work.documents.accept(collection.id, name, blob, len(text), readers)
        work.commit()
    with attest.store() as work:
        work.jobs.lease(job.id, "test", 60)
        work.commit()
    version = f"version-of-{name}-{blob[:8]}"
    chunk = Chunk(chunk_id(version, 0, len(text)), version, 0, len(text), text)
    publication = Publication(
        version=version,
        media_type="text/markdown",
        title="",
        size=len(text),
        pages=None,
        text_blob=blob,
        layout_blob=None,
        metadata={},
        blocks=[Block(BlockKind.PARAGRAPH, 0, len(text))],
        chunks=[chunk],
        indexed=[text],
        vectors=np.asarray(attest.embedder.embed([text]), dtype=np.float32),
        embedder=attest.embedder.identity,
    )
    with attest.store() as work:
        work.documents.publish(job.id, "test", publication)
        work.commit()
        return work.documents.named(collection.id, name)


def _add_source(attest: Attest) -> None:
    """Whose server nobody runs."""
    with attest.store() as work:
        held = work.collections.named(NAME)
        pages = ("http://127.0.0.1:1/",)
        work.origins.add(Origin("", held.id, "wiki", OriginKind.URLS, pages, "mia"))
        work.commit()


def _failed(attest: Attest) -> Job:
    with attest.store() as work:
        collection = work.collections.named(NAME)
        job = work.documents.accept(collection.id, "broken.pdf", "0" * 64, 3)
        work.commit()
    with attest.store() as work:
        work.jobs.lease(job.id, "test", 60)
        work.jobs.fail(job.id, "test", "it is broken")
        work.commit()
        return work.jobs.get(job.id)


def settings_in(folder: Path, **given: object) -> Settings:
    own = {"data": folder, "max_upload_bytes": 4096, "source_hosts": ["127.0.0.1:1"]}
    return Settings.model_validate({**own, **given})
