"""A held job: a thread keeps the lease alive and shows progress while the work goes on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import perf_counter
from types import TracebackType
from typing import Protocol, Self

from rag.errors import AttestError, Unavailable
from rag.ports import Store, UnitOfWork

log = logging.getLogger(__name__)

_QUIET = 0.25  # seconds between two heartbeats at least, however often progress is reported


class LeaseLost(Exception):
    """Another worker has the job, or it was cancelled: stop, and touch nothing."""


class Heart(Protocol):
    """Where leases are kept."""

    def heartbeat(
        self, id: str, worker: str, seconds: float, step: str, progress: float
    ) -> bool: ...


def of_jobs(work: UnitOfWork) -> Heart:
    return work.jobs


class Lease:
    """Of a job, or of what else `kept` keeps leases of. Beats every quarter of `seconds` and soon
    after each `report`. A context manager. `spent` holds the seconds of each step that is over.
    Once the lease is lost, `abandon` is called in the thread that beats, to end what would not look
    up for long."""

    def __init__(
        self,
        store: Store,
        job: str,
        worker: str,
        seconds: float,
        abandon: Callable[[], None] | None = None,
        kept: Callable[[UnitOfWork], Heart] = of_jobs,
    ) -> None:
        self._store = store
        self._job, self._worker, self._seconds = job, worker, seconds
        self._abandon = abandon
        self._kept = kept
        self._step, self._progress = "", 0.0
        self._since = perf_counter()
        self.spent: dict[str, float] = {}
        self._news = threading.Event()
        self._over = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"lease {job}", daemon=True)

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

    def report(self, step: str, progress: float) -> None:
        """Show where the work is; `progress` in [0, 1]. Raises LeaseLost."""
        self.check()
        if step != self._step:
            self.end_step()
        self._step, self._progress = step, progress
        self._news.set()

    def end_step(self) -> None:
        now = perf_counter()
        if self._step:
            self.spent[self._step] = self.spent.get(self._step, 0.0) + now - self._since
        self._since = now

    def check(self) -> None:
        if self._lost.is_set():
            raise LeaseLost(self._job)

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the lease is held. Raises LeaseLost."""
        self._lost.wait(seconds)
        self.check()

    def still_held(self) -> bool:
        """Ask the truth now. Raises Unavailable."""
        with self._store() as work:
            held = self._kept(work).heartbeat(
                self._job, self._worker, self._seconds, self._step, self._progress
            )
            work.commit()
        return held

    def _run(self) -> None:
        while not self._over.is_set():
            self._news.wait(self._seconds / 4)
            self._news.clear()
            if self._over.is_set():
                return
            self._beat()
            self._over.wait(_QUIET)
            if self._lost.is_set() and self._abandon is not None:
                self._abandon()

    def _beat(self) -> None:
        try:
            if not self.still_held():
                self._lost.set()
                self._over.set()
        except Unavailable as exc:
            log.warning("job %s: heartbeat failed, trying again: %s", self._job, exc)
        except AttestError:
            log.exception("job %s: the lease cannot be kept", self._job)
            self._lost.set()
            self._over.set()
