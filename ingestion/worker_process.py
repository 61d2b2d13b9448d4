"""What one pool process of the worker holds: its own Attest, made after the fork and used for all
its jobs, so that the embedder is loaded once."""

from __future__ import annotations

import os
import signal
import socket
import sys
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ingestion.reader import Reader
    from ingestion.warming import Warming
    from rag.bootstrap import Attest
    from rag.settings import Settings


class WorkerProcess:
    """`attest`, `reader` and `warming` are made on first use in the process that uses them."""

    def __init__(self, settings: Settings, environment: Mapping[str, str]) -> None:
        self.settings = settings
        self._environment = environment  # as it was before the pool's processes shared the cores
        self._attest: Attest | None = None
        self._reader: Reader | None = None
        self._warming: Warming | None = None

    @property
    def attest(self) -> Attest:
        if self._attest is None:
            from rag.bootstrap import Attest

            self._attest = Attest(self.settings)
        return self._attest

    @property
    def reader(self) -> Reader:
        if self._reader is None:
            from ingestion.reader import Reader

            self._reader = Reader()
        return self._reader

    @property
    def warming(self) -> Warming:
        if self._warming is None:
            from ingestion.warming import Warming

            self._warming = Warming(self.attest, self._environment)
        return self._warming

    def attempt(self) -> str:
        """A name for one attempt at one job, by which its lease is held."""
        return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"

    def after_fork(self) -> None:
        """In a new pool process: forget what the parent had, and end with the parent."""
        if self._attest is not None and "store" in self._attest.__dict__:
            self._attest.store.after_fork()
        self._attest = self._reader = self._warming = None
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
        if self._attest is not None:
            self._attest.close()
        self._attest = self._reader = self._warming = None
