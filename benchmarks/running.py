"""A real `attest up` on a data folder, as a process of its own, for a benchmark to talk to."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ATTEST = [sys.executable, "-m", "rag.cli"]
STOP_WITHIN = 120.0


class NotUp(Exception):
    """`attest up` did not start, or did not end as it should; the message holds what it said."""


class Running:
    """`address` is the API's; `said()` what `attest up` has printed as diagnostics so far."""

    def __init__(self, process: subprocess.Popen[str], diagnostics: Path) -> None:
        self._process, self._diagnostics = process, diagnostics
        assert process.stdout is not None
        try:
            self.address: str = json.loads(process.stdout.readline())["API"]
        except (ValueError, KeyError) as exc:
            process.wait(STOP_WITHIN)
            raise NotUp(f"attest up ended with {process.returncode}:\n{self.said()}") from exc

    def said(self) -> str:
        return self._diagnostics.read_text("utf-8")

    def kill_worker(self) -> int:
        """kill -9 to the worker's whole process group, pool included. Returns its number."""
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
        )
        rows = (line.split(None, 2) for line in listed.stdout.splitlines())
        workers = [
            int(pid)
            for pid, parent, command in rows
            if int(parent) == self._process.pid and "ingestion.worker" in command
        ]
        if len(workers) != 1:
            raise NotUp(f"attest up has {len(workers)} workers, expected one")
        os.killpg(workers[0], signal.SIGKILL)
        return workers[0]


@contextmanager
def up(data: Path) -> Iterator[Running]:
    """Ports are free ones, the pages stay away; all else as the settings say."""
    diagnostics = data / "logs" / "up.log"
    diagnostics.parent.mkdir(parents=True, exist_ok=True)
    command = [*ATTEST, "up", "--data", str(data), "--json", "--without-ui", "--api-port", "0"]
    with (
        diagnostics.open("w", encoding="utf-8") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            yield Running(process, diagnostics)
        finally:
            process.terminate()
            process.wait(STOP_WITHIN)


def free_port() -> int:
    """One that nobody listened at a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
