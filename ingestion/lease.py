"""Held jobs: a thread keeps their leases alive and shows progress while the work goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from types import TracebackType
from typing import Protocol, Self

from rag.errors import AttestError, Unavailable
from rag.ports import Store, UnitOfWork

log = logging.getLogger(__name__)

_QUIET = 1.0  # seconds between two heartbeats at least, however often progress is reported
_AGAIN = 0.25  # seconds after which a reading that is not wanted any more is ended again


class LeaseLost(Exception):
    """Another worker has the job, or it was cancelled: stop, and touch nothing."""


class Keep(Protocol):
    """Extend the leases that a worker holds, and show where each is; returns those that are
    lost."""

    def __call__(
        self, work: UnitOfWork, worker: str, seconds: float, shown: Mapping[str, tuple[str, float]]
    ) -> Collection[str]: ...


def of_jobs(
    work: UnitOfWork, worker: str, seconds: float, shown: Mapping[str, tuple[str, float]]
) -> Collection[str]:
    return work.jobs.heartbeats(worker, seconds, shown)


class Lease:
    """Of one job, or of what else has leases, kept by a `Heart`. `spent` holds the seconds of each
    step that is over."""

    def __init__(self, heart: Heart, job: str) -> None:
        self._heart = heart
        self.job = job
        self._step, self._progress = "", 0.0
        self._since = perf_counter()
        self.spent: dict[str, float] = {}
        self._lost = threading.Event()
        self._turn = threading.Lock()
        self._reading = False

    @property
    def lost(self) -> bool:
        return self._lost.is_set()

    def report(self, step: str, progress: float) -> None:
        """Show where the work is; `progress` in [0, 1]. Raises LeaseLost."""
        self.check()
        self.show(step, progress)

    def show(self, step: str, progress: float) -> None:
        """As `report`, of one among several jobs: a lost one is found out when it is its turn."""
        if step != self._step:
            self.end_step()
        self._step, self._progress = step, progress
        self._heart.news()

    def end_step(self) -> None:
        now = perf_counter()
        if self._step:
            self.spent[self._step] = self.spent.get(self._step, 0.0) + now - self._since
        self._since = now

    def check(self) -> None:
        if self.lost:
            raise LeaseLost(self.job)

    def await_loss(self, seconds: float) -> None:
        """Sleep, but no longer than it is held."""
        self._lost.wait(seconds)

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Inside, and only there, a reading is ended once the lease is lost. Raises LeaseLost."""
        with self._turn:
            self.check()
            self._reading = True
        try:
            yield
        finally:
            with self._turn:
                self._reading = False

    def still_held(self) -> bool:
        """Ask the truth now. Raises Unavailable."""
        return self._heart.beat_for([self]) == []

    @property
    def shown(self) -> tuple[str, float]:
        """Step and progress."""
        return self._step, self._progress

    def lose(self) -> None:
        self._lost.set()

    def give_up_reading(self, abandon: Callable[[], None]) -> bool:
        """Whether there was one to give up."""
        with self._turn:
            if self._reading and self.lost:
                abandon()
                return True
        return False


def wait(leases: Sequence[Lease], seconds: float) -> None:
    """Sleep, but no longer than one of them is held. Raises LeaseLost."""
    until = perf_counter() + seconds
    for lease in leases:
        lease.await_loss(until - perf_counter())
    if all(lease.lost for lease in leases):
        raise LeaseLost(leases[0].job)


class Heart:
    """Beats for all leases of one attempt: every quarter of `seconds`, and soon after a report. A
    context manager. Once a lease is lost, `abandon` is called in the thread that beats, to end a
    reading of that job's document, which would not look up for long."""

    def __init__(
        self,
        store: Store,
        worker: str,
        seconds: float,
        abandon: Callable[[], None] | None = None,
        keep: Keep = of_jobs,
    ) -> None:
        self._store = store
        self._worker, self._seconds = worker, seconds
        self._abandon = abandon
        self._keep = keep
        self._leases: tuple[Lease, ...] = ()
        self._news = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heart {worker}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._news.set()
        self._thread.join()

    def lease(self, job: str) -> Lease:
        """Of a job that the worker holds."""
        lease = Lease(self, job)
        self._leases = (*self._leases, lease)
        return lease

    def let_go(self, lease: Lease) -> None:
        """The job has ended, or is given up."""
        self._leases = tuple(each for each in self._leases if each is not lease)

    def news(self) -> None:
        self._news.set()

    def beat_for(self, leases: list[Lease]) -> list[Lease]:
        """Those of them that are lost. Raises Unavailable."""
        shown = {each.job: each.shown for each in leases}
        with self._store() as work:
            lost = self._keep(work, self._worker, self._seconds, shown)
            work.commit()
        return [each for each in leases if each.job in lost]

    def _run(self) -> None:
        given_up = False
        while not self._over.is_set():
            self._news.wait(_AGAIN if given_up else self._seconds / 4)
            self._news.clear()
            if self._over.is_set():
                return
            self._beat()
            abandon = self._abandon
            if abandon is not None:  # again, should the reading have begun just then
                given_up = any(each.give_up_reading(abandon) for each in self._leases)
            self._over.wait(_AGAIN if given_up else min(_QUIET, self._seconds / 4))

    def _beat(self) -> None:
        held = [each for each in self._leases if not each.lost]
        try:
            lost = self.beat_for(held) if held else []
        except Unavailable as exc:
            log.warning("%s: heartbeat failed, trying again: %s", self._worker, exc)
            return
        except AttestError:
            log.exception("%s: its leases cannot be kept", self._worker)
            lost = held
        for each in lost:
            each.lose()
