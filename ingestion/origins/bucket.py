"""A bucket, or anything else that fsspec reads, below an address that the operator allows.

Keys and secrets are taken from `source_bucket_options` or, as the protocol's own library does, from
the environment; an address that holds one is refused, as addresses are stored and shown.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from ingestion.origins.patterns import check_count, wanted
from ingestion.origins.place import Content, Entry, Gone, Listing
from rag.domain import Origin, OriginItem
from rag.errors import (
    AddressRefused,
    AttestError,
    BadInput,
    BadSettings,
    LimitExceeded,
    OriginUnavailable,
)
from rag.settings import BUCKET

_TAGS = ("ETag", "etag", "checksum", "md5Hash", "version_id", "generation")
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


class BucketPlace:
    """Raises AddressRefused when the address is below none of `buckets`, BadSettings when the
    protocol's library is not installed."""

    def __init__(
        self,
        origin: Origin,
        buckets: Sequence[str],
        options: Mapping[str, Mapping[str, Any]],
        items: int,
        size: int,
    ) -> None:
        self._origin = origin
        self._address = allowed_bucket(origin.addresses[0], buckets)
        self._items, self._size = items, size
        self._files, self._root = _opened(self._address, options)

    def listing(self) -> Listing:
        try:
            with _Translated(self._address):
                self._files.invalidate_cache()
                found = self._files.find(self._root, detail=True)
        except FileNotFoundError as exc:
            raise OriginUnavailable(f"there is nothing at {self._address} now") from exc
        entries: dict[str, Entry] = {}
        for path, about in found.items():
            key = str(path).removeprefix(self._root).lstrip("/") or str(path).rpartition("/")[2]
            hidden = any(part.startswith(".") for part in key.split("/"))
            if hidden or about.get("islink") or not wanted(self._origin, key):
                continue
            entries[key] = Entry(key, key, _mark(about))
            check_count(len(entries), self._items)
        return Listing(entries)

    def same(self, entry: Entry, item: OriginItem, now: datetime.datetime) -> bool:
        return bool(entry.mark) and entry.mark == item.mark

    def read(self, entry: Entry, before: str) -> Content:
        path = f"{self._root}/{entry.key}"
        size = json.loads(entry.mark)[0] if entry.mark else 0
        if size > self._size:
            raise LimitExceeded(
                f"{entry.key} has {size:,} bytes; at most {self._size:,} are taken "
                "(max_upload_bytes)"
            )
        try:
            with _Translated(f"{self._address}/{entry.key}"), self._files.open(path, "rb") as file:
                return Content(file.read(self._size + 1), entry.mark)
        except FileNotFoundError as exc:
            raise Gone(entry.key) from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class _Translated:
    """Errors of every protocol's own library come out as ours; a file that is not there stays
    FileNotFoundError."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Exception) and not isinstance(error, AttestError | FileNotFoundError):
            said = str(error).strip().split("\n")[0] or type(error).__name__
            raise OriginUnavailable(f"{self._what} cannot be read: {said}") from error


def allowed_bucket(address: str, buckets: Sequence[str]) -> str:
    """The address without a slash at its end. Raises BadInput, AddressRefused."""
    plain = address.rstrip("/")
    parts = plain.partition("://")[2].split("/")
    if plain.startswith(("http://", "https://")):
        raise BadInput("pages are sources of the kind urls or sitemap, not buckets")
    if not BUCKET.fullmatch(plain) or "::" in plain or any(part in (".", "..") for part in parts):
        raise BadInput(
            f"{address.partition('@')[2] or address!r:.300} is not an address such as "
            "s3://reports/2026, without a name, a key or '..' in it"
        )
    if not any(_below(plain, each) for each in buckets):
        raise AddressRefused(
            f"{address!r:.300} is not below a bucket that documents may be brought from; an "
            "operator lists those in source_buckets"
        )
    return plain


def _opened(address: str, options: Mapping[str, Mapping[str, Any]]) -> tuple[Any, str]:
    import fsspec

    longest = max((each for each in options if _below(address, each)), key=len, default="")
    chosen = dict(options.get(longest, {}))
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(address, use_listings_cache=False, **chosen)
    except ImportError as exc:
        raise BadSettings(
            f"what reads {address.partition(':')[0]} is not installed ({exc}); for S3: "
            "pip install 'attest-rag[s3]'"
        ) from exc
    except ValueError as exc:
        raise BadInput(f"{address!r:.300} cannot be opened: {exc}") from exc
    files, root = found
    return files, root.rstrip("/")


def _below(address: str, prefix: str) -> bool:
    return address == prefix.rstrip("/") or address.startswith(f"{prefix.rstrip('/')}/")


def _mark(about: Mapping[str, Any]) -> str:
    """Size, tag and time, as far as the protocol tells; "" when it tells neither tag nor time."""
    tag = next((str(about[key]) for key in _TAGS if about.get(key)), "")
    time = next((str(about[key]) for key in _TIMES if about.get(key)), "")
    return json.dumps([about.get("size") or 0, tag, time]) if tag or time else ""
