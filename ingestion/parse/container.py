"""Zip containers, looked at before anything is unpacked: what is inside, and is it harmless."""

from __future__ import annotations

import io
import zipfile
import zlib

from ingestion.limits import MIB, Limits
from ingestion.parse.family import Family
from rag.errors import EncryptedDocument, LimitExceeded, UnreadableDocument, UnsupportedType

_SMALL = 4 * MIB  # a member this small may be as dense as it likes
_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
_OFFICE = {"word/": Family.DOCX, "ppt/": Family.PPTX, "xl/": Family.SPREADSHEET}
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument."


def is_zip(data: bytes) -> bool:
    return data.startswith(_MARKS)


def office_family(data: bytes) -> Family | None:
    """The format that the container's parts make up, None for an archive of files. Raises
    UnreadableDocument for a damaged one, UnsupportedType for an office format nobody reads."""
    names = [info.filename for info in _members(data)]
    if "mimetype" in names:
        kind = member(data, "mimetype").decode("ascii", "replace").strip()
        if kind == "application/epub+zip":
            return Family.EPUB
        if kind.startswith(_OPEN_DOCUMENT):
            return _open_document(kind.removeprefix(_OPEN_DOCUMENT))
    if "META-INF/container.xml" in names and any(name.endswith(".opf") for name in names):
        return Family.EPUB
    if "content.xml" in names and "META-INF/manifest.xml" in names:
        return Family.ODT
    if "[Content_Types].xml" in names or "word/document.xml" in names:
        for folder, family in _OFFICE.items():
            if any(name.startswith(folder) for name in names):
                return family
    return None


def _open_document(kind: str) -> Family:
    if kind.startswith("spreadsheet"):
        return Family.SPREADSHEET
    if kind.startswith(("text", "presentation")):
        return Family.ODT
    raise UnsupportedType(f"the file is an OpenDocument {kind}; save it as PDF")


def check_container(data: bytes, limits: Limits, *, names: bool = True) -> None:
    """Raise LimitExceeded for what would unpack to too much, UnreadableDocument for unsafe member
    names (unless `names` is off), EncryptedDocument for encrypted members."""
    members = _members(data)
    if len(members) > limits.members:
        raise LimitExceeded(
            f"the file holds {len(members):,} parts; {limits.members:,} are allowed"
        )
    total = sum(member.file_size for member in members)
    if total > limits.expanded_bytes:
        raise LimitExceeded(
            f"the file unpacks to {total // MIB} MiB; {limits.expanded_bytes // MIB} are allowed"
        )
    for member in members:
        if names:
            _check_name(member.filename)
        if member.flag_bits & 0x1:
            raise EncryptedDocument("the file is protected by a password; save it without one")
        dense = member.file_size > limits.expansion * max(member.compress_size, 1)
        if dense and member.file_size > _SMALL:
            raise LimitExceeded(
                f"a part of the file unpacks to {member.file_size // MIB} MiB from "
                f"{member.compress_size:,} bytes, which no ordinary document does"
            )


def member(data: bytes, name: str, missing: bytes | None = None) -> bytes:
    """The bytes of one part, `missing` where there is none. Raises UnreadableDocument. Call
    `check_container` first where more than a few bytes are expected."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.read(name)
    except KeyError as exc:
        if missing is not None:
            return missing
        raise UnreadableDocument(
            f"the file is damaged: its part {name!r} is missing; save it again"
        ) from exc
    except RuntimeError as exc:
        raise EncryptedDocument("the file is protected by a password; save it without one") from exc
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError) as exc:
        raise _damaged(exc) from exc


def _check_name(filename: str) -> None:
    name = filename.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
        raise UnreadableDocument(f"the file holds a part with an unsafe name: {name[:80]!r}")


def _members(data: bytes) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as exc:
        raise _damaged(exc) from exc


def _damaged(exc: Exception) -> UnreadableDocument:
    return UnreadableDocument(
        f"the file is a damaged or cut archive ({str(exc)[:120]}); upload it again from the "
        "original"
    )
