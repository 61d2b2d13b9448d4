"""The broker that comes with the house: a real server, shared, remembered, private."""

from __future__ import annotations

import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from ingestion.broker import Broker, broker_url, check_broker
from ingestion.queue import CeleryQueue
from rag.errors import BrokerUnavailable
from rag.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "with a blank" / "data")


def until_gone(settings: Settings) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        try:
            check_broker(settings, 0.5)
        except BrokerUnavailable:
            return
        time.sleep(0.05)
    pytest.fail("the broker still answers")


def test_it_starts_answers_and_stops(settings: Settings) -> None:
    with pytest.raises(BrokerUnavailable, match="attest up"):
        broker_url(settings)
    with Broker(settings) as broker:
        check_broker(settings)
        assert broker.pid is not None
        address = broker_url(settings)
    until_gone(settings)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        check_broker(settings)
    with Broker(settings):
        assert broker_url(settings) == address  # remembered


def test_it_is_private(settings: Settings) -> None:
    with Broker(settings):
        port = int((settings.data / "broker" / "port").read_text())
        with (
            redis.Redis(port=port) as stranger,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            stranger.ping()
        with socket.socket() as probe:
            assert probe.connect_ex((_other_address(), port)) != 0
    for name in ("secret", "valkey.conf"):
        mode = (settings.data / "broker" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


def _other_address() -> str:
    return "127.0.0.2"  # on loopback too, but not the one that is bound


def test_the_last_one_to_leave_stops_it(settings: Settings) -> None:
    first, second = Broker(settings), Broker(settings)
    with first:
        with second:
            assert first.pid == second.pid
        check_broker(settings)
    until_gone(settings)


def test_messages_outlive_a_killed_server(settings: Settings) -> None:
    queue = CeleryQueue(settings)
    with Broker(settings) as broker:
        queue.send("one")
        queue.send("two")
        time.sleep(1.5)  # the append-only file is synced every second
        assert broker.pid is not None
        os.kill(broker.pid, signal.SIGKILL)
        until_gone(settings)
        with pytest.raises(BrokerUnavailable):
            queue.send("three")
        with Broker(settings):
            assert queue.waiting() == 2
            queue.send("three")
            assert queue.waiting() == 3


def test_a_server_left_behind_is_taken_over(settings: Settings) -> None:
    left = Broker(settings)
    left.__enter__()
    assert left._users is not None
    left._users.close()  # as when the process that started it was killed
    with Broker(settings) as taken:
        assert taken.pid == left.pid
    until_gone(settings)


@pytest.fixture
def busy_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_busy_port(settings: Settings, busy_port: int) -> None:
    named = Settings(data=settings.data, broker_port=busy_port)
    with pytest.raises(BrokerUnavailable, match=f"port {busy_port} .* taken"):
        Broker(named).__enter__()
    (settings.data / "broker" / "port").write_text(str(busy_port))
    with Broker(settings):  # a remembered port that was taken meanwhile is given up
        assert f":{busy_port}/" not in broker_url(settings)
        check_broker(settings)


def test_a_given_broker_is_left_alone(settings: Settings) -> None:
    given = Settings(data=settings.data, broker_url="redis://127.0.0.1:1/0")
    with Broker(given):
        assert broker_url(given) == "redis://127.0.0.1:1/0"
    assert not (settings.data / "broker").exists()
