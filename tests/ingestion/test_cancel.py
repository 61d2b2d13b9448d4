"""A job that a person calls off: nothing of it is seen, and nothing of it goes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from ingestion.pipeline import run_job
from ingestion.reader import Reader
from ingestion.uploads import upload
from models.fake import HashEmbedder
from rag.bootstrap import Attest
from rag.changes import cancel_job
from rag.domain import JobState
from rag.ports import Vectors
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    indexed_names,
    job_of,
    make_collection,
    open_house,
    work_off,
)
from tests.ingestion.test_sandbox import SLOW


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    house = open_house(tmp_path / "data", lease_seconds=1.0, parse_seconds=600)
    make_collection(house)
    yield house
    house.close()


def test_a_waiting_job_is_done_by_nobody_until_it_is_retried(attest: Attest) -> None:
    queue = RememberingQueue()
    upload(attest, queue, WHO, "handbook", "leave.md", b"# Leave\n\nThirty days.\n")
    work_off(attest, queue)
    job = upload(attest, queue, WHO, "handbook", "leave.md", b"# Leave\n\nNine days.\n")
    assert cancel_job(attest.store, WHO, job.id).error == "cancelled by local"
    work_off(attest, queue)
    with attest.store() as work:
        assert work.jobs.due() == []
        assert work.documents.get(job.document).version != job.version
        held = work.collections.named("handbook").generation
        work.jobs.retry(job.id)
        work.commit()
    assert (held, indexed_names(attest)) == (1, ["leave.md"])
    run_job(attest, job.id, "worker")
    assert job_of(attest, job.id).generation == 2


def children(reader: Reader) -> list[psutil.Process]:
    """Those of the helper: the one that parses."""
    helper = reader._helper
    return [] if helper is None else psutil.Process(helper.pid).children()


def test_a_running_jobs_child_is_killed(attest: Attest) -> None:
    job = upload(attest, RememberingQueue(), WHO, "handbook", "slow.md", SLOW)
    reader = Reader()
    worker = threading.Thread(
        target=run_job, args=(attest, job.id, "worker", reader, None, None, reader.abandon)
    )
    worker.start()
    until = time.monotonic() + 120
    while not (child := children(reader)) and time.monotonic() < until:
        time.sleep(0.1)
    cancel_job(attest.store, WHO, job.id)
    worker.join(60)
    assert not worker.is_alive()
    assert psutil.wait_procs(child, 10) == (child, [])
    reader.close()
    ended = job_of(attest, job.id)
    assert (ended.state, ended.error) == (JobState.CANCELLED, "cancelled by local")


class SlowEmbedder(HashEmbedder):
    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()
        self.batches = 0

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.begun.set()
        self.batches += 1
        time.sleep(1.0)
        return super().embed(texts)


def test_embedding_stops_after_the_batch(attest: Attest) -> None:
    attest.embedder = slow = SlowEmbedder()
    parts = "\n\n".join(f"## Rule {n}\n\nWhat holds in case {n}." for n in range(64 * 40))
    job = upload(attest, RememberingQueue(), WHO, "handbook", "long.md", parts.encode())
    worker = threading.Thread(target=run_job, args=(attest, job.id, "worker"))
    worker.start()
    assert slow.begun.wait(120)
    cancel_job(attest.store, WHO, job.id)
    worker.join(60)
    assert not worker.is_alive()
    assert slow.batches < 30
    assert job_of(attest, job.id).state is JobState.CANCELLED
    assert indexed_names(attest) == []
