"""Many messages in one file: a mailbox (mbox, RFC 4155), and the files that Outlook packs into
winmail.dat (TNEF, [MS-OXTNEF]). Each becomes a document of its own."""

from __future__ import annotations

import email
import email.policy
import re
import struct
from collections.abc import Iterator

from ingestion.limits import Limits
from ingestion.parse.members import Members, file_name, listing
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind, Parsed
from rag.errors import EmptyDocument, UnreadableDocument

TNEF_MARK = struct.pack("<I", 0x223E9F78)
_FROM = re.compile(rb"(?:\A|\r?\n\r?\n)From [^\r\n]{1,200}\d{4}[^\r\n]{0,20}\r?\n(?=[A-Za-z-]+:)")
_QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
_ATTACHMENT = 2  # level of an attribute
_BODY, _TITLE, _DATA = 0x800C, 0x8010, 0x800F
_HEAD = struct.Struct("<BHHI")  # level, id, type, length; a checksum of two bytes follows the data


def is_mailbox(data: bytes) -> bool:
    """Whether the bytes hold more than one message; a single one is read as it is."""
    return data.startswith(b"From ") and len(_FROM.findall(data)) > 1


def parse_mailbox(data: bytes, limits: Limits) -> Parsed:
    """The subjects as text, and the messages. Raises LimitExceeded."""
    members = Members(limits)
    starts = [(found.start(), found.end()) for found in _FROM.finditer(data)]
    ends = [start for start, _ in starts[1:]] + [len(data)]
    for (_, start), end in zip(starts, ends, strict=True):
        message = _QUOTED_FROM.sub(rb"\1", data[start:end])
        headers = email.message_from_bytes(message[:65_536], policy=email.policy.compat32)
        subject = squeeze(str(headers.get("subject", "")))
        members.add(file_name(f"{subject}.eml" if subject else "", "message.eml"), message)
    return _packed("application/mbox", members, limits)


def parse_tnef(data: bytes, limits: Limits) -> Parsed:
    """The names of the files inside as text, and the files. Raises UnreadableDocument when it is
    damaged, LimitExceeded, EmptyDocument."""
    members = Members(limits)
    title = ""
    for level, id, body in _attributes(data):
        if id == _BODY and body.strip(b"\0 "):
            members.add("message.txt", body.rstrip(b"\0"))
        elif level == _ATTACHMENT and id == _TITLE:
            title = body.rstrip(b"\0").decode("cp1252", "replace")
        elif level == _ATTACHMENT and id == _DATA and body:
            members.add(file_name(title, f"attachment-{len(members.all()) + 1}"), body)
            title = ""
    return _packed("application/vnd.ms-tnef", members, limits)


def _attributes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 6  # past the mark and a key
    while at + _HEAD.size <= len(data):
        level, id, _, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + length > len(data):
            raise UnreadableDocument(
                "the winmail.dat is damaged or cut; have the message sent anew, as HTML"
            )
        yield level, id, data[at : at + length]
        at += length + 2


def _packed(media_type: str, members: Members, limits: Limits) -> Parsed:
    found = members.all()
    if not found:
        raise EmptyDocument("the file holds no messages and no files")
    transcript = Transcript(limits)
    transcript.add(BlockKind.LIST, listing(member.name for member in found))
    return transcript.finish(media_type, members=found)
