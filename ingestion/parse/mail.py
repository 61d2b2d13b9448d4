"""Mail messages: who, when, about what, the words; attachments become documents of their own."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.html import add_html, inline_html_text
from ingestion.parse.members import Members, file_name, listing
from ingestion.parse.text import add_text
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind, Parsed
from rag.errors import UnreadableDocument, UnsupportedType

_RICHER = 1.5  # how much more the HTML says where the plain words are not all
_DEEPEST = 30  # parts in parts
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature",
               "application/pgp-signature")  # fmt: skip
_EXTENSIONS = {"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics",
               "message/rfc822": ".eml", "application/pdf": ".pdf"}  # fmt: skip


@dataclass(slots=True)
class Body:
    """Words of a message, and the same words as HTML where both were sent."""

    plain: str = ""
    html: str = ""

    def is_better_as_html(self) -> bool:
        """Where there is no other, for its tables, and where the plain words only say that a
        reader of HTML is needed."""
        if not self.html or not self.plain.strip():
            return bool(self.html)
        return "<table" in self.html.lower() or (
            len(inline_html_text(self.html)) > _RICHER * len(squeeze(self.plain))
        )


@dataclass(slots=True)
class Letter:
    """What any kind of message holds. `headers` are shown in their order, blank ones left out."""

    subject: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[Body] = field(default_factory=list)


def parse_eml(data: bytes, limits: Limits) -> Parsed:
    """Parse an Internet message. Raises UnreadableDocument, EmptyDocument, LimitExceeded."""
    message = email.message_from_bytes(_without_wide(data), policy=email.policy.default)
    letter, members = Letter(), Members(limits)
    letter.subject = _header(message, "subject")
    for name in ("From", "To", "Cc", "Date"):
        letter.headers[name] = _header(message, name)
    for group in _parts(message, 0):
        body = Body()
        letter.bodies.append(body)
        for part in group:
            _take(part, body, members)
    return written_letter(letter, members, "message/rfc822", limits)


def written_letter(letter: Letter, members: Members, media_type: str, limits: Limits) -> Parsed:
    """The message as text: subject, headers, words, then the names of what is attached."""
    transcript = Transcript(limits)
    transcript.add(BlockKind.HEADING, squeeze(letter.subject), level=1)
    lines = [f"{name}: {squeeze(value)}" for name, value in letter.headers.items() if value]
    transcript.add(BlockKind.PARAGRAPH, "\n".join(lines))
    for body in letter.bodies:
        if body.is_better_as_html():
            add_html(transcript, body.html)
        else:
            add_text(transcript, body.plain)
    found = members.all()
    if found:
        transcript.add(BlockKind.LIST, "Attached:\n" + listing(member.name for member in found))
    told = {"from": letter.headers.get("From", ""), "date": letter.headers.get("Date", "")}
    return transcript.finish(
        media_type,
        title=letter.subject,
        metadata={name: value for name, value in told.items() if value},
        members=found,
        nothing="the message is empty",
    )


def _without_wide(data: bytes) -> bytes:
    """A message that was saved as UTF-16 as UTF-8, which the parser of messages can read."""
    if b"\0" not in data[:1024]:
        return data
    try:
        return decode(data).encode("utf-8", "replace")
    except UnsupportedType as exc:
        raise UnreadableDocument("the message is damaged: it holds binary data") from exc


def _header(message: Message, name: str) -> str:
    try:
        value = message.get(name)
    except (ValueError, IndexError, TypeError, AttributeError, LookupError):
        raw = [each for key, each in message.raw_items() if key.lower() == name.lower()]
        value = raw[0] if raw else ""
    return "" if value is None else str(value)


def _parts(message: Message, depth: int) -> Iterator[list[Message]]:
    """The leaves in their order, each alone but for alternatives, which stand together: all of
    them, since attachments hide among them. A message inside this one is a leaf."""
    inside = message.get_payload() if message.is_multipart() else None
    if not isinstance(inside, list) or message.get_content_type() == "message/rfc822":
        yield [message]
        return
    if depth >= _DEEPEST:
        raise UnreadableDocument(f"the message is nested more than {_DEEPEST} deep")
    parts = (part for part in inside if isinstance(part, Message))
    groups = [group for part in parts for group in _parts(part, depth + 1)]
    if message.get_content_type() == "multipart/alternative":
        yield [part for group in groups for part in group]
    else:
        yield from groups


def _take(part: Message, body: Body, members: Members) -> None:
    kind = part.get_content_type()
    name = _file_name(part)
    attached = part.get_content_disposition() == "attachment" or bool(name)
    unparted = part.get_content_maintype() == "multipart"  # its boundary is missing
    if (kind == "text/plain" or unparted) and not attached:
        body.plain = f"{body.plain}\n\n{_text(part)}" if body.plain else _text(part)
    elif kind == "text/html" and not attached:
        body.html += _text(part)
    elif kind == "message/rfc822":
        inside = part.get_payload()
        for inner in inside if isinstance(inside, list) else ():
            if not isinstance(inner, Message):
                continue
            subject = squeeze(_header(inner, "subject"))
            members.add(file_name(name or f"{subject}.eml", "message.eml"), _bytes_of(inner))
    elif kind in _SIGNATURES or _is_inline(part, kind):
        return
    else:
        data = part.get_payload(decode=True)
        if isinstance(data, bytes) and data:
            number = len(members.all()) + 1
            otherwise = f"attachment-{number}{_EXTENSIONS.get(kind, '')}"
            members.add(file_name(name, otherwise), data)


def _is_inline(part: Message, kind: str) -> bool:
    """A picture that the message shows between its words: a logo, a smiley."""
    return (
        kind.startswith("image/")
        and part.get("content-id") is not None
        and part.get_content_disposition() != "attachment"
    )


def _file_name(part: Message) -> str:
    try:
        return part.get_filename() or ""
    except (ValueError, LookupError, AttributeError, TypeError, IndexError):
        return ""


def _text(part: Message) -> str:
    """The words of a text part, by the encoding it names or else by what it looks like."""
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    if not data.strip():
        return ""
    charset = part.get_content_charset() or ""
    try:
        return decode(data, charset or None)
    except UnsupportedType:
        return data.decode("utf-8", "replace")


def _bytes_of(message: Message) -> bytes:
    try:
        return message.as_bytes()
    except (UnicodeError, LookupError, ValueError, KeyError, AttributeError):
        return message.as_string(policy=email.policy.compat32).encode("utf-8", "replace")
