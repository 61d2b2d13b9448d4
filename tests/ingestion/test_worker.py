"""Real workers on a real broker: every accepted document is indexed exactly once."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.broker import Broker
from ingestion.queue import CeleryQueue
from ingestion.running import ensure_worker, worker_running
from ingestion.tasks import send_due
from ingestion.uploads import upload
from rag.bootstrap import Attest, open_attest
from rag.domain import Job, JobState
from rag.process import Child, start
from rag.settings import load_settings
from tests.ingestion.house import WHO, indexed_names, make_collection
from tests.ingestion.making import pdf, prose
from tests.ingestion.tiny_embedder import make_embedder


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_embedder(tmp_path_factory.mktemp("embedder"))


@pytest.fixture
def attest(tmp_path: Path, embedder: Path) -> Iterator[Attest]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "settings.toml").write_text(
        f"embedder = {json.dumps(str(embedder))}\nlease_seconds = 3.0\nsweep_seconds = 1.0\n"
        "worker_processes = 1\nthreads = 1\nmax_attempts = 10\n"
    )
    opened = open_attest(load_settings(data))
    make_collection(opened)
    yield opened
    opened.close()


def documents(count: int, paragraphs: int = 3) -> dict[str, bytes]:
    body = "\n\n".join(f"Paragraph {n} says what holds in case {n}." for n in range(paragraphs))
    return {f"part/{n:03}.md": f"# Rule {n}\n\n{body}\n".encode() for n in range(count)}


def hand_in(attest: Attest, files: dict[str, bytes]) -> list[Job]:
    queue = CeleryQueue(attest.settings)
    return [upload(attest, queue, WHO, "handbook", name, data) for name, data in files.items()]


def states(attest: Attest) -> list[JobState]:
    with attest.store() as work:
        return [job.state for job in work.jobs.all(work.collections.named("handbook").id)]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)


def all_done(attest: Attest) -> bool:
    return set(states(attest)) == {JobState.DONE}


def run(attest: Attest, module: str) -> Child:
    data = attest.settings.data
    command = [sys.executable, "-m", f"ingestion.{module}", "--data", str(data)]
    return start(module, command, data / f"{module}.log", {})


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
        worker = run(attest, "worker")
        try:
            wait_for(lambda: states(attest).count(JobState.DONE) >= 4, "the first documents")
            wait_for(lambda: JobState.RUNNING in states(attest), "a running job")
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.process.wait()
        assert not all_done(attest)
        worker, scheduler = run(attest, "worker"), run(attest, "scheduler")
        try:
            wait_for(lambda: worker_running(attest.settings), "the second worker")
            wait_for(lambda: all_done(attest), "all documents")
        finally:
            worker.stop(20)
            scheduler.stop(20)
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
