"""A folder below one of the roots that the operator allows.

Links that lead out of the folder are not followed, hidden files and the lock files of office
programs are left out. A file is looked at again only when its size or one of its times changed;
one that was written to a moment ago is waited for, so that no half of it is taken.
"""

from __future__ import annotations

import datetime
import os
import re
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ingestion.origins.patterns import check_count, wanted
from ingestion.origins.place import Content, Entry, Gone, Listing
from rag.domain import Origin, OriginItem
from rag.errors import AddressRefused, LimitExceeded, OriginUnavailable, UnreadableDocument

_NOT_UTF8 = re.compile("[\udc80-\udcff]")  # PEP 383
SETTLED = 1.0  # seconds without a write after which a file counts as whole


class FolderPlace:
    """Raises AddressRefused when the folder is below none of `roots`."""

    def __init__(self, origin: Origin, roots: Sequence[Path], items: int, size: int) -> None:
        self._origin = origin
        self._folder = allowed_folder(origin.addresses[0], roots)
        self._items, self._size = items, size
        self._paths: dict[str, str] = {}

    def listing(self) -> Listing:
        if not self._folder.is_dir():
            raise OriginUnavailable(f"there is no folder {self._folder} now; is it mounted?")
        unread: list[str] = []
        found: dict[str, os.stat_result] = {}
        for path in self._files(unread):
            if wanted(self._origin, path) and (status := self._status(path)) is not None:
                found[path] = status
                check_count(len(found), self._items)
        later = self._settle(found)
        self._paths = {_key(path): path for path in found}
        entries = {key: Entry(key, key, _mark(found[path])) for key, path in self._paths.items()}
        return Listing(entries, frozenset(map(_key, later)), unread[0] if unread else "")

    def same(self, entry: Entry, item: OriginItem, now: datetime.datetime) -> bool:
        return entry.mark == item.mark

    def read(self, entry: Entry, before: str) -> Content:
        try:
            handle = self._open(self._paths[entry.key])
        except (FileNotFoundError, NotADirectoryError, ValueError, RuntimeError) as exc:
            raise Gone(entry.key) from exc
        except PermissionError as exc:  # allowing it changes the mark
            raise UnreadableDocument(f"{entry.key} may not be read by this process") from exc
        except OSError as exc:
            raise OriginUnavailable(f"{entry.key} cannot be read: {exc.strerror}") from exc
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise Gone(entry.key)
            if status.st_size > self._size:
                raise LimitExceeded(
                    f"{entry.key} has {status.st_size:,} bytes; at most {self._size:,} are taken "
                    "(max_upload_bytes)"
                )
            try:
                return Content(file.read(self._size + 1), _mark(status))
            except OSError as exc:
                raise OriginUnavailable(f"{entry.key} cannot be read: {exc.strerror}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def _files(self, unread: list[str]) -> Iterator[str]:
        """Relative paths, with what could not be listed in `unread`."""

        def failed(error: OSError) -> None:
            unread.append(f"{error.filename} cannot be listed: {error.strerror}")

        for folder, folders, names in os.walk(self._folder, onerror=failed):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in names:
                if not name.startswith((".", "~$")):
                    yield Path(folder, name).relative_to(self._folder).as_posix()

    def _status(self, path: str) -> os.stat_result | None:
        """None for what is no file, or lies outside, or has just gone."""
        whole = self._folder / path
        try:
            if whole.is_symlink() and not whole.resolve().is_relative_to(self._folder):
                return None
            status = whole.stat()
        except (OSError, RuntimeError):  # gone, or links that lead in a circle
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _settle(self, found: dict[str, os.stat_result]) -> list[str]:
        """Wait once for what is being written; leave out, and return, what still is."""
        fresh = [path for path, status in found.items() if 0 <= _age(status) < SETTLED]
        if not fresh:
            return []
        time.sleep(SETTLED)
        unsettled = []
        for path in fresh:
            status = self._status(path)
            if status is None:
                del found[path]
            elif _mark(status) == _mark(found[path]):
                found[path] = status
            else:
                del found[path]
                unsettled.append(path)
        return unsettled

    def _open(self, path: str) -> int:
        """A handle to the file, opened part by part below the folder, so that a link that was put
        in place meanwhile leads nowhere."""
        parts = (self._folder / path).resolve().relative_to(self._folder).parts
        inside = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                outer, inside = inside, os.open(part, flags, dir_fd=inside)
                os.close(outer)
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            return os.open(parts[-1], flags, dir_fd=inside)
        finally:
            os.close(inside)


def allowed_folder(path: str, roots: Sequence[Path]) -> Path:
    """The folder, with links resolved. Raises AddressRefused."""
    folder = Path(path).resolve()
    if not Path(path).is_absolute() or not any(
        folder.is_relative_to(root.resolve()) for root in roots
    ):
        raise AddressRefused(
            f"{path!r:.300} is not below a folder that documents may be brought from; an operator "
            "lists those in source_roots"
        )
    return folder


def _key(path: str) -> str:
    """The path as text that can be stored: a name need not be UTF-8, what is not becomes %E9."""
    return _NOT_UTF8.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", path)


def _mark(status: os.stat_result) -> str:
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _age(status: os.stat_result) -> float:
    return time.time() - status.st_mtime
