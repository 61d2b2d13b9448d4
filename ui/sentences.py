"""A stored answer taken apart into its sentences again, as they were said."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rag.domain import Answer, Citation, Said


def marks(citations: Sequence[Citation]) -> str:
    return "".join(f"[{citation.marker}]" for citation in citations)


def words(said: Said) -> str:
    """A sentence without its markers, which are shown as chips."""
    return said.text.removesuffix(marks(said.citations)).rstrip()


def said_in(answer: Answer) -> list[Said]:
    """The sentences of an answer with their citations, in order; what cannot be told apart stays
    one sentence with all the citations."""
    found: list[Said] = []
    rest = answer.text
    for _, group in groupby(answer.citations, key=lambda citation: citation.sentence):
        citations = tuple(group)
        head, mark, tail = _cut(rest, marks(citations))
        if not mark:
            return [Said(answer.text, answer.citations)]
        found.append(Said(head + mark, citations))
        rest = tail.lstrip()
    if rest and found:
        return [Said(answer.text, answer.citations)]
    return found


def _cut(text: str, mark: str) -> tuple[str, str, str]:
    """Up to the first `mark` that ends a sentence: at the end, or with a blank behind it."""
    at = text.find(mark)
    while at >= 0:
        end = at + len(mark)
        if end == len(text) or text[end].isspace():
            return text[:at], mark, text[end:]
        at = text.find(mark, at + 1)
    return text, "", ""
