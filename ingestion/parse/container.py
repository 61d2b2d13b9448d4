"""Zip containers, looked at before anything is unpacked: what is inside, and is it harmless."""

from __future__ import annotations

import io
import zipfile

from ingestion.limits import MIB, Limits
from ingestion.parse.sniff import READABLE, Family
from rag.errors import EncryptedDocument, LimitExceeded, UnreadableDocument, UnsupportedType

_SMALL = 4 * MIB  # a member this small may be as dense as it likes

_OTHER = (
    ("ppt/", "a PowerPoint presentation (.pptx); save it as PDF"),
    ("xl/", "an Excel workbook (.xlsx); save the sheet as PDF or HTML"),
    ("META-INF/container.xml", "an EPUB book; convert it to PDF or HTML"),
    ("content.xml", "an OpenDocument file; save it as .docx or PDF"),
)


def office_family(data: bytes) -> Family:
    """DOCX, by its members. Raises UnsupportedType for other archives, UnreadableDocument for a
    damaged one."""
    names = {info.filename for info in _members(data)}
    if "word/document.xml" in names or (
        "[Content_Types].xml" in names and any(name.startswith("word/") for name in names)
    ):
        return Family.DOCX
    for part, what in _OTHER:
        if any(name.startswith(part) for name in names):
            raise UnsupportedType(f"the file is {what}")
    raise UnsupportedType(f"the file is a zip archive; upload the files in it. {READABLE}")


def check_container(data: bytes, limits: Limits) -> None:
    """Raise LimitExceeded for what would unpack to too much, UnreadableDocument for unsafe member
    names, EncryptedDocument for encrypted members."""
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
        name = member.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or ":" in name.split("/")[0]:
            raise UnreadableDocument(f"the file holds a part with an unsafe name: {name[:80]!r}")
        if member.flag_bits & 0x1:
            raise EncryptedDocument("the file is protected by a password; save it without one")
        dense = member.file_size > limits.expansion * max(member.compress_size, 1)
        if dense and member.file_size > _SMALL:
            raise LimitExceeded(
                f"a part of the file unpacks to {member.file_size // MIB} MiB from "
                f"{member.compress_size:,} bytes, which no ordinary document does"
            )


def _members(data: bytes) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as exc:
        raise UnreadableDocument(
            f"the file is a damaged or cut archive ({exc}); upload it again from the original"
        ) from exc
