"""A row's tokens as the lexical leg counts them, title and headings with more weight."""

from __future__ import annotations

import hashlib
import inspect

from rag import analyse as analysis
from rag.analyse import analyse
from rag.ports import Row

HEADINGS = 2  # a word of the title or heading path counts as often as this many of the text


def terms(row: Row) -> list[str]:
    return weighted(row.text, row.own)


def weighted(text: str, own: int) -> list[str]:
    """Title and headings stand before `own`. BM25 over these is BM25F with one `b` for both fields:
    there, too, the weights multiply the counts before they saturate (Robertson, Zaragoza and
    Taylor, CIKM 2004)."""
    return analyse(text[:own]) * HEADINGS + analyse(text[own:])


def form() -> str:
    """Names the way texts become terms, by the code that does it: an index kept in files by other
    code holds other terms."""
    code = inspect.getsource(analysis) + inspect.getsource(weighted) + str(HEADINGS)
    return hashlib.sha256(code.encode()).hexdigest()
