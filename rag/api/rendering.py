"""A part of a version as HTML, built from its stored text and blocks: headings, lists and rows as
such, with exactly the cited span marked. Whatever the text holds stays text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from rag.domain import Block, BlockKind


def rendering(text: str, blocks: Sequence[Block], start: int, end: int, around: int) -> str:
    """An `article` of the blocks that text[start - around : end + around] touches, whole. What
    stands in its `mark` elements is text[start:end] but for the blanks between blocks."""
    shown = [block for block in blocks if block.start < end + around and block.end > start - around]
    parts = list(_parts(text, shown, start, end))
    first = shown[0].start if shown else start
    last = shown[-1].end if shown else end
    return (
        f'<article class="attest-document" data-start="{first}" data-end="{last}">'
        f"{''.join(parts)}</article>"
    )


def _parts(text: str, blocks: Sequence[Block], start: int, end: int) -> Iterator[str]:
    page = blocks[0].page if blocks else None
    for block in blocks:
        if block.page is not None and block.page != page:
            page = block.page
            yield f'<hr data-page="{page}">'
        yield _element(text, block, start, end)


def _element(text: str, block: Block, start: int, end: int) -> str:
    if block.kind is BlockKind.HEADING:
        tag = f"h{min(max(block.level, 1), 6)}"
        return f"<{tag}>{_marked(text, block.start, block.end, start, end)}</{tag}>"
    lines = [_marked(text, *line, start, end) for line in _lines(text, block)]
    if block.kind is BlockKind.TABLE:
        rows = "".join(f"<tr><td>{line}</td></tr>" for line in lines)
        return f"<table><tbody>{rows}</tbody></table>"
    kind = ' class="list"' if block.kind is BlockKind.LIST else ""
    return f"<p{kind}>{'<br>'.join(lines)}</p>"


def _lines(text: str, block: Block) -> Iterator[tuple[int, int]]:
    at = block.start
    for line in text[block.start : block.end].split("\n"):
        yield at, at + len(line)
        at += len(line) + 1


def _marked(text: str, first: int, last: int, start: int, end: int) -> str:
    """text[first:last], what of it lies in start..end marked."""
    low, high = min(max(start, first), last), min(max(end, first), last)
    if low >= high:
        return escape(text[first:last])
    return (
        f"{escape(text[first:low])}<mark>{escape(text[low:high])}</mark>{escape(text[high:last])}"
    )
