"""PowerPoint 97-2003 (.ppt) as readable text, by the records of [MS-PPT]: slides as pages."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator

from ingestion.limits import Limits
from ingestion.parse.ole import damaged, streams
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind, Parsed
from rag.errors import EncryptedDocument

MEDIA_TYPE = "application/vnd.ms-powerpoint"
_SLIDE, _SLIDE_LIST, _SLIDE_PERSIST = 0x03EE, 0x0FF0, 0x03F3
_TEXT_HEADER, _CHARS, _BYTES = 0x0F9F, 0x0FA0, 0x0FA8
_TITLES = (0, 6)  # kinds of text: title, centred title
_MOST_RECORDS = 2_000_000

Piece = tuple[int, str]  # kind of text, text


def parse_ppt(data: bytes, limits: Limits) -> Parsed:
    """Parse an old presentation. Raises UnreadableDocument when it is damaged, EncryptedDocument,
    EmptyDocument."""
    document, locked = streams(data, "PowerPoint Document", "EncryptedSummary")
    if locked:
        raise EncryptedDocument("the presentation is protected by a password; save it without one")
    try:
        slides = _slides(document)
    except (struct.error, IndexError, ValueError) as exc:
        raise damaged(exc) from exc
    transcript = Transcript(limits)
    for page in sorted(slides):
        for kind, text in slides[page]:
            if kind in _TITLES:
                transcript.add(BlockKind.HEADING, squeeze(text), level=1, page=page)
            else:
                lines = text.replace("\v", " ").split("\r")
                transcript.add(BlockKind.PARAGRAPH, "\n".join(lines), page=page)
    return transcript.finish(MEDIA_TYPE, pages=max(slides, default=0))


def _slides(document: bytes) -> dict[int, list[Piece]]:
    """The text of each slide: its outline, then what stands in boxes of its own."""
    slides: dict[int, list[Piece]] = defaultdict(list)
    listed = drawn = 0
    kind = -1
    inside = ""
    for type, instance, body, path in _records(document):
        if type == _SLIDE_LIST:
            inside = "outline" if instance == 0 else ""
        elif type == _SLIDE:
            drawn += 1
        elif type == _SLIDE_PERSIST:
            listed += 1 if inside and _SLIDE_LIST in path else 0
        elif type == _TEXT_HEADER:
            (kind,) = struct.unpack_from("<I", body, 0)
        elif type in (_CHARS, _BYTES):
            text = body.decode("utf-16-le" if type == _CHARS else "cp1252", "replace")
            if _SLIDE_LIST in path and inside:
                slides[max(listed, 1)].append((kind, text))
            elif _SLIDE in path:
                slides[drawn].append((kind, text))
    return slides


def _records(data: bytes) -> Iterator[tuple[int, int, bytes, frozenset[int]]]:
    """Every record in order: type, instance, its bytes (none for a container), the types of the
    containers around it."""
    ends: list[tuple[int, int]] = [(len(data), 0)]
    at = count = 0
    while at + 8 <= len(data):
        while at >= ends[-1][0] and len(ends) > 1:
            ends.pop()
        head, type, length = struct.unpack_from("<HHI", data, at)
        at += 8
        count += 1
        if count > _MOST_RECORDS:
            raise ValueError("too many records")
        path = frozenset(type for _, type in ends)
        if head & 0xF == 0xF:
            yield type, head >> 4, b"", path
            ends.append((min(at + length, ends[-1][0]), type))
        else:
            yield type, head >> 4, data[at : at + length], path
            at += length
