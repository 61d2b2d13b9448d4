"""Word 97-2003 (.doc) as readable text, by the piece table of [MS-DOC]: paragraphs and table rows.

Styles are not resolved, so headings come as paragraphs; .docx keeps them.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from ingestion.limits import Limits
from ingestion.parse.ole import damaged, streams
from ingestion.parse.rows import table_text
from ingestion.parse.sheets import names_columns
from ingestion.parse.transcript import Transcript
from rag.domain import BlockKind, Parsed
from rag.errors import EncryptedDocument, UnreadableDocument

MEDIA_TYPE = "application/msword"
_MAGIC = 0xA5EC
_ENCRYPTED, _TABLE1 = 0x0100, 0x0200  # bits of FibBase
_LENGTHS = 0x4C  # ccpText, ccpFtn in FibRgLw97
_CLX = 0x1A2  # fcClx, lcbClx in FibRgFcLcb97
_NARROW = 0x40000000  # of a piece: one byte a character, Windows-1252
_FIELD = re.compile("\x13[^\x13\x14\x15]*(?:\x14([^\x13\x14\x15]*))?\x15")
_CELL, _ROW_END = "\x07", "\x07\x07"


def parse_doc(data: bytes, limits: Limits) -> Parsed:
    """Parse an old Word document. Raises UnreadableDocument when it is damaged or older than Word
    97, EncryptedDocument, EmptyDocument."""
    main, table0, table1 = streams(data, "WordDocument", "0Table", "1Table")
    try:
        text = _text(main, table0, table1)
    except (struct.error, IndexError, ValueError, OverflowError) as exc:
        raise damaged(exc) from exc
    transcript = Transcript(limits)
    _add(transcript, _without_fields(text))
    return transcript.finish(MEDIA_TYPE)


def _text(main: bytes, table0: bytes, table1: bytes) -> str:
    """The main text and its footnotes."""
    magic, version = struct.unpack_from("<HH", main, 0)
    if magic != _MAGIC or version < 0xC1:
        raise UnreadableDocument(
            "the document is from before Word 97; open it and save it as .docx or PDF"
        )
    (flags,) = struct.unpack_from("<H", main, 0x0A)
    if flags & _ENCRYPTED:
        raise EncryptedDocument("the document is protected by a password; save it without one")
    start, size = struct.unpack_from("<II", main, _CLX)
    length = sum(struct.unpack_from("<II", main, _LENGTHS))
    table = table1 if flags & _TABLE1 else table0
    return "".join(_pieces(main, table[start : start + size]))[:length]


def _pieces(main: bytes, clx: bytes) -> Iterator[str]:
    at = 0
    while clx[at] == 1:  # formatting, skipped
        at += 3 + struct.unpack_from("<H", clx, at + 1)[0]
    (size,) = struct.unpack_from("<I", clx, at + 1)
    plc = clx[at + 5 : at + 5 + size]
    count = (len(plc) - 4) // 12
    ends = struct.unpack_from(f"<{count + 1}I", plc, 0)
    for index in range(count):
        (where,) = struct.unpack_from("<I", plc, 4 * (count + 1) + 8 * index + 2)
        characters = ends[index + 1] - ends[index]
        if characters < 0:
            raise ValueError("a piece of negative length")
        if where & _NARROW:
            begin = (where & ~_NARROW) // 2
            yield main[begin : begin + characters].decode("cp1252", "replace")
        else:
            yield main[where : where + 2 * characters].decode("utf-16-le", "replace")


def _without_fields(text: str) -> str:
    """What a field shows, without its instruction; from the inside out."""
    for _ in range(20):
        text, changed = _FIELD.subn(lambda found: found.group(1) or "", text)
        if not changed:
            break
    return text.replace("\x1e", "-").replace("\x1f", "").replace("\x0b", "\n")


def _add(transcript: Transcript, text: str) -> None:
    rows: list[list[str]] = []
    for paragraph in re.split("[\r\x0c]", text):
        if _CELL in paragraph:
            *whole, paragraph = paragraph.split(_ROW_END)
            rows += [row.split(_CELL) for row in whole]
            if _CELL in paragraph:  # a row goes on in the next paragraph
                rows.append(paragraph.split(_CELL))
                continue
        if rows and paragraph.strip():
            _add_table(transcript, rows)
            rows = []
        transcript.add(BlockKind.PARAGRAPH, paragraph)
    _add_table(transcript, rows)


def _add_table(transcript: Transcript, rows: list[list[str]]) -> None:
    transcript.add(BlockKind.TABLE, table_text(rows, header=names_columns(rows)))
