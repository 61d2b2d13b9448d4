"""llama.cpp's own server, a process of its own, asked over HTTP with streaming."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from benchmarks.peers.llama_cpp_python import CONTEXT
from benchmarks.peers.peer import Parts, PeerFailed, PeerMissing, Stopwatch, Timed
from benchmarks.peers.requantised import in_format

START_WITHIN = 120.0  # seconds
ANSWER_WITHIN = 600.0


class LlamaServer:
    """Continuous batching over `slots`, its caches as they are by default (a slot goes on from the
    prefix that it shares with its last prompts). `best` adds flash attention and a batch that holds
    a whole prompt."""

    def __init__(
        self,
        binary: str,
        gguf: Path,
        format: str,
        folder: Path,
        threads: int,
        slots: int,
        best: bool,
    ) -> None:
        self._binary, self._gguf, self._format, self._folder = binary, gguf, format, folder
        self._best = best
        self._flags = {
            "-t": str(threads),
            "-tb": str(threads),
            "-np": str(slots),
            "-c": str(slots * CONTEXT),
        }
        if best:
            self._flags |= {"-fa": "on", "-b": "2048", "-ub": "2048"}
        self._process: subprocess.Popen[bytes] | None = None
        self._http: httpx.Client | None = None

    @property
    def name(self) -> str:
        return f"llama-server {self._format}, {'best' if self._best else 'default'}"

    @property
    def settings(self) -> Mapping[str, object]:
        return {"flags": self._flags, "format": self._format}

    def prepare(self) -> None:
        found = shutil.which(self._binary)
        if found is None:
            raise PeerMissing(
                f"there is no {self._binary}; build the target llama-server of llama.cpp with "
                "-DGGML_NATIVE=ON and name it with --llama-server"
            )
        path = in_format(self._gguf, self._format, self._folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        flags = [each for pair in self._flags.items() for each in pair]
        command = [found, "-m", str(path), "--host", "127.0.0.1", "--port", port, *flags]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        limits = httpx.Limits(max_connections=None)
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_WITHIN, limits=limits
        )
        self._wait(self._process, self._http)

    def ready(self, parts: Parts) -> None:
        """What is kept of earlier prompts is the server's affair."""

    def answer(self, parts: Parts, max_tokens: int, forced: bool = False) -> Timed:
        if self._http is None:
            raise PeerFailed("the server was not started")
        asked = {
            "prompt": parts.text,
            "n_predict": max_tokens,
            "temperature": 0.0,
            "ignore_eos": forced,
            "stream": True,
        }
        watch = Stopwatch()
        try:
            with self._http.stream("POST", "/completion", json=asked) as response:
                if response.is_error:
                    raise PeerFailed(f"{response.status_code}: {response.read()[:200]!r}")
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        _tick(watch, json.loads(line.removeprefix("data: ")))
        except (httpx.HTTPError, ValueError) as exc:
            raise PeerFailed(f"the server's stream broke: {exc!r}") from exc
        return watch.timed()

    def resident_bytes(self) -> int:
        if self._process is None:
            raise PeerFailed("the server was not started")
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
        self._http = self._process = None

    def _wait(self, process: subprocess.Popen[bytes], http: httpx.Client) -> None:
        until = time.monotonic() + START_WITHIN
        while time.monotonic() < until and process.poll() is None:
            try:
                if http.get("/health").is_success:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.2)
        ended = process.poll()
        self.close()
        raise PeerMissing(f"{self._binary} did not start (exit code {ended})")


def _tick(watch: Stopwatch, event: Mapping[str, object]) -> None:
    """One token an event; the last event brings the end token, where the answer ended by one."""
    if "error" in event:
        raise PeerFailed(str(event["error"]))
    if not event.get("stop"):
        watch.tick(str(event.get("content", "")))
    elif event.get("stop_type") == "eos":
        watch.tick("")
