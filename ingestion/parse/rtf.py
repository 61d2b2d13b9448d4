"""RTF as readable text: paragraphs, and table rows with their cells."""

from __future__ import annotations

from typing import Any

from ingestion.limits import Limits
from ingestion.parse.rows import table_text
from ingestion.parse.sheets import names_columns
from ingestion.parse.transcript import Transcript, clean
from rag.domain import BlockKind, Parsed
from rag.errors import UnreadableDocument

MEDIA_TYPE = "application/rtf"


def parse_rtf(data: bytes, limits: Limits) -> Parsed:
    """Parse RTF. Raises UnreadableDocument when it is damaged, EmptyDocument."""
    transcript = Transcript(limits)
    add_rtf(transcript, data)
    return transcript.finish(MEDIA_TYPE)


def add_rtf(transcript: Transcript, data: bytes) -> None:
    from striprtf import striprtf

    read: Any = striprtf.rtf_to_text
    try:
        text = clean(read(data.decode("latin-1"), encoding="cp1252", errors="replace"))
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
