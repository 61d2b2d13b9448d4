"""Outlook's .msg files: the same message as an .eml, in Microsoft's container."""

from __future__ import annotations

import io
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.mail import Body, Letter, written_letter
from ingestion.parse.members import Members, file_name
from rag.domain import Parsed
from rag.errors import UnreadableDocument

MEDIA_TYPE = "application/vnd.ms-outlook"
_BODY = 0x1000  # property ids of [MS-OXPROPS]
_INLINE = 0x3712  # an attachment's content id


def parse_msg(data: bytes, limits: Limits) -> Parsed:
    """Parse a message. Raises UnreadableDocument when it is damaged, EmptyDocument,
    LimitExceeded."""
    message = _open(data)
    letter, members = Letter(), Members(limits)
    try:
        headers = message.message_headers
        sent = message.sent_date
        letter.subject = message.subject or ""
        letter.headers["From"] = message.sender or headers.get("From", "")
        to = [
            f"{each.name} <{each.email_address}>" if each.name else each.email_address
            for each in message.recipients
        ]
        letter.headers["To"] = ", ".join(filter(None, to)) or headers.get("To", "")
        letter.headers["Cc"] = headers.get("Cc", "")
        letter.headers["Date"] = sent.isoformat(" ", "minutes") if sent else headers.get("Date", "")
        letter.bodies.append(Body(message.body or "", message.html_body or ""))
        for number, each in enumerate(message.attachments, 1):
            content = each.file_bytes
            if content:
                members.add(file_name(each.file_name or "", f"attachment-{number}"), content)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as exc:
        raise _damaged(exc) from exc
    return written_letter(letter, members, MEDIA_TYPE, limits)


def _open(data: bytes) -> Any:
    import oxmsg

    try:
        return oxmsg.Message.load(io.BytesIO(data))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OSError) as exc:
        raise _damaged(exc) from exc


def _damaged(exc: Exception) -> UnreadableDocument:
    return UnreadableDocument(
        f"the message is damaged ({type(exc).__name__}: {str(exc)[:120]}); save it as .eml or PDF"
    )
