"""What the reader is shown of a passage: its title and headings, then its words."""

from __future__ import annotations

from rag.domain import Passage


def shown(passage: Passage) -> str:
    head = " > ".join(part for part in (passage.title, *passage.chunk.heading_path) if part)
    return f"{head}\n{passage.chunk.text}" if head else passage.chunk.text
