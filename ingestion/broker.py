"""The broker that comes with the house: a real Valkey server on loopback, one a data folder.

Port, password, configuration and the append-only file live in `<data>/broker`. Whoever needs the
broker holds a shared lock on it; the last one to leave stops the server, so two commands on one
folder share it and neither pulls it away from the other. A server that a killed process left
behind is found by its password and taken over.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from ingestion import valkey
from rag.errors import BrokerUnavailable, DiskFull

if TYPE_CHECKING:
    from rag.settings import Settings

HOST = "127.0.0.1"
READY_WITHIN = 30.0
STOP_WITHIN = 15.0
_FIRST_PORT, _PORTS, _TRIES = 21_000, 9_000, 50


def broker_url(settings: Settings) -> str:
    """Where the broker is: the URL of the settings, or that of this folder's own server. Raises
    BrokerUnavailable when none was ever started for the folder."""
    if settings.broker_url is not None:
        return settings.broker_url.get_secret_value()
    folder = _folder(settings)
    try:
        port = int((folder / "port").read_text("ascii"))
        secret = (folder / "secret").read_text("ascii").strip()
    except (OSError, ValueError) as exc:
        raise BrokerUnavailable(
            f"no broker was started for {settings.data}; run `attest up`, or set broker_url"
        ) from exc
    return f"redis://:{secret}@{HOST}:{port}/0"


def check_broker(settings: Settings, seconds: float = 2.0) -> None:
    """Return when the broker answers. Raises BrokerUnavailable."""
    from kombu.connection import Connection
    from kombu.exceptions import KombuError

    options = {"socket_connect_timeout": seconds, "socket_timeout": seconds}
    url = broker_url(settings)
    try:
        kind = {} if url.startswith("amqp") else {"transport_options": options}
        connect: Any = Connection
        with connect(url, connect_timeout=seconds, **kind) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=seconds)
            connection.default_channel.close()
    except (KombuError, OSError) as exc:
        raise BrokerUnavailable(f"the broker does not answer ({exc}); {_advice(settings)}") from exc


def _advice(settings: Settings) -> str:
    own = settings.broker_url is None
    return "run `attest up`" if own else "check broker_url, and that the server runs"


class Broker:
    """`with Broker(settings):` the broker runs. With `broker_url` set there is nothing to start.
    Raises BrokerUnavailable: the port is taken, the server does not come up."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = _folder(settings)
        self._users: IO[str] | None = None

    def __enter__(self) -> Self:
        if self.settings.broker_url is not None:
            return self
        _make(self.folder)
        with self._starting():
            if not _answers(self.settings):
                self._start()
            self._users = (self.folder / "users.lock").open("a")
            fcntl.flock(self._users, fcntl.LOCK_SH)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._users is None:
            return
        with self._starting(), closing(self._users) as users:
            self._users = None
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:  # somebody else needs it
                return
            self._stop()

    def mend(self) -> bool:
        """Start the server again when its process has died; whether it had. Raises as entering."""
        if self._users is None or self._alive():
            return False
        with self._starting():
            if not _answers(self.settings):  # else another process was quicker
                self._start()
        return True

    @property
    def pid(self) -> int | None:
        """The server's process, None for a broker that is not ours."""
        try:
            return int((self.folder / "valkey.pid").read_text("ascii"))
        except (OSError, ValueError):
            return None

    @contextmanager
    def _starting(self) -> Iterator[None]:
        """One process at a time starts or stops the server."""
        lock = FileLock(self.folder / "start.lock", timeout=READY_WITHIN + STOP_WITHIN)
        try:
            lock.acquire()
        except Timeout as exc:
            raise BrokerUnavailable(f"another process holds {lock.lock_file}; end it") from exc
        try:
            yield
        finally:
            lock.release()

    def _start(self) -> None:
        configuration = self._configure(self._port())
        (self.folder / "valkey.pid").unlink(missing_ok=True)
        # It goes into the background by itself: whoever stops it need not be who started it.
        started = subprocess.run(
            [str(valkey.binary()), str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"LANG": "C.UTF-8"},
            start_new_session=True,  # Ctrl-C ends those who use it first
            check=False,
        )
        until = time.monotonic() + READY_WITHIN
        while not _answers(self.settings):
            if started.returncode or time.monotonic() > until or not self._alive():
                raise BrokerUnavailable(f"the broker did not start:\n{self._last_words()}")
            time.sleep(0.05)

    def _stop(self) -> None:
        import redis

        pid = self.pid
        with closing(_client(self.settings)) as client, suppress(redis.exceptions.RedisError):
            client.shutdown(nosave=True)  # the append-only file is synced; jobs are in SQL
        until = time.monotonic() + STOP_WITHIN
        while _answers(self.settings):
            if time.monotonic() > until:
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.05)

    def _alive(self) -> bool:
        """Whether the server still comes up; before it has written its number, assume so."""
        pid = self.pid
        if pid is None:
            return True
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _port(self) -> int:
        """The port of the settings, the remembered one, or the first free one from a number that
        comes from the folder's path."""
        wanted = self.settings.broker_port
        if wanted:
            if not _is_free(wanted):
                raise BrokerUnavailable(
                    f"port {wanted} of {HOST} is taken by another program; set broker_port to a "
                    "free one, or to 0 to have one chosen"
                )
            return self._remember(wanted)
        path = str(self.folder.resolve()).encode()
        first = int.from_bytes(hashlib.sha256(path).digest()[:4], "big") % _PORTS
        numbers = [_FIRST_PORT + (first + step) % _PORTS for step in range(_TRIES)]
        remembered = self.folder / "port"
        if remembered.exists():
            numbers.insert(0, int(remembered.read_text("ascii") or 0))
        for number in numbers:
            if _is_free(number):
                return self._remember(number)
        raise BrokerUnavailable(
            f"none of {_TRIES} ports from {numbers[0]} on is free on {HOST}; set broker_port"
        )

    def _remember(self, port: int) -> int:
        _write(self.folder / "port", str(port))
        secret = self.folder / "secret"
        if not secret.exists() or not secret.read_text("ascii").strip():
            _write(secret, secrets.token_urlsafe(32))
        return port

    def _configure(self, port: int) -> Path:
        secret = (self.folder / "secret").read_text("ascii").strip()
        path = self.folder / "valkey.conf"
        _write(path, valkey.configuration(self.folder.resolve(), HOST, port, secret))
        return path

    def _last_words(self) -> str:
        log = self.folder / "valkey.log"
        text = log.read_text("utf-8", "replace") if log.exists() else "(it wrote no log)"
        return "\n".join(text.splitlines()[-8:])


def _folder(settings: Settings) -> Path:
    return settings.data / "broker"


def _client(settings: Settings) -> Any:
    import redis

    return redis.Redis.from_url(
        broker_url(settings), socket_connect_timeout=2.0, socket_timeout=5.0
    )


def _answers(settings: Settings) -> bool:
    """Whether this folder's own server (it alone knows the password) is up."""
    import redis

    try:
        with closing(_client(settings)) as client:
            return bool(client.ping())
    except (redis.exceptions.RedisError, BrokerUnavailable, OSError):
        return False


def _is_free(port: int) -> bool:
    if not 0 < port < 65536:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as exc:
        raise BrokerUnavailable(f"{folder} cannot be made: {exc.strerror}") from exc


def _write(path: Path, text: str) -> None:
    """Whole or not at all, readable by this user only."""
    fresh = path.with_suffix(".new")
    try:
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(fresh, path)
    except OSError as exc:
        raise DiskFull(f"{path} cannot be written: {exc.strerror}") from exc
