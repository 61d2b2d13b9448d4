"""The same worker on a real RabbitMQ with quorum queues: killed in the middle, nothing is lost.

Needs Debian's rabbitmq-server, and root to run it as its own user; skipped on a laptop without,
a failure in CI.
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
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.queue import CeleryQueue
from rag.bootstrap import Attest
from tests.ingestion.house import indexed_names
from tests.ingestion.workers import (
    all_done,
    documents,
    hand_in,
    kill_a_worker,
    quick_house,
    running,
    wait_for,
)
from tests.servers import missing

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[str]:
    if not SERVER.exists() or os.geteuid() != 0:
        missing("RabbitMQ needs Debian's rabbitmq-server and root to start it as its own user")
    user = pwd.getpwnam("rabbitmq")
    folder = Path(tempfile.mkdtemp(prefix="rabbitmq-"))
    os.chown(folder, user.pw_uid, user.pw_gid)
    port, distribution = free_port(), free_port()
    settings = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "RABBITMQ_NODENAME": f"attest{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(distribution),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(folder),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
    }
    line = ["runuser", "-u", "rabbitmq", "--", "env", *(f"{k}={v}" for k, v in settings.items())]
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*line, str(SERVER)], stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_port(server, port, folder / "server.log")
        yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        subprocess.run(["pkill", "-9", "-f", f"attest{port}@localhost"], check=False)
        shutil.rmtree(folder, ignore_errors=True)


def wait_for_port(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.3)
    missing(f"RabbitMQ did not start: {log.read_text(errors='replace')[-800:]}")


@pytest.fixture
def attest(tmp_path: Path, embedder: Path, rabbitmq: str) -> Iterator[Attest]:
    with quick_house(tmp_path / "data", embedder, broker_url=rabbitmq) as house:
        yield house


def test_kill_9_on_quorum_queues_and_every_document_once(attest: Attest) -> None:
    files = documents(12, paragraphs=40)
    hand_in(attest, files)
    assert CeleryQueue(attest.settings).waiting() == len(files)
    kill_a_worker(attest, after=2)
    with running(attest):
        wait_for(lambda: all_done(attest), "all documents")
    assert indexed_names(attest) == sorted(files)
