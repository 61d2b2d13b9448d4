"""One GET, each of its redirects checked as if it had been asked for itself.

Limits: bytes, seconds from the first name to the last byte, redirects, kinds of content. Nothing of
ours is sent but a User-Agent that says who asks.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from types import TracebackType
from typing import Final, Self
from urllib.parse import urldefrag, urljoin

import httpcore

from ingestion.origins.network import CheckedNetwork, Clock
from rag.allowed import AllowedHosts
from rag.errors import AttestError, LimitExceeded, OriginUnavailable

AGENT: Final = f"Attest/{version('attest-rag')} (keeps a collection of documents in step)"
REDIRECTS: Final = 5
_MOVED = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have lower-case names; `url` is where the redirects ended."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    url: str

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


class Fetcher:
    """Keeps connections; close it. `seconds` is for one GET with all its redirects."""

    def __init__(self, hosts: AllowedHosts, seconds: float) -> None:
        self._hosts, self._seconds = hosts, seconds
        self._clock = Clock()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(),
            network_backend=CheckedNetwork(hosts, self._clock),
            max_connections=4,
            keepalive_expiry=30.0,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()

    def get(
        self,
        url: str,
        most: int,
        headers: Mapping[str, str] | None = None,
        before: Callable[[str], None] | None = None,
    ) -> Reply:
        """Any status but a redirect. `before` is asked about each address on the way, in no time of
        ours. Raises AddressRefused, OriginUnavailable, LimitExceeded for more than `most` bytes,
        BadInput for what is no address."""
        left = self._seconds
        for _ in range(REDIRECTS + 1):
            self._hosts.check(url)
            if before is not None:
                before(url)
            began = time.monotonic()
            self._clock.start(left)
            reply = self._once(url, most, headers or {})
            left -= time.monotonic() - began
            target = reply.headers.get("location")
            if reply.status not in _MOVED or target is None:
                return reply
            url = urldefrag(urljoin(url, target)).url
        raise OriginUnavailable(f"{url} is redirected more than {REDIRECTS} times")

    def _once(self, url: str, most: int, headers: Mapping[str, str]) -> Reply:
        sent = {"User-Agent": AGENT, "Accept": "*/*"}
        sent |= {"Accept-Encoding": "identity", **headers}
        try:
            with self._pool.stream("GET", url, headers=list(sent.items())) as response:
                found = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in response.headers
                }
                whole = response.status not in _MOVED
                data = _read(response, url, found, most) if whole else b""
                return Reply(response.status, found, data, url)
        except AttestError:
            raise
        except (httpcore.TimeoutException, TimeoutError) as exc:
            raise OriginUnavailable(f"{url} took longer than {self._seconds:g} s") from exc
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.UnsupportedProtocol,
            OSError,
            UnicodeError,
        ) as exc:
            raise OriginUnavailable(f"{url} cannot be read: {exc or type(exc).__name__}") from exc


def gunzipped(data: bytes, most: int) -> bytes:
    """Raises LimitExceeded when more than `most` bytes come out, OriginUnavailable for what is not
    gzip."""
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(data, most + 1)
    except zlib.error as exc:
        raise OriginUnavailable(f"what was sent as gzip is not ({exc})") from exc
    if len(plain) > most:
        raise LimitExceeded(f"what is packed there has more than {most:,} bytes")
    return plain


def _read(response: httpcore.Response, url: str, headers: Mapping[str, str], most: int) -> bytes:
    """The body, unpacked where the server packs although it was asked not to."""
    told = headers.get("content-length", "")
    parts, size = [], int(told) if told.isdigit() else 0
    if size <= most:
        size = 0
        for part in response.iter_stream():
            parts.append(part)
            size += len(part)
            if size > most:
                break
    if size > most:
        raise LimitExceeded(f"{url} has more than {most:,} bytes (max_upload_bytes)")
    encoding = headers.get("content-encoding", "identity").lower()
    if encoding in ("gzip", "x-gzip"):
        return gunzipped(b"".join(parts), most)
    if encoding != "identity" and parts:
        raise OriginUnavailable(f"{url} sends its pages packed as {encoding!r}, unasked")
    return b"".join(parts)
