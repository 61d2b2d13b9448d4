"""The files inside an archive or a mail: their names made safe, what is clutter left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from ingestion.limits import MIB, Limits
from rag.domain import Member
from rag.errors import LimitExceeded, UnreadableDocument

_CLUTTER = frozenset(("__MACOSX", "Thumbs.db", "desktop.ini"))
_UNSEEN = re.compile("[\x00-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]+")
_LONGEST = 120  # characters of one part of a name


class Members:
    """Gathers members within the limits on their number and size together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._found: dict[str, bytes] = {}
        self._bytes = 0

    def add(self, name: str, data: bytes) -> None:
        """Raises LimitExceeded. A second file of one name is numbered."""
        self.admit(name, len(data))
        self._found[self._free(name)] = data
        self._bytes += len(data)

    def admit(self, name: str, size: int) -> None:
        """Raise LimitExceeded when a file of `size` bytes would be too much, before it is read."""
        limits = self._limits
        if len(self._found) >= limits.archived_files:
            raise LimitExceeded(
                f"the file holds more than {limits.archived_files:,} files; split it, or raise "
                "max_archived_files"
            )
        if size > limits.file_bytes:
            raise LimitExceeded(
                f"{name[:120]!r} has {size // MIB} MiB; at most {limits.file_bytes // MIB} are "
                "taken (max_upload_bytes)"
            )
        if self._bytes + size > limits.archived_bytes:
            raise LimitExceeded(
                f"the file unpacks to more than {limits.archived_bytes // MIB} MiB; split it, or "
                "raise max_archived_bytes"
            )

    def room(self, most: int) -> int:
        """How many bytes the next file may have."""
        return max(min(most, self._limits.archived_bytes - self._bytes), 0)

    def all(self) -> tuple[Member, ...]:
        return tuple(Member(name, data) for name, data in self._found.items())

    def _free(self, name: str) -> str:
        if name not in self._found:
            return name
        path = PurePosixPath(name)
        number = 2
        while True:
            numbered = str(path.with_name(f"{path.stem} ({number}){path.suffix}"))
            if numbered not in self._found:
                return numbered
            number += 1


def safe_path(name: str) -> str:
    """A member's path inside its archive, relative and with forward slashes; "" for clutter that
    file managers leave, and for hidden files. Raises UnreadableDocument for a path with '..'."""
    parts = [_part(part) for part in name.replace("\\", "/").split("/")]
    parts = [part for part in parts if part not in ("", ".")]
    if ".." in parts:
        raise UnreadableDocument(
            f"the archive holds a file with an unsafe name: {name[:80]!a}; pack it anew"
        )
    hidden = any(part.startswith(".") or part in _CLUTTER for part in parts)
    return "" if hidden else "/".join(parts)


def file_name(name: str, otherwise: str) -> str:
    """The name of an attachment as one part of a path."""
    last = _part(re.sub(r"[/\\]+", " ", name)).lstrip(".")
    return last or otherwise


def listing(names: Iterable[str]) -> str:
    return "\n".join(f"- {name}" for name in names)


def _part(part: str) -> str:
    part = " ".join(_UNSEEN.sub(" ", part).replace(":", "-").split())
    if len(part) <= _LONGEST:
        return part
    suffix = PurePosixPath(part).suffix[:12]
    return part[: _LONGEST - len(suffix)].rstrip() + suffix
