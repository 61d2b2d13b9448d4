"""Mail messages: who, when, about what, the words; attachments become documents of their own."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.html import add_html
from ingestion.parse.members import Members, file_name, listing
from ingestion.parse.text import add_text
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind, Parsed
from rag.errors import UnreadableDocument, UnsupportedType

_DEEPEST = 30  # parts in parts
_SIGNATURES = ("application/pkcs7-signature", "application/x-pkcs7-signature",
               "application/pgp-signature")  # fmt: skip
_EXTENSIONS = {"text/plain": ".txt", "text/html": ".html", "text/calendar": ".ics",
               "message/rfc822": ".eml", "application/pdf": ".pdf"}  # fmt: skip


@dataclass(slots=True)
class Letter:
    """What any kind of message holds. `headers` are shown in their order, blank ones left out."""

    subject: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    plain: str = ""
    html: str = ""


def parse_eml(data: bytes, limits: Limits) -> Parsed:
    """Parse an Internet message. Raises UnreadableDocument, EmptyDocument, LimitExceeded."""
    message = email.message_from_bytes(_without_wide(data), policy=email.policy.default)
    letter, members = Letter(), Members(limits)
    letter.subject = _header(message, "subject")
    for name in ("From", "To", "Cc", "Date"):
        letter.headers[name] = _header(message, name)
    for part in _parts(message, 0):
        _take(part, letter, members)
    return written_letter(letter, members, "message/rfc822", limits)


def written_letter(letter: Letter, members: Members, media_type: str, limits: Limits) -> Parsed:
    """The message as text: subject, headers, words, then the names of what is attached."""
    transcript = Transcript(limits)
    transcript.add(BlockKind.HEADING, squeeze(letter.subject), level=1)
    lines = [f"{name}: {squeeze(value)}" for name, value in letter.headers.items() if value]
    transcript.add(BlockKind.PARAGRAPH, "\n".join(lines))
    if letter.html and (not letter.plain.strip() or "<table" in letter.html.lower()):
        add_html(transcript, letter.html)
    else:
        add_text(transcript, letter.plain)
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


def _parts(message: Message, depth: int) -> Iterator[Message]:
    """The leaves in their order; of alternatives all, since attachments hide among them. A message
    inside this one is a leaf."""
    inside = message.get_payload() if message.is_multipart() else None
    if not isinstance(inside, list) or message.get_content_type() == "message/rfc822":
        yield message
        return
    if depth >= _DEEPEST:
        raise UnreadableDocument(f"the message is nested more than {_DEEPEST} deep")
    for part in inside:
        if isinstance(part, Message):
            yield from _parts(part, depth + 1)


def _take(part: Message, letter: Letter, members: Members) -> None:
    kind = part.get_content_type()
    name = _file_name(part)
    attached = part.get_content_disposition() == "attachment" or bool(name)
    if kind == "text/plain" and not attached:
        letter.plain = f"{letter.plain}\n\n{_text(part)}" if letter.plain else _text(part)
    elif kind == "text/html" and not attached:
        letter.html += _text(part)
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
    charset = {"iso-8859-8-i": "iso-8859-8", "iso-8859-6-i": "iso-8859-6"}.get(charset, charset)
    try:
        return decode(data, charset or None)
    except UnsupportedType:
        return data.decode("utf-8", "replace")


def _bytes_of(message: Message) -> bytes:
    try:
        return message.as_bytes()
    except (UnicodeError, LookupError, ValueError, KeyError, AttributeError):
        return message.as_string(policy=email.policy.compat32).encode("utf-8", "replace")
