"""Real workers on a real broker: every accepted document is indexed exactly once."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.broker import Broker
from ingestion.queue import CeleryQueue
from ingestion.running import ensure_worker, worker_running
from ingestion.tasks import send_due
from rag.bootstrap import Attest
from rag.domain import JobState
from tests.ingestion.house import indexed_names
from tests.ingestion.making import pdf, prose
from tests.ingestion.workers import (
    all_done,
    documents,
    hand_in,
    kill_a_worker,
    quick_house,
    running,
    states,
    wait_for,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def attest(tmp_path: Path, embedder: Path) -> Iterator[Attest]:
    with quick_house(tmp_path / "data", embedder) as house:
        yield house


def test_a_worker_for_the_time_of_a_command(attest: Attest) -> None:
    files = documents(4) | {"a.pdf": pdf(prose(["Pay comes on time."])), "broken.pdf": b"%PDF-1"}
    steps = set()
    assert not worker_running(attest.settings)
    with ensure_worker(attest.settings):
        jobs = hand_in(attest, files)
        while not all(state in (JobState.DONE, JobState.FAILED) for state in states(attest)):
            with attest.store() as work:
                steps |= {work.jobs.get(job.id).step for job in jobs}
            time.sleep(0.02)
    assert sorted(states(attest)) == [JobState.DONE] * 5 + [JobState.FAILED]
    assert "embedding" in steps
    assert indexed_names(attest) == sorted(files.keys() - {"broken.pdf"})
    assert not worker_running(attest.settings)


def test_kill_9_in_the_middle_and_every_document_once(attest: Attest) -> None:
    files = documents(24, paragraphs=60)
    with Broker(attest.settings):
        jobs = hand_in(attest, files)
        kill_a_worker(attest, after=4)
        with running(attest) as (worker, _):
            wait_for(lambda: worker_running(attest.settings), "the second worker")
            wait_for(lambda: all_done(attest), "all documents")
        assert worker.process.returncode in (0, -signal.SIGKILL)
    assert indexed_names(attest) == sorted(files)
    with attest.store() as work:
        held = work.collections.named("handbook")
        done = [work.jobs.get(job.id) for job in jobs]
        versions = [work.documents.versions(job.document) for job in jobs]
    assert held.generation == len(files)
    assert sorted(job.generation or 0 for job in done) == list(range(1, len(files) + 1))
    assert all(len(each) == 1 for each in versions)


def test_what_was_handed_in_without_a_broker_is_swept_up(attest: Attest) -> None:
    hand_in(attest, documents(2))
    assert states(attest) == [JobState.QUEUED] * 2
    with ensure_worker(attest.settings):
        wait_for(lambda: all_done(attest), "the sweep")
    assert indexed_names(attest) == sorted(documents(2))


def test_the_sweep_does_not_flood_the_queue(attest: Attest) -> None:
    with Broker(attest.settings):
        queue = CeleryQueue(attest.settings)
        hand_in(attest, documents(3))
        assert queue.waiting() == 3
        assert send_due(attest, queue) == 0
        with attest.store() as work:
            (job, *_) = work.jobs.due()
            work.jobs.lease(job, "a worker that died", 0.01)
            work.commit()
        assert queue.waiting() == 3
    with Broker(attest.settings):
        assert send_due(attest, queue) == 0  # the messages are still there
