"""Whether a worker serves a data folder, and one for the time of a command when none does."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.broker import Broker, check_broker
from rag.errors import BrokerUnavailable, Unavailable
from rag.process import Child, Guard, start

if TYPE_CHECKING:
    from rag.settings import Settings

READY_WITHIN = 120.0
STOP_WITHIN = 20.0


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Held by a worker while it serves: a shared lock that ends with its process."""
    with _lock_file(settings).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def worker_running(settings: Settings) -> bool:
    """Whether a worker (of `attest up`, or started by hand) serves this folder here."""
    try:
        with _lock_file(settings).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextmanager
def ensure_worker(settings: Settings) -> Iterator[Callable[[], None]]:
    """A worker and its broker run inside: those that run already, else some for this while, which
    end with this process however it ends. What is given raises Unavailable once there is no worker
    any more. Raises Unavailable when they do not come up."""
    if worker_running(settings) and _reachable(settings):
        yield lambda: _still_running(settings)
        return
    with (
        Broker(settings),
        tempfile.TemporaryDirectory(prefix="attest-") as folder,
        closing(Guard()) as guard,
    ):
        ready = Path(folder) / "ready"
        worker = start("worker", _command(settings, ready), _log(settings), {})
        guard.watch(worker.pid)
        try:
            _wait(worker, ready)
            yield lambda: _still_runs(worker)
        finally:
            worker.stop(STOP_WITHIN)


def _still_running(settings: Settings) -> None:
    if not worker_running(settings):
        raise Unavailable(
            "the worker has stopped; what was handed in is kept and goes on once `attest up` or "
            "`attest ingest --wait` runs again"
        )


def _still_runs(worker: Child) -> None:
    if worker.ended() is not None:
        raise Unavailable(f"{worker.why()}\nwhat was handed in is kept; ingest it again to go on")


def _command(settings: Settings, ready: Path) -> list[str]:
    data = str(settings.data.resolve())
    # Each process loads the embedder anew, which a short command waits for: not one a core.
    processes = min(settings.worker_processes, max(1, (os.cpu_count() or 1) // 2))
    python = [sys.executable, "-P", "-m", "ingestion.worker", "--processes", str(processes)]
    return [*python, "--data", data, "--temporary", str(ready)]


def _log(settings: Settings) -> Path:
    return settings.data / "logs" / f"worker-{os.getpid()}.log"


def _wait(worker: Child, ready: Path) -> None:
    until = time.monotonic() + READY_WITHIN
    while not ready.exists():
        if worker.ended() is not None:
            raise Unavailable(worker.why())
        if time.monotonic() > until:
            raise Unavailable(f"the worker was not ready in {READY_WITHIN:g} s; see {worker.log}")
        time.sleep(0.05)


def _reachable(settings: Settings) -> bool:
    try:
        check_broker(settings)
    except BrokerUnavailable:
        return False
    return True


def _lock_file(settings: Settings) -> Path:
    return settings.data / "worker.lock"
