"""The line to a Milvus server: one connection, our errors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote, urlsplit

from rag.errors import BadSettings, IndexUnavailable
from rag.index.engine import BuildGone

if TYPE_CHECKING:  # importing pymilvus opens a socket
    from pymilvus import CollectionSchema, MilvusClient
    from pymilvus.milvus_client.index import IndexParams

T = TypeVar("T")

# A server that comes back is found within a second; grpc would wait for up to two minutes.
_GRPC = {"grpc.max_reconnect_backoff_ms": 1_000, "grpc.use_local_subchannel_pool": 1}
_NO_COLLECTION, _NOT_LOADED = 100, 101  # Milvus' codes


class MilvusLine:
    """`url` as `MilvusEngine` takes it; `seconds` bounds each request. Connects at the first use.
    Raises BadSettings."""

    def __init__(self, url: str, seconds: float) -> None:
        self.seconds = seconds
        self._address = _address(url)
        self._connecting = Lock()
        self._connected: MilvusClient | None = None

    def ask(self, name: str, call: Callable[[MilvusClient], T]) -> T:
        """What `call` returns; Milvus Lite forgets with each restart what was loaded."""
        from pymilvus import MilvusException

        with self.translated():
            client = self.client()
            try:
                return call(client)
            except MilvusException as exc:
                if exc.code != _NOT_LOADED:
                    raise
            client.load_collection(name, timeout=self.seconds)
            return call(client)

    def client(self) -> MilvusClient:
        from pymilvus import MilvusClient

        with self._connecting:
            if self._connected is None:
                # It logs each error with its stack before raising it; ours says the same once.
                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                self._connected = MilvusClient(
                    **self._address, timeout=self.seconds, dedicated=True, grpc_options=_GRPC
                )
            return self._connected

    @contextmanager
    def translated(self) -> Iterator[None]:
        import grpc
        from pymilvus import MilvusException

        try:
            yield
        except (MilvusException, grpc.RpcError) as exc:
            if isinstance(exc, MilvusException) and exc.code == _NO_COLLECTION:
                raise BuildGone from exc
            where = urlsplit(self._address["uri"]).netloc
            raise IndexUnavailable(
                f"Milvus at {where} cannot be asked: {_said(exc)}; check that it runs and that "
                "search_url, user and password are right, then ask again"
            ) from exc

    def make(self, name: str, schema: CollectionSchema, indexes: IndexParams) -> None:
        from pymilvus import MilvusException

        with self.translated():
            client = self.client()
            if client.has_collection(name, timeout=self.seconds):
                return
            try:
                client.create_collection(
                    name,
                    schema=schema,
                    index_params=indexes,
                    consistency_level="Strong",  # what one process wrote, every other sees
                    timeout=self.seconds,
                )
            except MilvusException:
                if not client.has_collection(name, timeout=self.seconds):
                    raise  # else another process made it meanwhile

    def close(self) -> None:
        with self._connecting:
            if self._connected is not None:
                self._connected.close()
                self._connected = None


def _address(url: str) -> dict[str, str]:
    """What MilvusClient takes. Raises BadSettings."""
    parts = urlsplit(url)
    try:
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port is not None
    except ValueError:
        known = False
    if not known:
        raise BadSettings(
            "search_url is no address of a Milvus; write it like "
            "http://user:password@10.0.0.7:19530/database"
        )
    address = {"uri": f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"}
    user, password = unquote(parts.username or ""), parts.password
    if password is not None:
        address |= {"user": user, "password": unquote(password)}
    elif user:
        address["token"] = user
    if database := parts.path.strip("/"):
        address["db_name"] = unquote(database)
    return address


def _said(exc: Exception) -> str:
    return str(getattr(exc, "message", exc)).partition("\n")[0]
