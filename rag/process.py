"""One child process of `attest up`: its own process group, its own log, its last words; and the
guard that ends the children of a supervisor that was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LARGEST_LOG = 10 * 2**20  # bytes; then the log moves to `.1` at the next start
LAST_WORDS = 15  # lines


@dataclass(frozen=True, slots=True)
class Child:
    """A started program. Everything it prints goes to `log`, from byte `since` on."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    since: int
    command: Sequence[str]
    env: Mapping[str, str]

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self) -> int | None:
        """The exit code, None while it runs."""
        return self.process.poll()

    def why(self) -> str:
        """How it ended, with the last lines it printed."""
        code = self.process.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        with self.log.open("rb") as log:
            log.seek(self.since)
            lines = log.read().decode("utf-8", "replace").splitlines()
        said = "\n".join(f"    {line}" for line in lines[-LAST_WORDS:]) or "    (it said nothing)"
        return f"the {self.name} {how}; its last words in {self.log}:\n{said}"

    def again(self) -> Child:
        """The same program, started anew."""
        return start(self.name, self.command, self.log, self.env)

    def stop(self, seconds: float) -> None:
        """SIGTERM to the group; SIGKILL to what is left of it after `seconds`."""
        _signal(self.pid, signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            _signal(self.pid, signal.SIGKILL)  # also what the child itself left behind
            self.process.wait()


def start(name: str, command: Sequence[str], log: Path, env: Mapping[str, str]) -> Child:
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.exists() and log.stat().st_size > LARGEST_LOG:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as out:
        since = out.tell()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            # A crash in native code leaves a traceback of every thread in the log.
            env={**os.environ, **env, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"},
            start_new_session=True,  # Ctrl-C goes to the supervisor, which stops them in order
        )
    return Child(name, process, log, since, tuple(command), dict(env))


def _signal(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # it is gone; macOS says PermissionError
        return


class Guard:
    """`rag.guard` as a process, told which groups to end should this process be killed."""

    def __init__(self) -> None:
        program = str(Path(__file__).with_name("guard.py"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", program],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert self._process.stdin is not None
        self._pipe: IO[bytes] = self._process.stdin

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, pid: int) -> None:
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        self._tell(f"-{pid}")

    def close(self) -> None:
        self._tell("bye")
        self._pipe.close()
        self._process.wait()

    def _tell(self, order: str) -> None:
        self._pipe.write(order.encode() + b"\n")
        self._pipe.flush()
