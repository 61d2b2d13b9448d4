"""What a file is, by its content. Its name only decides between kinds of text."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePosixPath

from ingestion.parse.decode import decode
from rag.errors import EmptyDocument, EncryptedDocument, UnreadableDocument, UnsupportedType


class Family(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"
    DOCX = "docx"


READABLE = "Attest reads PDF, DOCX, HTML, Markdown and plain text"
_HTML = re.compile(r"<!doctype\s+html|<(?:html|head|body)[\s>]", re.IGNORECASE)
_HTML_PARTS = re.compile(r"</(?:p|div|h[1-6]|table|ul|ol|a|span|b|i)>", re.IGNORECASE)
_MARKS = (
    re.compile(r"^#{1,6} \S", re.MULTILINE),
    re.compile(r"^ {0,3}[-*+] \S", re.MULTILINE),
    re.compile(r"\[[^\]\n]+\]\([^)\n]+\)"),
    re.compile(r"^(?:```|~~~)", re.MULTILINE),
    re.compile(r"^\|.*\|[ \t]*$", re.MULTILINE),
    re.compile(r"\*\*\S[^*\n]*\*\*"),
)
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OLE = "EncryptedPackage".encode("utf-16-le")
_MAIL = re.compile(r"\A(?:[\w-]+:.*\n(?:[ \t].*\n)*)*?content-type:\s*multipart/", re.IGNORECASE)
_KNOWN_BY_NAME = {
    ".md": Family.MARKDOWN,
    ".markdown": Family.MARKDOWN,
    ".txt": Family.TEXT,
    ".text": Family.TEXT,
    ".log": Family.TEXT,
    ".csv": Family.TEXT,
    ".rst": Family.TEXT,
}


def sniff(data: bytes, name: str) -> Family:
    """The family of a file. Raises EmptyDocument, EncryptedDocument, UnreadableDocument or
    UnsupportedType, each saying what the file is and what to do."""
    if not data.strip(b"\0 \t\r\n\f\xef\xbb\xbf"):
        raise EmptyDocument("the file is empty" if not data else "the file holds only blanks")
    if b"%PDF-" in data[:1024]:
        return Family.PDF
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        from ingestion.parse.container import office_family

        return office_family(data)
    if data.startswith(_OLE):
        raise _ole(data)
    _refuse_known_binaries(data, name)
    return _text_family(decode(data[: 2**16]), name)


def _ole(data: bytes) -> UnreadableDocument:
    if _ENCRYPTED_OLE in data:
        return EncryptedDocument("the file is protected by a password; save it without one")
    return UnsupportedType(
        "the file is in an old Office format (.doc, .xls, .ppt or .msg); save it as .docx or PDF"
    )


def _refuse_known_binaries(data: bytes, name: str) -> None:
    if data.lstrip().startswith(b"{\\rtf"):
        raise UnsupportedType("the file is RTF; save it as .docx or PDF")
    if b"\0" not in data[:4096] and not _high(data[:4096]):
        return
    import puremagic

    try:
        match = puremagic.magic_string(data[:8192])[0]
    except (puremagic.PureError, ValueError, IndexError):
        return
    kind = match.mime_type or match.name
    if kind.startswith(("image/", "audio/", "video/", "font/")) or (
        match.confidence >= 0.8 and kind.startswith("application/")
    ):
        raise UnsupportedType(f"{PurePosixPath(name).name} is {match.name or kind}; {READABLE}")


def _high(sample: bytes) -> bool:
    return any(byte >= 0x80 for byte in sample)


def _text_family(head: str, name: str) -> Family:
    start = head.lstrip("\ufeff \t\r\n")
    if start[:5].lower() == "<?xml" and not _HTML.search(start[:2048]):
        raise UnsupportedType(f"the file is XML data; {READABLE}")
    if _MAIL.match(start.replace("\r\n", "\n")[:16384]):
        raise UnsupportedType("the file is a mail message with parts; save it as PDF or text")
    if _HTML.search(start[:2048]) and start.startswith("<"):
        return Family.HTML
    suffix = PurePosixPath(name.lower()).suffix
    if suffix in (".html", ".htm", ".xhtml") and _HTML_PARTS.search(head):
        return Family.HTML
    if suffix in _KNOWN_BY_NAME:
        return _KNOWN_BY_NAME[suffix]
    if start.startswith("<") and len(_HTML_PARTS.findall(head)) >= 2:
        return Family.HTML
    marks = sum(bool(mark.search(head)) for mark in _MARKS)
    return Family.MARKDOWN if marks >= 2 else Family.TEXT
