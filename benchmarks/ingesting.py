"""A folder's pages through the API into the index, with or without a kill -9 on the way."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.running import Running, up
from rag.client import Client
from rag.commands.terminal import Terminal
from rag.domain import Job, JobState
from rag.errors import Conflict, Unavailable

COLLECTION = "handbook"
KILL_AT = 0.4  # of the pages
WITHIN = 3600.0  # seconds for the ingestion
AGAIN_WITHIN = 30.0  # seconds until a killed worker is started again
OPEN = (JobState.QUEUED, JobState.RUNNING)
TIMES = re.compile(r"generation \d+; seconds: (.+)$", re.MULTILINE)


class Ingesting:
    """The pages of one folder on their way into one data folder. What is wrong gathers in
    `wrong`; what was measured is printed."""

    def __init__(self, pages: dict[str, Path], data: Path, terminal: Terminal) -> None:
        self._pages, self._data, self._terminal = pages, data, terminal
        self.wrong: list[str] = []

    def until_killed(self) -> None:
        """Hand everything in, and kill the worker once it is busy with the middle of it."""
        with started(self._data) as (running, client):
            self._upload(client)
            self._follow(client, until=int(KILL_AT * len(self._pages)), busy=True)
            self._kill(running, client)

    def whole(self, client: Client) -> None:
        """Hand in what was not taken yet, and wait until every page has ended."""
        self._upload(client)
        jobs = self._follow(client, until=len(self._pages), busy=False)
        first, last = min(job.created for job in jobs), max(job.updated for job in jobs)
        spent = (last - first).total_seconds()
        print(
            f"{len(jobs)} pages ended within {spent:.1f} s of the first ({len(jobs) / spent:.2f} a "
            f"second): {dict(Counter(job.state.value for job in jobs))}, by attempts "
            f"{dict(Counter(job.attempts for job in jobs))}"
        )
        for job in jobs:
            if job.state is not JobState.DONE:
                print(f"  {job.state.value}  {job.name}: {job.error}")

    def seconds(self) -> dict[str, list[float]]:
        """Of each step of the worker, a value a page, as its log says."""
        log = (self._data / "logs" / "worker.log").read_text("utf-8", "replace")
        seconds: dict[str, list[float]] = defaultdict(list)
        for line in TIMES.findall(log):
            for step in line.split(", "):
                name, spent = step.split()
                seconds[name].append(float(spent))
        return seconds

    def _upload(self, client: Client) -> None:
        began = time.monotonic()
        with suppress(Conflict):  # it is there
            client.create_collection(COLLECTION)
        taken = {shelf.document.name for shelf in client.library(COLLECTION)}
        missing = {name: path for name, path in self._pages.items() if name not in taken}
        for number, (name, path) in enumerate(missing.items(), 1):
            client.upload(COLLECTION, name, path.read_bytes())
            self._terminal.progress(f"{number} of {len(missing)} pages handed in")
        print(f"{len(missing)} pages handed in within {time.monotonic() - began:.1f} s", flush=True)

    def _follow(self, client: Client, until: int, busy: bool) -> list[Job]:
        """Until so many jobs have ended and, with `busy`, others run. Raises Unavailable."""
        limit = time.monotonic() + WITHIN
        while True:
            jobs = _jobs(client)
            ended = sum(job.state not in OPEN for job in jobs)
            runs = any(job.state is JobState.RUNNING for job in jobs)
            if ended >= until and (runs or not busy):
                return jobs
            if ended == len(self._pages) or time.monotonic() > limit:
                raise Unavailable(f"{ended} pages have ended; there is no busy worker to wait for")
            self._terminal.progress(f"{ended} of {len(self._pages)} pages done")
            time.sleep(0.5)

    def _kill(self, running: Running, client: Client) -> None:
        """`attest up` says that the worker died, and starts it again."""
        jobs = _jobs(client)
        group = running.kill_worker()
        ended = sum(job.state not in OPEN for job in jobs)
        busy = [
            f"{job.name} ({job.step} {job.progress:.0%})"
            for job in jobs
            if job.state is JobState.RUNNING
        ]
        until = time.monotonic() + AGAIN_WITHIN
        while "the worker is started again" not in running.said() and time.monotonic() < until:
            time.sleep(0.1)
        said = next((line for line in running.said().splitlines() if "SIGKILL" in line), "")
        print(
            f"kill -9 to the worker's group {group} with {ended} pages done and at work: "
            f"{'; '.join(busy)}\n{said}",
            flush=True,
        )
        if "the worker was killed by SIGKILL" not in said:
            self.wrong.append("attest up did not say that the worker was killed")
        if "the worker is started again" not in running.said():
            self.wrong.append("attest up did not start the worker again")


def _jobs(client: Client) -> list[Job]:
    """The newest job of every page."""
    return [shelf.job for shelf in client.library(COLLECTION) if shelf.job is not None]


@contextmanager
def started(data: Path) -> Iterator[tuple[Running, Client]]:
    began = time.monotonic()
    with up(data) as running, Client(running.address) as client:
        print(f"attest up took {time.monotonic() - began:.1f} s", flush=True)
        yield running, client
