"""What a file is, by its content. Its name only decides between kinds of text."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

from ingestion.parse.archive import is_archive
from ingestion.parse.container import is_zip, office_family
from ingestion.parse.decode import decode
from ingestion.parse.family import READABLE, Family
from ingestion.parse.mailbox import TNEF_MARK, is_mailbox
from ingestion.parse.pictures import picture_format
from rag.errors import EmptyDocument, EncryptedDocument, UnreadableDocument, UnsupportedType

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
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,60}:[ \t\n]")
_MAIL_HEADERS = frozenset(
    (
        *("from", "to", "cc", "bcc", "subject", "date", "sender", "reply-to", "received"),
        *("message-id", "mime-version", "return-path", "content-type", "delivered-to"),
        *("x-mailer", "x-sender", "in-reply-to", "references"),
    )
)
_ENOUGH_HEADERS = 2  # of a mail, told by the first lines
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_OLE = "EncryptedPackage".encode("utf-16-le")
_OLE_STREAMS = {
    "WordDocument": Family.DOC,
    "PowerPoint Document": Family.PPT,
    "Workbook": Family.SPREADSHEET,
    "Book": Family.SPREADSHEET,
    "__properties_version1.0": Family.MSG,
}
_KNOWN_BY_NAME = {
    ".md": Family.MARKDOWN,
    ".markdown": Family.MARKDOWN,
    ".txt": Family.TEXT,
    ".text": Family.TEXT,
    ".log": Family.TEXT,
    ".rst": Family.TEXT,
    ".org": Family.TEXT,
    ".yaml": Family.TEXT,
    ".yml": Family.TEXT,
    ".csv": Family.DELIMITED,
    ".tsv": Family.DELIMITED,
    ".tab": Family.DELIMITED,
    ".psv": Family.DELIMITED,
}
_XML_NAMES = (".xml", ".rss", ".atom", ".svg", ".kml", ".gpx", ".xsd")
_ELEMENT = re.compile(r"<[A-Za-z!]")
_FLAT_ODF = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
_JSON_NAMES = (".json", ".ndjson", ".jsonl", ".geojson")
_MAIL_NAMES = (".eml", ".mht", ".p7s")


def sniff(data: bytes, name: str) -> Family:
    """The family of a file. Raises EmptyDocument, EncryptedDocument, UnreadableDocument or
    UnsupportedType, each saying what the file is and what to do."""
    if not data.strip(b"\0 \t\r\n\f\xef\xbb\xbf"):
        raise EmptyDocument("the file is empty" if not data else "the file holds only blanks")
    if is_zip(data):
        return office_family(data) or Family.ARCHIVE
    if is_archive(data):
        return Family.ARCHIVE
    if data.startswith(_OLE):
        return _ole(data)
    if b"%PDF-" in data[:1024]:  # after the containers, of which it may be the first file
        return Family.PDF
    if data.lstrip()[:5] == b"{\\rtf":
        return Family.RTF
    if picture_format(data):
        return Family.IMAGE
    if data.startswith(TNEF_MARK):
        return Family.TNEF
    if is_mailbox(data):
        return Family.MAILBOX
    _refuse_known_binaries(data, name)
    return _text_family(decode(data[: 2**16]), data, name)


def _ole(data: bytes) -> Family:
    if _ENCRYPTED_OLE in data:
        raise EncryptedDocument("the file is protected by a password; save it without one")
    import olefile

    try:
        with olefile.OleFileIO(data) as ole:
            for stream, family in _OLE_STREAMS.items():
                if ole.exists(stream):
                    return family
    except (OSError, ValueError, IndexError, TypeError, AttributeError) as exc:
        raise UnreadableDocument(
            f"the file is a damaged Office file ({str(exc)[:120]}); save it again as .docx or PDF"
        ) from exc
    raise UnsupportedType(f"the file is in an old Office format; save it as PDF. {READABLE}")


def _refuse_known_binaries(data: bytes, name: str) -> None:
    if b"\0" not in data[:4096] and not _high(data[:4096]):
        return
    import puremagic

    try:
        match = puremagic.magic_string(data[:8192])[0]
    except (puremagic.PureError, ValueError, IndexError):
        return
    if b"\0" not in data[:4096] and match.byte_match.isalnum():
        return  # a word: "The widespread ..." would be a film, whose length holds zeros
    kind = match.mime_type or match.name
    if kind.startswith(("image/", "audio/", "video/", "font/")) or (
        match.confidence >= 0.8 and kind.startswith("application/")
    ):
        raise UnsupportedType(f"{PurePosixPath(name).name} is {match.name or kind}; {READABLE}")


def _high(sample: bytes) -> bool:
    return any(byte >= 0x80 for byte in sample)


def _text_family(head: str, data: bytes, name: str) -> Family:
    start = head.lstrip("\ufeff \t\r\n").replace("\r\n", "\n")
    suffix = PurePosixPath(name.lower()).suffix
    xml = start[:5].lower() == "<?xml" or (suffix in _XML_NAMES and _ELEMENT.match(start))
    if xml and not _HTML.search(start[:2048]):
        if _FLAT_ODF in start[:4096]:
            return Family.ODT
        return Family.XML
    if _is_mail(start, suffix):
        return Family.EML
    if _HTML.search(start[:2048]) and start.startswith("<"):
        return Family.HTML
    if suffix in (".html", ".htm", ".xhtml") and _HTML_PARTS.search(head):
        return Family.HTML
    if start[:1] in ("{", "[") and (suffix in _JSON_NAMES or _is_json(data, suffix)):
        return Family.JSON
    if suffix in _KNOWN_BY_NAME:
        return _KNOWN_BY_NAME[suffix]
    if start.startswith("<") and len(_HTML_PARTS.findall(head)) >= 2:
        return Family.HTML
    marks = sum(bool(mark.search(head)) for mark in _MARKS)
    return Family.MARKDOWN if marks >= 2 else Family.TEXT


def _is_mail(start: str, suffix: str) -> bool:
    """Whether the text begins with the headers of a message. A text file may well begin with a
    line or two of "From:" and "Date:", so one of the technical headers is asked for there."""
    names: list[str] = []
    for line in start[:16384].split("\n"):
        if not line.strip():
            break
        if line[:1] in (" ", "\t"):
            continue
        if _HEADER.match(f"{line}\n") is None:
            if names or not line.startswith("From "):  # the first line of a mailbox
                break
            continue
        names.append(line.partition(":")[0].lower())
    known = set(names) & _MAIL_HEADERS
    if suffix in _MAIL_NAMES:
        return bool(known)
    technical = known & {"mime-version", "message-id", "received", "return-path"}
    return len(known) > _ENOUGH_HEADERS and bool(technical)


def _is_json(data: bytes, suffix: str) -> bool:
    """Whether all of it is JSON; what merely looks so is text."""
    if suffix in (".md", ".markdown"):
        return False
    try:
        json.loads(decode(data))
    except (ValueError, RecursionError):
        return False
    return True
