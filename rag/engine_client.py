"""The line to an engine process: requests, their time limits, and what goes wrong on it as our
typed errors."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping
from typing import Any, TypeVar

import httpx

from rag.engine_wire import BEAT
from rag.errors import AttestError, BadInput, EngineUnavailable, NotPermitted, NotSignedIn
from rag.wire import Json, error_from_json, from_json, to_json

T = TypeVar("T")
CONNECT = 5.0  # seconds
SILENCE = 6 * BEAT  # seconds without a piece or a beat, after which the engine is taken for gone
REPLY = 60.0  # seconds for anything but an answer; the engine may be reading its weights
LONG_REPLY = 300.0  # seconds for what reads all passages several times


class EngineClient:
    """Any number of threads may use it at once. Whatever the engine refuses is raised as the same
    typed error; an engine that is not there, goes silent or does not know our key raises
    EngineUnavailable. `key` is never part of a message."""

    def __init__(self, url: str, key: str | None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(REPLY, connect=CONNECT),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def get(self, kind: type[T], path: str, asked: Mapping[str, str] | None = None) -> T:
        return self._read(kind, self._send("GET", path, params=asked))

    def post(self, kind: type[T], path: str, body: object, seconds: float = REPLY) -> T:
        limits = httpx.Timeout(seconds, connect=CONNECT)
        return self._read(kind, self._send("POST", path, body, timeout=limits))

    def stream(self, kind: type[T], path: str, body: object) -> Generator[T]:
        """The `data` of each line of a reply, until the one that says `end`; closing this hangs
        up."""
        limits, ended = httpx.Timeout(SILENCE, connect=CONNECT), False
        try:
            with self._http.stream("POST", path, timeout=limits, **_json(body)) as reply:
                if reply.is_error:
                    reply.read()
                    raise self._refusal(reply)
                for line in filter(None, reply.iter_lines()):
                    said = self._line(line)
                    ended = "end" in said  # what is left is read, to use the connection again
                    if not ended:
                        yield self._noun(kind, said.get("data"))
        except httpx.HTTPError as exc:
            raise self._broke_off(_why(exc)) from exc
        if not ended:
            raise self._broke_off("the reply had no end")

    def _send(self, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
        if body is not None:
            options |= _json(body)
        try:
            reply = self._http.request(method, path, **options)
        except httpx.HTTPError as exc:
            raise EngineUnavailable(
                f"the engine at {self.url} cannot be reached ({_why(exc)}); start it there with "
                "`attest engine`, or mend engine_url"
            ) from exc
        if reply.is_error:
            raise self._refusal(reply)
        return reply

    def _read(self, kind: type[T], reply: httpx.Response) -> T:
        try:
            return self._noun(kind, reply.json())
        except ValueError as exc:
            raise self._unlike(exc) from exc

    def _line(self, line: str) -> dict[str, Any]:
        try:
            said = from_json(dict[str, Any], json.loads(line))
        except (BadInput, ValueError) as exc:
            raise self._unlike(exc) from exc
        if "error" in said:
            raise error_from_json(said)
        return said

    def _noun(self, kind: type[T], value: object) -> T:
        try:
            return from_json(kind, value)
        except BadInput as exc:
            raise self._unlike(exc) from exc

    def _unlike(self, why: object) -> EngineUnavailable:
        return EngineUnavailable(
            f"{self.url} does not answer as an engine of this version does ({why}); mend "
            "engine_url, or run the same version of Attest on both sides"
        )

    def _refusal(self, reply: httpx.Response) -> AttestError:
        try:
            form = from_json(dict[str, Any], reply.json())
        except (BadInput, ValueError):
            form = {}
        if "error" not in form:
            return self._unlike(f"status {reply.status_code}")
        error = error_from_json(form)
        if isinstance(error, NotSignedIn | NotPermitted):  # not the fault of whoever asks us
            return EngineUnavailable(
                f"the engine at {self.url} refuses this process ({error}); set the same engine_key "
                "on both sides"
            )
        return error

    def _broke_off(self, why: str) -> EngineUnavailable:
        return EngineUnavailable(
            f"the engine at {self.url} broke off its answer ({why}); ask again, and see its log "
            "if it stays away"
        )


def _json(body: object) -> dict[str, Any]:
    """Escaped to ASCII, so that a half surrogate in a question is the engine's to refuse."""
    form: Json = to_json(body)
    return {
        "content": json.dumps(form).encode("ascii"),
        "headers": {"Content-Type": "application/json"},
    }


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__
