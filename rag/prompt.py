"""What the reader is shown of a passage: its title and headings, then its words."""

from __future__ import annotations

from collections.abc import Sequence

from rag.domain import Passage


def shown(passage: Passage) -> str:
    return shown_text(passage.title, passage.chunk.heading_path, passage.chunk.text)


def shown_text(title: str, heading_path: Sequence[str], text: str) -> str:
    head = " > ".join(part for part in (title, *heading_path) if part)
    return f"{head}\n{text}" if head else text
