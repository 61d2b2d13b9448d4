"""A row's tokens as the lexical leg counts them, title and headings with more weight."""

from __future__ import annotations

from rag.analyse import analyse
from rag.ports import Row

HEADINGS = 2  # a word of the title or heading path counts as often as this many of the text


def terms(row: Row) -> list[str]:
    """BM25 over these is BM25F with one `b` for both fields: there, too, the weights multiply the
    counts before they saturate (Robertson, Zaragoza and Taylor, CIKM 2004)."""
    return analyse(row.text[: row.own]) * HEADINGS + analyse(row.text[row.own :])
