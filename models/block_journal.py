"""What happened in a folder of KV blocks, for every process that uses it: one file that is only
appended to, and that each process reads on from where it stopped.

Files that come and go tell each process how full the folder is. Erased texts tell it what its own
memory must not give out any more: it looks before each answer, so it is enough that the line
stands before the erasing process goes on. Looking costs one `stat`. That a file is gone would not
do: a block can be in memory and not on disk, because the disk had no room for it or none is given.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from models.block_key import Place

Kind = Literal["kept", "dropped", "erased"]
_LINE = re.compile(
    r"(?P<kind>kept|dropped|erased) (?P<folder>[0-9a-f]{32}|-) "
    r"(?P<text>[0-9a-f]{64}) (?P<number>\d+)"
)
UNFINISHED = "unfinished-"  # begins the names of files that are being written
_LONGEST = 1 << 20  # bytes; then a new journal is begun


class Entry(NamedTuple):
    """`number` is the size of a kept file in bytes, or the second (Unix time) of an erasure, which
    is of a text in all folders: its `folder` is "-"."""

    kind: Kind
    folder: str
    text: str
    number: int = 0

    @property
    def place(self) -> Place:
        return Place(self.folder, self.text)


class News(NamedTuple):
    """What was written since the last look. `anew`: this is another journal than then, or one that
    cannot be followed: forget what was concluded from the old one; `entries` is all of it."""

    anew: bool
    entries: Sequence[Entry]


class Journal:
    """Its first line is a number drawn by lot, so that one journal is never taken for another.
    Writers hold the folder's lock; readers hold nothing. Raises OSError."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head: bytes | None = b""  # of the journal last read; None: there was none
        self._read = 0  # bytes
        self._stamp: tuple[int, int, int] | None = (0, 0, 0)

    def news(self) -> News:
        stamp = self._now()
        if stamp == self._stamp:
            return News(False, ())
        if stamp is None:
            self._head, self._read, self._stamp = None, 0, None
            return News(True, ())
        with self._path.open("rb") as file:
            head = file.readline()
            anew = head != self._head or stamp[1] < self._read
            start = len(head) if anew else self._read
            file.seek(start)
            lines = file.read()
        lines = lines[: lines.rfind(b"\n") + 1]
        entries, sound = _parsed(lines)
        self._head, self._read, self._stamp = head, start + len(lines), stamp
        return News(anew or not sound, entries)

    def name(self) -> str:
        """What tells this journal from every other; "" while there is none."""
        try:
            with self._path.open("rb") as file:
                return file.readline().decode("ascii", "replace").strip()
        except FileNotFoundError:
            return ""

    def all(self) -> list[Entry]:
        """Every entry; held."""
        with self._path.open("rb") as file:
            file.readline()
            return _parsed(file.read())[0]

    def begin(self, entries: Iterable[Entry] = ()) -> None:
        """A new journal; every process starts over."""
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=self._path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(b"attest-kv " + secrets.token_hex(16).encode() + b"\n")
                file.write(_lines(entries))
            os.replace(name, self._path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise

    def append(self, entries: Sequence[Entry]) -> None:
        """One write; a line that a killed writer left unfinished is closed first."""
        if not entries:
            return
        with self._path.open("r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(end - 1)
            torn = file.read(1) != b"\n"
            lines = (b"\n" if torn else b"") + _lines(entries)
            if file.write(lines) != len(lines):
                raise OSError(errno.ENOSPC, "no space left for the journal", str(self._path))

    def full(self) -> bool:
        return self._path.stat().st_size > _LONGEST

    def exists(self) -> bool:
        return self._path.is_file()

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)

    def _now(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_ino, found.st_size, found.st_mtime_ns


def _lines(entries: Iterable[Entry]) -> bytes:
    return "".join(f"{e.kind} {e.folder} {e.text} {e.number}\n" for e in entries).encode()


def _parsed(lines: bytes) -> tuple[list[Entry], bool]:
    """The entries, and whether every line is one: half a line of a killed writer is none."""
    found = [_LINE.fullmatch(line) for line in lines.decode("ascii", "replace").split("\n") if line]
    entries = [
        Entry(each["kind"], each["folder"], each["text"], int(each["number"]))  # type: ignore[arg-type]
        for each in found
        if each is not None
    ]
    return entries, len(entries) == len(found)
