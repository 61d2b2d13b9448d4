"""A row's tokens as the lexical leg counts them, title and headings with more weight."""

from __future__ import annotations

import hashlib
import inspect
from functools import cache

from rag import analyse as analysis
from rag import prompt
from rag.analyse import analyse
from rag.index.row_words import Numbering
from rag.ports import Row

HEADINGS = 2  # a word of the title or heading path counts as often as this many of the text


def terms(row: Row) -> list[str]:
    return weighted(row.text, row.own)


def read(row: Row) -> tuple[list[str], list[str]]:
    """`terms`, and the words of what a reader is shown, in order. What both have in common is
    analysed once: no token comes from both sides of white space."""
    above, body = row.text[: row.own], row.text[row.own :]
    words = analyse(body)
    start = len(row.shown) - len(body)
    apart = not start or body[:1].isspace() or row.shown[start - 1 : start].isspace()
    if apart and row.shown.endswith(body):
        return _weighted(analyse(above), words), analyse(row.shown[:start]) + words
    return _weighted(analyse(above), words), analyse(row.shown)


def weighted(text: str, own: int) -> list[str]:
    """Title and headings stand before `own`. BM25 over these is BM25F with one `b` for both fields:
    there, too, the weights multiply the counts before they saturate (Robertson, Zaragoza and
    Taylor, CIKM 2004)."""
    return _weighted(analyse(text[:own]), analyse(text[own:]))


def _weighted(above: list[str], body: list[str]) -> list[str]:
    return above * HEADINGS + body


@cache
def form() -> str:
    """Names the way texts become terms, by the code that does it: an index kept in files by other
    code holds other terms."""
    # Not of a class, whose source Python 3.11 finds by parsing, which two threads must not do.
    made = (weighted, _weighted, read, Numbering.__missing__)
    code = inspect.getsource(analysis) + inspect.getsource(prompt) + str(HEADINGS)
    code += "".join(inspect.getsource(each) for each in made)
    return hashlib.sha256(code.encode()).hexdigest()
