"""Cut a span of text into pieces that fit a token budget, at the best boundaries there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

Span = tuple[int, int]
Fits = Callable[[int, int], bool]

# from the best boundary to the worst; a piece ends where the pattern's match ends
_BOUNDARIES = tuple(
    re.compile(pattern)
    for pattern in (
        r"\n\s*\n",
        r"\n",
        r"(?<=[.!?…。！？])[\"'”’»)\]]*(?:\s+|(?<=[。！？]))",
        r"(?<=[;:,、，；])\s*",
        r"\s+",
    )
)


def pieces(text: str, start: int, end: int, fits: Fits) -> Iterator[Span]:
    """Spans that cover text[start:end] but for the blanks around them, in order; each fits, or is
    a single character. Cut at blank lines, else lines, sentences, clauses, words, characters."""
    return _cut(text, *_trimmed(text, start, end), fits, 0)


def _cut(text: str, start: int, end: int, fits: Fits, level: int) -> Iterator[Span]:
    if start >= end:
        return
    if end - start == 1 or fits(start, end):
        yield start, end
    elif level == len(_BOUNDARIES):
        yield from _halved(text, start, end, fits)
    else:
        parts = list(_parts(text, start, end, _BOUNDARIES[level]))
        if len(parts) == 1:
            yield from _cut(text, start, end, fits, level + 1)
        else:
            yield from _packed(text, parts, fits, level + 1)


def _parts(text: str, start: int, end: int, boundary: re.Pattern[str]) -> Iterator[Span]:
    at = start
    for match in boundary.finditer(text, start, end):
        if match.end() > at and match.end() < end:
            yield _trimmed(text, at, match.end())
            at = match.end()
    yield _trimmed(text, at, end)


def _packed(text: str, parts: list[Span], fits: Fits, level: int) -> Iterator[Span]:
    """Neighbouring parts joined while they fit; a part that is too long is cut one level down."""
    held: Span | None = None
    for start, end in parts:
        if start >= end:
            continue
        if held and fits(held[0], end):
            held = (held[0], end)
            continue
        if held:
            yield held
        held = None
        if fits(start, end):
            held = (start, end)
        else:
            *whole, held = _cut(text, start, end, fits, level)
            yield from whole
    if held:
        yield held


def _halved(text: str, start: int, end: int, fits: Fits) -> Iterator[Span]:
    """An unbroken run of characters, cut by halves: a key, an address, a script without blanks."""
    stack = [(start, end)]
    while stack:
        start, end = _trimmed(text, *stack.pop())
        if end - start <= 1 or fits(start, end):
            if start < end:
                yield start, end
        else:
            middle = (start + end) // 2
            stack += [(middle, end), (start, middle)]


def _trimmed(text: str, start: int, end: int) -> Span:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
