"""Worker and scheduler as processes over a data folder: started, killed, waited for."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ingestion.queue import CeleryQueue
from ingestion.uploads import upload
from rag.bootstrap import Attest, open_attest
from rag.domain import Job, JobState
from rag.process import Child, start
from rag.settings import load_settings
from tests.ingestion.house import WHO, make_collection


@contextmanager
def quick_house(data: Path, embedder: Path, **settings: object) -> Iterator[Attest]:
    """A data folder with short leases and sweeps, whose settings its processes read too."""
    data.mkdir()
    chosen: dict[str, object] = {
        "embedder": str(embedder),
        "lease_seconds": 3.0,
        "sweep_seconds": 1.0,
        "worker_processes": 1,
        "threads": 1,
        "max_attempts": 10,
    }
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in (chosen | settings).items()]
    (data / "settings.toml").write_text("".join(lines))
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


def all_done(attest: Attest) -> bool:
    return set(states(attest)) == {JobState.DONE}


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited {seconds:g} s for {what}"
        time.sleep(0.05)


def run(attest: Attest, module: str, **env: str) -> Child:
    data = attest.settings.data
    command = [sys.executable, "-m", f"ingestion.{module}", "--data", str(data)]
    return start(module, command, data / f"{module}.log", env)


@contextmanager
def part(attest: Attest, module: str, **env: str) -> Iterator[Child]:
    """The worker or the scheduler, stopped at the end."""
    child = run(attest, module, **env)
    try:
        yield child
    finally:
        child.stop(20)


@contextmanager
def running(attest: Attest) -> Iterator[tuple[Child, Child]]:
    """A worker and a scheduler, stopped at the end."""
    with part(attest, "worker") as worker, part(attest, "scheduler") as scheduler:
        yield worker, scheduler


def kill_a_worker(attest: Attest, after: int) -> None:
    """SIGKILL a worker and its children while a job runs, once `after` jobs are done."""
    worker = run(attest, "worker")
    try:
        wait_for(lambda: states(attest).count(JobState.DONE) >= after, "the first documents")
        wait_for(lambda: JobState.RUNNING in states(attest), "a running job")
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.process.wait()
    assert not all_done(attest)
