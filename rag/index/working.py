"""A process's own folder of postings: a snapshot's segments, linked, and what it adds to them.

Tantivy never changes a segment, it writes new ones; so the links cost no bytes and the snapshot
stays as it is. The folder goes with its owner; those of killed processes are swept.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import DiskFull

_PREFIX = "working-"
_LOCKS = (".tantivy-writer.lock", ".tantivy-meta.lock")


class Working:
    """`path` lives as long as this object."""

    def __init__(self, folder: Path, words: Path) -> None:
        """Raises DiskFull."""
        sweep(folder)
        try:
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=folder))
            lock = FileLock(_lock(self.path))
            lock.acquire(timeout=0)
            for file in words.iterdir():
                if file.name not in _LOCKS:
                    _link(file, self.path / file.name)
        except OSError as exc:
            raise DiskFull(f"no folder for the index can be made in {folder}: {exc}") from exc
        self._end = weakref.finalize(self, _remove, self.path, lock)

    def close(self) -> None:
        self._end()


def sweep(folder: Path, *, used: bool = False, keep: Path | None = None) -> None:
    """Remove the folders that nobody uses any more; with `used` those of others at work too, all
    but `keep`: what they have open they keep until they close it, but no file names it."""
    for path in folder.glob(f"{_PREFIX}*/"):
        if path == keep:
            continue
        lock = FileLock(_lock(path))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if used:
                shutil.rmtree(path, ignore_errors=True)
            continue
        _remove(path, lock)


def _lock(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # a file system without links
        shutil.copyfile(file, to)


def _remove(path: Path, lock: FileLock) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.release()
    _lock(path).unlink(missing_ok=True)
