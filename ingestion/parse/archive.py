"""Archives (zip, tar, gzip, bzip2, xz): what is inside becomes documents of their own.

An archive in an archive is walked in the same go, so that the limits on number, size and depth hold
for all of it together. Nothing is written to disk, links are not followed.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import IO, cast

from ingestion.limits import MIB, Limits
from ingestion.parse.container import check_container, is_zip, office_family
from ingestion.parse.decode import likeliest_encoding
from ingestion.parse.members import Members, listing, safe_path
from ingestion.parse.transcript import Transcript
from rag.domain import BlockKind, Parsed
from rag.errors import EmptyDocument, EncryptedDocument, LimitExceeded, UnreadableDocument

MEDIA_TYPE, TAR_MEDIA_TYPE = "application/zip", "application/x-tar"
_PACKED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": lambda file: cast(IO[bytes], gzip.GzipFile(fileobj=file)),
    b"BZh": lambda file: cast(IO[bytes], bz2.BZ2File(file)),
    b"\xfd7zXZ\x00": lambda file: cast(IO[bytes], lzma.LZMAFile(file)),  # noqa: SIM115 - its user closes it
}
_TAR_MARK = slice(257, 262)
_PIECE = MIB
_DAMAGED = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, OSError,
    NotImplementedError, ValueError,
)  # fmt: skip


def is_archive(data: bytes) -> bool:
    """Whether the bytes are an archive's. Office files, which are zips too, are none, and what is
    damaged is left to whoever opens it."""
    if is_zip(data):
        try:
            return office_family(data) is None
        except UnreadableDocument:
            return False
    return is_tar(data) or _packing(data) != b""


def is_tar(data: bytes) -> bool:
    if data[_TAR_MARK] == b"ustar":
        return True
    if len(data) < 1024 or not data[: _TAR_MARK.start].rstrip(b"\0"):
        return False
    try:  # one from before the mark, told by the sum over its first header
        tarfile.TarInfo.frombuf(data[:512], "latin-1", "replace")
    except tarfile.HeaderError:
        return False
    return True


def parse_archive(data: bytes, limits: Limits, name: str = "") -> Parsed:
    """The list of what is inside as text, and the files themselves; `name` tells what a packed
    file is called that does not say it. Raises UnreadableDocument when
    it is damaged, EncryptedDocument, LimitExceeded, EmptyDocument."""
    members = Members(limits)
    _walk(data, "", members, limits, 1, PurePosixPath(name).name)
    found = members.all()
    if not found:
        raise EmptyDocument("the archive holds no files")
    transcript = Transcript(limits)
    transcript.add(BlockKind.LIST, listing(member.name for member in found))
    return transcript.finish(MEDIA_TYPE if is_zip(data) else TAR_MEDIA_TYPE, members=found)


def _walk(
    data: bytes, prefix: str, members: Members, limits: Limits, depth: int, name: str
) -> None:
    if depth > limits.archive_depth:
        raise LimitExceeded(
            f"archives are nested more than {limits.archive_depth} deep at {prefix[:120]!r}; "
            "unpack them, or raise max_archive_depth"
        )
    try:
        for path, inner in _files(data, name, members, limits):
            whole = f"{prefix}{path}"
            if is_archive(inner):
                _walk(inner, f"{whole}/", members, limits, depth + 1, PurePosixPath(path).name)
            else:
                members.add(whole, inner)
    except (UnreadableDocument, MemoryError):
        raise
    except RuntimeError as exc:  # how zipfile says that a member is encrypted
        raise EncryptedDocument(
            f"the archive is protected by a password ({str(exc)[:120]}); pack it without one"
        ) from exc
    except _DAMAGED as exc:
        raise UnreadableDocument(
            f"the archive is damaged or cut ({str(exc)[:120]}); pack it anew"
        ) from exc


def _files(data: bytes, name: str, members: Members, limits: Limits) -> Iterator[tuple[str, bytes]]:
    if is_zip(data):
        yield from _zipped(data, members, limits)
    elif is_tar(data):
        yield from _tarred(data, members)
    else:
        yield from _unpacked(data, name, members, limits)


def _zipped(data: bytes, members: Members, limits: Limits) -> Iterator[tuple[str, bytes]]:
    check_container(data, limits, names=False)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        encoding = _names_encoding(archive.infolist())
        for info in archive.infolist():
            link = (info.external_attr >> 16) & 0o170000 == 0o120000
            path = "" if info.is_dir() or link else safe_path(_zip_name(info, encoding))
            if path:
                members.admit(path, info.file_size)
                with archive.open(info) as source:
                    yield path, _read(source, path, members, info.file_size)


def _names_encoding(members: list[zipfile.ZipInfo]) -> str:
    """What names are written in that are not said to be UTF-8: packers write UTF-8 without saying
    so, and those of Windows in the encoding of their country."""
    unsaid = (info.filename for info in members if not info.flag_bits & 0x800)
    raw = b"\n".join(name.encode("cp437", "replace") for name in unsaid)
    try:
        raw.decode("utf-8")
    except UnicodeError:
        return likeliest_encoding(raw) or "cp437"
    return "utf-8"


def _zip_name(info: zipfile.ZipInfo, encoding: str) -> str:
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode(encoding)
    except UnicodeError:
        return info.filename


def _tarred(data: bytes, members: Members) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for info in archive:
            path = safe_path(info.name) if info.isreg() else ""
            source = archive.extractfile(info) if path else None
            if source is not None:
                members.admit(path, info.size)
                yield path, _read(source, path, members, info.size)


def _unpacked(
    data: bytes, outer: str, members: Members, limits: Limits
) -> Iterator[tuple[str, bytes]]:
    """The one file that gzip, bzip2 or xz hold; a tar in it is opened at once."""
    opener = _PACKED[_packing(data)]
    most = min(limits.archived_bytes, limits.expansion * len(data) + 4 * MIB)
    name = _packed_name(data, outer)
    with opener(io.BytesIO(data)) as source:
        inner = _read(source, name, members, members.room(most))
    if is_tar(inner):
        yield from _tarred(inner, members)
    else:
        yield name, inner


def _packed_name(data: bytes, outer: str) -> str:
    """The name gzip keeps of what it packed, else that of the outer file without its ending."""
    flags = data[3] if data.startswith(b"\x1f\x8b") and len(data) > 10 else 0
    if flags & 0x08 and not flags & 0x04:
        held = safe_path(data[10 : data.index(b"\0", 10)].decode("latin-1"))
        if held:
            return PurePosixPath(held).name
    path = PurePosixPath(outer)
    stem = safe_path(path.stem) if path.suffix.lower() in (".gz", ".bz2", ".xz") else ""
    return stem or "contents"


def _read(source: IO[bytes], name: str, members: Members, most: int) -> bytes:
    """All of `source`, in pieces, so that a false size costs nothing. Raises LimitExceeded."""
    pieces = []
    size = 0
    while piece := source.read(_PIECE):
        size += len(piece)
        if size > most:
            raise LimitExceeded(
                f"{name[:120]!r} unpacks to more than {most // MIB} MiB, which is more than is "
                "allowed or than the archive says"
            )
        members.admit(name, size)
        pieces.append(piece)
    return b"".join(pieces)


def _packing(data: bytes) -> bytes:
    return next((mark for mark in _PACKED if data.startswith(mark)), b"")
