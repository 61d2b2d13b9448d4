"""`attest up`: everything on this machine, as child processes over one data folder.

It takes the folder's lock, brings the database to this version's tables, starts the broker, the
engine (where it is a process of its own), the API, the worker, the scheduler and the pages, and
waits until each answers. Then it watches: when a part dies, it says which and why, and starts it
again; when one dies too often, it stops the others and ends. Should this process itself be killed,
the guard ends its children.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from filelock import FileLock, Timeout

from rag.children import STOP_WITHIN, Children
from rag.errors import AlreadyRunning, BadSettings, Conflict, Unavailable
from rag.process import Child, Guard
from rag.settings import Settings

Say = Callable[[str], None]
READY_WITHIN = 180.0  # seconds for a part to answer; the first start reads the weights
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "::1": "[::1]"}


class Up:
    """Everything runs between `__enter__` and `__exit__`; `watch` returns on Ctrl-C and raises
    Unavailable when a part dies again and again. Entering raises AlreadyRunning, Conflict (a port
    is taken), BrokerUnavailable, and Unavailable when a part does not come up."""

    def __init__(self, settings: Settings, say: Say, *, with_ui: bool = True) -> None:
        self.settings = settings
        self.addresses: dict[str, str] = {}
        self._say = say
        self._with_ui = with_ui
        self._folder = settings.data.resolve()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._say("attest: stopping")
        self._stack.close()

    def watch(self) -> None:
        try:
            while True:
                self._mend()
                time.sleep(0.3)
        except KeyboardInterrupt:
            return

    def _start(self) -> None:
        self._lock()
        self._upgrade()
        ports = self._ports()
        self._guard = Guard()
        self._stack.callback(self._guard.close)
        self._children = Children(self._guard, self._say)
        self._write_state()
        self._start_broker()
        self._start_parts(*ports)

    # --- the folder ----------------------------------------------------------------------------

    @property
    def _state(self) -> Path:
        return self._folder / "up.json"

    def _lock(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._folder / "up.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout as exc:
            pid = self._read_state().get("pid", "unknown")
            raise AlreadyRunning(
                f"another `attest up` (process {pid}) runs on {self._folder}; stop it first, or "
                "use another folder with --data"
            ) from exc
        self._stack.callback(lock.release)
        self._wait_for_guard(self._read_state().get("guard"))

    def _wait_for_guard(self, pid: int | None) -> None:
        """After a killed `attest up` its guard may still be ending the children."""
        until = time.monotonic() + STOP_WITHIN
        while pid is not None and _is_guard(pid) and time.monotonic() < until:
            time.sleep(0.1)

    def _read_state(self) -> dict[str, int]:
        try:
            state: dict[str, int] = json.loads(self._state.read_text("utf-8"))
        except (OSError, ValueError):  # none, or one that was being written
            return {}
        return state

    def _write_state(self) -> None:
        state = {"pid": os.getpid(), "guard": self._guard.pid}
        self._state.write_text(json.dumps(state), "utf-8")
        self._stack.callback(self._state.unlink, missing_ok=True)

    def _upgrade(self) -> None:
        from rag.store.migrate import upgrade

        upgrade(self.settings.database)

    # --- the parts -----------------------------------------------------------------------------

    def _ports(self) -> tuple[int, int, int]:
        host, settings = self.settings.host, self.settings
        engine = 0
        if settings.engine_process:
            there, wanted = settings.engine_host, settings.engine_port
            engine = free_port(there, wanted, "the engine", "engine_port")
        api = free_port(host, settings.api_port, "the API", "api_port")
        ui = free_port(host, settings.ui_port, "the pages", "ui_port") if self._with_ui else 0
        return engine, api, ui

    def _start_broker(self) -> None:
        from ingestion.broker import Broker

        self._broker = self._stack.enter_context(Broker(self.settings))
        self._watch_broker()

    def _start_parts(self, engine_port: int, api_port: int, ui_port: int) -> None:
        data = ["--data", str(self._folder)]
        python = [sys.executable, "-P", "-m"]
        asking: dict[str, str] = {}
        if self.settings.engine_process:
            asking = self._start_engine([*python, "rag.engine_api.serve", *data], engine_port)
        self._run("worker", [*python, "ingestion.worker", *data], asking)
        self._run("scheduler", [*python, "ingestion.scheduler", *data], asking)
        api = self._run("API", [*python, "rag.api.serve", *data, "--port", str(api_port)], asking)
        address = f"http://{address_of(self.settings.host)}"
        self.addresses["API"] = f"{address}:{api_port}"
        if self._with_ui:
            env = {"ATTEST_API_URL": self.addresses["API"]}
            ui = self._run("UI", [*python, *self._streamlit(ui_port)], env)
            self.addresses = {"UI": f"{address}:{ui_port}", **self.addresses}
            self._until_ready(ui, f"{self.addresses['UI']}/_stcore/health")
        self._until_ready(api, f"{self.addresses['API']}/health")
        self._until_worker_serves()

    def _start_engine(self, command: list[str], port: int) -> dict[str, str]:
        """What those who ask it find in their environment. Without a key in the settings it gets
        one for this run, so that no other user of this machine can use it."""
        own = self.settings.engine_key
        key = secrets.token_urlsafe(32) if own is None else own.get_secret_value()
        host = self.settings.engine_host
        url = f"http://{address_of(host)}:{port}"
        child = self._run("engine", [*command, "--port", str(port)], {"ATTEST_ENGINE_KEY": key})
        self.addresses["engine"] = url
        self._until_ready(child, f"{url}/health", {"Authorization": f"Bearer {key}"})
        asking = {"ENGINE_URL": url, "ENGINE_KEY": key, "ENGINE_PROCESS": "false"}
        return {f"ATTEST_{name}": value for name, value in asking.items()}

    def _streamlit(self, port: int) -> list[str]:
        options = {
            "server.address": self.settings.host,
            "server.port": port,
            "server.headless": "true",
            "server.enableXsrfProtection": "true",
            "server.enableCORS": "true",  # Streamlit's name for refusing other origins
            "server.fileWatcherType": "none",
            "server.maxUploadSize": -(-self.settings.max_upload_bytes // 2**20),
            "browser.gatherUsageStats": "false",
            "client.toolbarMode": "viewer",
        }
        flags = [part for name, value in options.items() for part in (f"--{name}", str(value))]
        return ["streamlit", "run", str(_page()), *flags]

    def _run(self, name: str, command: list[str], env: dict[str, str] | None = None) -> Child:
        child = self._children.run(
            name, command, self._folder / "logs" / f"{name.lower()}.log", env
        )
        self._stack.callback(self._children.stop, name)
        return child

    def _mend(self) -> None:
        """Start again what has died. Raises Unavailable for what dies too often."""
        pid = self._broker.pid
        if self._broker.mend():
            self._children.count("broker", f"the broker (process {pid}) was gone")
            self._watch_broker()
        self._children.mend()

    def _watch_broker(self) -> None:
        if self._broker.pid is not None:
            self._guard.watch(self._broker.pid)

    def _until_ready(self, child: Child, url: str, headers: dict[str, str] | None = None) -> None:
        until = time.monotonic() + READY_WITHIN
        while True:
            self._children.all_run()
            try:
                if httpx.get(url, headers=headers, timeout=5.0, trust_env=False).is_success:
                    return
            except httpx.HTTPError:
                pass  # not listening yet
            if time.monotonic() > until:
                raise Unavailable(
                    f"the {child.name} did not answer at {url} within {READY_WITHIN:g} s; "
                    f"see {child.log}"
                )
            time.sleep(0.2)

    def _until_worker_serves(self) -> None:
        from ingestion.running import worker_running

        until = time.monotonic() + READY_WITHIN
        while not worker_running(self.settings):
            self._children.all_run()
            if time.monotonic() > until:
                raise Unavailable(f"the worker did not get ready within {READY_WITHIN:g} s")
            time.sleep(0.2)


def address_of(host: str) -> str:
    """Where this machine reaches what listens on `host`, as part of a URL."""
    return ANYWHERE.get(host, f"[{host}]" if ":" in host else host)


def free_port(host: str, port: int, whose: str, setting: str) -> int:
    """`port` when it is free on `host`, a free one for 0. Raises Conflict when it is taken,
    BadSettings when the address is not this machine's."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            taken: int = probe.getsockname()[1]
            return taken
    except socket.gaierror as exc:
        raise BadSettings(f"host {host!r} is not an address: {exc.strerror}") from exc
    except OSError as exc:
        raise Conflict(
            f"{whose} cannot listen on {host}:{port} ({exc.strerror}); stop what uses it, or set "
            f"{setting} (ATTEST_{setting.upper()}, 0 takes any free port)"
        ) from exc


def _page() -> Path:
    """The first Streamlit page, found without importing it."""
    spec = find_spec("ui")
    if spec is None or not spec.submodule_search_locations:
        raise BadSettings("the package `ui` is not installed; install attest-rag again")
    return Path(spec.submodule_search_locations[0]) / "app.py"


def _is_guard(pid: int) -> bool:
    """Whether that process still runs and is a guard, not another program under its number."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    command = Path(f"/proc/{pid}/cmdline")
    return not command.parent.parent.exists() or b"guard.py" in _bytes(command)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""
