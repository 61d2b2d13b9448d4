"""A RabbitMQ server of one's own on loopback, that can be killed and comes back with what it held.

Needs Debian's rabbitmq-server, and root to run it as its own user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.running import NotUp, free_port

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
READY_WITHIN = 300.0
GONE_WITHIN = 10.0


class RabbitMQ:
    """`with RabbitMQ() as server:` it answers at `server.url`. Entering and `start` raise NotUp."""

    def __init__(self) -> None:
        self._port, self._distribution = free_port(), free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self._port}//"
        self._folder: Path | None = None
        self._script: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not SERVER.exists() or os.geteuid() != 0:
            raise NotUp("RabbitMQ needs Debian's rabbitmq-server and root to run it as its user")
        user = pwd.getpwnam("rabbitmq")
        self._folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
        os.chown(self._folder, user.pw_uid, user.pw_gid)
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def folder(self) -> Path:
        assert self._folder is not None
        return self._folder

    def start(self) -> None:
        """Also after a kill, with the queues it had."""
        (self.folder / "server.pid").unlink(missing_ok=True)
        line = ["runuser", "-u", "rabbitmq", "--", "env"]
        line += [f"{name}={value}" for name, value in self._environment().items()]
        with (self.folder / "server.log").open("ab") as log:
            self._script = subprocess.Popen(
                [*line, str(SERVER)], stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + READY_WITHIN
        while not self.answers():
            if time.monotonic() > until or self._script.poll() is not None:
                said = (self.folder / "server.log").read_text(errors="replace")
                raise NotUp(f"RabbitMQ did not start: {said[-800:]}")
            time.sleep(0.2)

    def kill(self) -> None:
        """kill -9; nothing is said to it first."""
        with suppress(OSError, ValueError):  # it had not written its number yet
            os.kill(int((self.folder / "server.pid").read_text("ascii")), signal.SIGKILL)
        if self._script is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._script.pid, signal.SIGKILL)
            self._script.wait()
        until = time.monotonic() + GONE_WITHIN
        while self.answers() and time.monotonic() < until:  # the system takes a moment to bury it
            time.sleep(0.02)

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def _end(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        folder = str(self.folder)
        return {
            "HOME": folder,
            "PATH": os.environ["PATH"],
            "RABBITMQ_NODENAME": f"attest{self._port}@localhost",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_PID_FILE": f"{folder}/server.pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
        }
