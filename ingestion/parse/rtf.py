"""RTF as readable text: paragraphs, and table rows with their cells."""

from __future__ import annotations

import re
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.rows import table_text
from ingestion.parse.sheets import names_columns
from ingestion.parse.transcript import Transcript, clean
from rag.domain import BlockKind, Parsed
from rag.errors import UnreadableDocument

_NOTE = re.compile(r"\{\s*(?:\\\*)?\\(?:footnote|annotation)\b ?")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
MEDIA_TYPE = "application/rtf"


def parse_rtf(data: bytes, limits: Limits) -> Parsed:
    """Parse RTF. Raises UnreadableDocument when it is damaged, EmptyDocument."""
    transcript = Transcript(limits)
    add_rtf(transcript, data)
    return transcript.finish(MEDIA_TYPE)


def _notes_last(source: str) -> str:
    """The RTF with its footnotes and remarks, which its reader would leave out, as paragraphs at
    its end."""
    pieces: list[str] = []
    notes: list[str] = []
    at = 0
    for mark in _NOTE.finditer(source):
        if mark.start() >= at:
            end = _group_end(source, mark.start())
            pieces.append(source[at : mark.start()])
            notes.append("\\par {" + source[mark.end() : end])
            at = end
    if not notes:
        return source
    whole = "".join((*pieces, source[at:]))
    close = whole.rfind("}")
    return "".join((whole[:close], *notes, whole[close:]))


def _group_end(source: str, start: int) -> int:
    """Where the group that opens at `start` ends."""
    depth = 0
    for brace in _BRACE.finditer(source, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return brace.end()
    return len(source)


def add_rtf(transcript: Transcript, data: bytes) -> None:
    from striprtf import striprtf

    read: Any = striprtf.rtf_to_text
    source = _notes_last(data.decode("latin-1"))
    try:
        text = clean(read(source, encoding="cp1252", errors="replace"))
    except (ValueError, IndexError, KeyError, LookupError, AttributeError) as exc:
        raise UnreadableDocument(
            f"the RTF is damaged ({str(exc)[:120]}); open it and save it as .docx"
        ) from exc
    rows: list[list[str]] = []
    for line in [*text.split("\n"), ""]:
        if line.endswith("|"):
            rows.append(line.rstrip("|").split("|"))
            continue
        if rows:
            transcript.add(BlockKind.TABLE, table_text(rows, header=names_columns(rows)))
            rows = []
        transcript.add(BlockKind.PARAGRAPH, line)
