"""`attest up` with its real parts: answers, refuses a second one, says who died and starts it
again, stops cleanly, and leaves nothing behind however it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from rag.children import RESTARTS
from rag.client import Client
from rag.errors import BadSettings, Conflict, Unavailable
from rag.up import free_port
from tests.cli.test_process import gone, wait_until
from tests.engine_house import furnish

pytestmark = pytest.mark.slow

ENV = {"ATTEST_API_PORT": "0", "ATTEST_UI_PORT": "0", "ATTEST_WORKER_PROCESSES": "1"}


class Running:
    def __init__(self, process: subprocess.Popen[str], data: Path) -> None:
        self.process, self.data = process, data
        assert process.stdout is not None
        self.addresses: dict[str, str] = json.loads(process.stdout.readline() or "{}")

    def pids(self) -> dict[str, int]:
        """The supervisor's children by the module they run, and the broker."""
        found = {"broker": int((self.data / "broker" / "valkey.pid").read_text())}
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:  # it ended meanwhile
                continue
            if parent == self.process.pid and (name := re.search(r"-m (\S+)", command)):
                found[name[1]] = int(entry.name)
        return found


def schedulers(running: Running) -> list[int]:
    return [pid for name, pid in running.pids().items() if name == "ingestion.scheduler"]


def healthy(client: Client) -> bool:
    with suppress(Unavailable):
        return client.health().status == "ok"
    return False


def reader_of(engine: str, headers: dict[str, str]) -> str:
    with suppress(httpx.HTTPError):
        return str(httpx.get(f"{engine}/readers", headers=headers).json()["adapter"])
    return ""


@contextmanager
def up(data: Path, *arguments: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "rag.cli", "up", "--data", str(data), "--json", *arguments]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **ENV},
    ) as process:
        try:
            yield Running(process, data)
        finally:
            process.terminate()
            process.wait(120)


def test_it_serves_refuses_a_second_and_stops_cleanly(tmp_path: Path) -> None:
    with up(tmp_path / "data") as running:
        assert set(running.addresses) == {"UI", "API"}
        for address in running.addresses.values():
            assert address.startswith("http://127.0.0.1:")
        with Client(running.addresses["API"]) as client:
            assert client.health().status == "ok"
            assert client.create_collection("50% of %2F").name == "50% of %2F"
            assert client.collection("50% of %2F").generation == 0
        second = subprocess.run(
            [sys.executable, "-m", "rag.cli", "up", "--data", str(running.data), "--json"],
            capture_output=True,
            text=True,
            check=False,
        )
        refused: dict[str, Any] = json.loads(second.stdout)
        assert (second.returncode, refused["error"]) == (1, "already_running")
        assert str(running.process.pid) in refused["message"]
        pids = running.pids()
        assert {"ingestion.worker", "ingestion.scheduler", "rag.api.serve", "streamlit"} < set(pids)
        running.process.send_signal(signal.SIGTERM)
        out, err = running.process.communicate(timeout=120)
        assert (running.process.returncode, out) == (0, "")
        assert "Traceback" not in err
        for name, pid in pids.items():
            wait_until(f"{name} is gone", gone, pid)
        assert not (running.data / "up.json").exists()


def test_an_engine_beside_the_api(tmp_path: Path) -> None:
    data = furnish(tmp_path / "data")
    with (data / "settings.toml").open("a", encoding="utf-8") as settings:
        settings.write("engine_process = true\nengine_port = 0\n")
    with up(data, "--without-ui") as running:
        engine, api = running.addresses["engine"], running.pids()["rag.api.serve"]
        assert httpx.get(f"{engine}/readers").status_code == 401, "it has a key of this run"
        told = (Path("/proc") / str(api) / "environ").read_bytes().split(b"\0")
        told_to = dict(entry.decode().split("=", 1) for entry in told if b"=" in entry)
        assert told_to["ATTEST_ENGINE_URL"] == engine
        key = told_to["ATTEST_ENGINE_KEY"]
        held = {"Authorization": f"Bearer {key}"}
        assert httpx.get(f"{engine}/readers", headers=held).json()["adapter"] == "none"
        assert not any(key in log.read_text("utf-8") for log in (data / "logs").iterdir())
        os.kill(running.pids()["rag.engine_api.serve"], signal.SIGKILL)
        wait_until("the same key serves", lambda: reader_of(engine, held) == "none", seconds=300)
        running.process.send_signal(signal.SIGTERM)
        _, err = running.process.communicate(timeout=120)
        assert "the engine is started again" in err


def test_what_died_is_started_again_and_said(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--without-ui") as running:
        pids = running.pids()
        for name in ("rag.api.serve", "broker"):
            os.kill(pids[name], signal.SIGKILL)
        with Client(running.addresses["API"], timeout=60) as client:
            wait_until("the API answers again", lambda: healthy(client), seconds=300)
            client.create_collection("after")
            job = client.upload("after", "a.txt", b"The office opens at nine.")
            # There are no weights here: that the worker says so shows that it got the message.
            wait_until("a worker has it", lambda: client.job(job.id).error, seconds=300)
        again = running.pids()
        assert {name for name in pids if pids[name] != again[name]} == {"rag.api.serve", "broker"}
        running.process.send_signal(signal.SIGTERM)
        _, err = running.process.communicate(timeout=120)
        assert "the API was killed by SIGKILL" in err
        assert "the API is started again" in err
        assert "the broker is started again" in err
        for name, pid in again.items():
            wait_until(f"{name} is gone", gone, pid)


def test_what_dies_again_and_again_stops_the_rest(tmp_path: Path) -> None:
    with up(tmp_path / "data", "--without-ui") as running:
        pids = running.pids()
        killed: set[int] = set()
        for _ in range(RESTARTS + 1):
            wait_until("another", lambda: {*schedulers(running)} - killed, seconds=300)
            pid = schedulers(running)[0]
            killed.add(pid)
            os.kill(pid, signal.SIGKILL)
        _, err = running.process.communicate(timeout=120)
        assert running.process.returncode == 1
        assert err.count("the scheduler was killed by SIGKILL") == RESTARTS + 1
        for name, pid in pids.items():
            wait_until(f"{name} is gone", gone, pid)


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with up(data, "--without-ui") as running:
        pids = running.pids()
        running.process.kill()
        for name, pid in pids.items():
            wait_until(f"{name} is gone", gone, pid)
    with up(data, "--without-ui") as running, Client(running.addresses["API"]) as client:
        assert client.health().status == "ok"


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "rag.cli", "up", "--json"]
        command += ["--data", str(tmp_path / "data"), "--api-port", str(port)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = json.loads(done.stdout)
    assert (done.returncode, said["error"]) == (1, "conflict")
    assert f"127.0.0.1:{port}" in said["message"]
    assert "ATTEST_API_PORT" in said["message"]


def test_open_addresses_need_sign_in(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rag.cli", "up", "--json", "--data", str(tmp_path / "data")]
    env = {**os.environ, "ATTEST_HOST": "0.0.0.0"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, json.loads(done.stdout)["error"]) == (1, "bad_settings")
    assert "sign_in" in done.stderr


def test_free_ports() -> None:
    assert free_port("127.0.0.1", 0, "the API", "api_port") > 0
    with pytest.raises(BadSettings):
        free_port("no such host.invalid", 0, "the API", "api_port")
    with pytest.raises(Conflict):
        free_port("192.0.2.1", 0, "the API", "api_port")  # not an address of this machine
