"""Content-addressed bytes in a folder: <aa>/<bb>/<sha256>, each file written once and whole."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rag.errors import AttestError, Corrupt, DiskFull, NotFound, StoreUnavailable

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNFINISHED = "unfinished"


class FolderBlobs:
    """`path` is made on the first `put`. Readers see a blob whole or not at all, also after a
    power cut: the bytes are on disk before the name is, and the name before `put` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def put(self, data: bytes) -> str:
        """Raises DiskFull, StoreUnavailable. A damaged blob of these bytes is mended."""
        sha256 = hashlib.sha256(data).hexdigest()
        target = self._file(sha256)
        with _translated(target):
            if _holds(target, sha256):
                os.utime(target)  # as `untouched` sees it
            else:
                self._write(target, data)
        return sha256

    def get(self, sha256: str) -> bytes:
        """Raises NotFound, Corrupt when the bytes are not those that were put."""
        target = self._file(sha256)
        with _translated(target):
            try:
                data = target.read_bytes()
            except FileNotFoundError as exc:
                raise NotFound(f"there is no blob {sha256}") from exc
        if hashlib.sha256(data).hexdigest() != sha256:
            raise Corrupt(f"blob {sha256} holds other bytes than were stored; restore a backup")
        return data

    def has(self, sha256: str) -> bool:
        if not _SHA256.fullmatch(sha256):
            return False
        target = self._file(sha256)
        with _translated(target):
            return target.is_file()

    def size(self, sha256: str) -> int:
        target = self._file(sha256)
        with _translated(target), suppress(FileNotFoundError):
            return target.stat().st_size
        return 0

    def untouched(self, seconds: float) -> Iterator[str]:
        before = time.time() - seconds
        for sha256 in self.all():
            with suppress(FileNotFoundError):
                if self._file(sha256).stat().st_mtime < before:
                    yield sha256

    def delete(self, sha256: str) -> None:
        target = self._file(sha256)
        with _translated(target):
            target.unlink(missing_ok=True)

    def all(self) -> Iterator[str]:
        """Every stored sha256, in no order."""
        for path in self._path.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            if _SHA256.fullmatch(path.name):
                yield path.name

    def discard_unfinished(self, older_than: float = 86_400) -> int:
        """Remove what writers left that were killed, once it is `older_than` seconds old; returns
        how many."""
        removed = 0
        for path in (self._path / _UNFINISHED).glob("*"):
            with _translated(path), suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > older_than:
                    path.unlink()
                    removed += 1
        return removed

    def _file(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise NotFound(f"{sha256!r:.100} is not the sha256 of a blob")
        return self._path / sha256[:2] / sha256[2:4] / sha256

    def _write(self, target: Path, data: bytes) -> None:
        unfinished = self._path / _UNFINISHED
        unfinished.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=unfinished)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, target)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(name)
            raise
        for folder in (target.parent, target.parent.parent, self._path):
            _sync_folder(folder)


def _holds(path: Path, sha256: str) -> bool:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except AttestError:
        raise
    except OSError as exc:
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left for blobs at {path.parent}; free some") from exc
        raise StoreUnavailable(f"blob {path} cannot be used: {exc}") from exc
