"""Connections to checked addresses only, and none that outlives its time.

The name is resolved once, every address it leads to is checked, and the connection goes to one of
those that were checked: nothing is resolved a second time (DNS rebinding). Certificates are still
checked against the name.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

import httpcore

from rag.allowed import Address, AllowedHosts
from rag.errors import OriginUnavailable


class Clock:
    """The moment at which what is under way has to be over."""

    def __init__(self) -> None:
        self._until = 0.0

    def start(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self, timeout: float | None) -> float:
        """Seconds that the next step may take. Raises httpcore.ReadTimeout when none are left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("it took too long")
        return left if timeout is None else min(left, timeout)


class CheckedNetwork(httpcore.NetworkBackend):
    def __init__(self, hosts: AllowedHosts, clock: Clock) -> None:
        self._hosts, self._clock = hosts, clock
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Raises AddressRefused, OriginUnavailable, httpcore's errors."""
        addresses = resolved(host, port)
        for address in addresses:
            self._hosts.check_address(host, address)
        failure: Exception | None = None
        for address in addresses:
            try:
                left = self._clock.left(timeout)
                stream = self._plain.connect_tcp(str(address), port, left, local_address)
                return _BoundedStream(stream, self._clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as exc:
                failure = exc
        raise failure or OriginUnavailable(f"{host} leads to no address")


class _BoundedStream(httpcore.NetworkStream):
    """Reads and writes only as long as there is time, however slowly the other side trickles."""

    def __init__(self, stream: httpcore.NetworkStream, clock: Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._clock.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = self._clock.left(timeout)
        return _BoundedStream(
            self._stream.start_tls(ssl_context, server_hostname, left), self._clock
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def resolved(host: str, port: int) -> list[Address]:
    """Every address of a name. Raises OriginUnavailable."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise OriginUnavailable(f"{host} cannot be found ({exc.strerror or exc})") from exc
    return list(dict.fromkeys(ip_address(each[4][0]) for each in found))
