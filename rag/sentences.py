"""Text to sentences and units with their spans. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Iterator

_MARKERS = re.compile(r"\s*\[(\d+)\]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Art|Sec|vs|etc|cf|al|approx|Inc|Ltd|Co)"
    r"|\.[A-Za-z])\.$"
)
_BREAK = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)|\n+")


def units(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences and lines of `text`, without the white space around them. Abbreviated
    words do not end a sentence; a line break does."""
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _BREAK.finditer(text):
        inside = not match[0].startswith("\n")
        if inside and (_ABBREVIATION.search(text[start : match.end()]) or _goes_on(text, match)):
            continue
        _keep(spans, text, start, match.end())
        start = match.end()
    _keep(spans, text, start, len(text))
    return spans


def _goes_on(text: str, match: re.Match[str]) -> bool:
    """A full stop before a lower-case word is inside a sentence."""
    after = text[match.end() :].lstrip(" \t")
    return match[0][0] in ".…" and after[:1].islower()


def _keep(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    left, right = len(piece) - len(piece.lstrip()), len(piece.rstrip())
    if left < right:
        spans.append((start + left, start + right))


def marked_sentences(text: str, passages: int) -> list[tuple[str, tuple[int, ...]]]:
    """Sentences of an answer with the markers that end each: text up to and with a run of markers
    [1]..[passages] is one, and so is what stands before a full stop inside it, with no marker of
    its own. The last may be unmarked."""
    found: list[tuple[str, tuple[int, ...]]] = []
    start = 0
    for begin, end, markers in _runs(text, passages):
        _split(found, text[start:begin], markers)
        start = end
        while text[start : start + 1] in tuple(".!?") and text[start : start + 1]:
            start += 1
    _split(found, text[start:], ())
    return found


def closed(text: str, passages: int) -> str:
    """As much of a text that is still being written as ends in a run of markers to which nothing
    can be added any more."""
    ends = [end for _, end, _ in _runs(text, passages)]
    if ends and not re.match(r"[\s.!?]*[^\s.!?\[]", text[ends[-1] :]):
        ends.pop()  # the newest may get another marker
    return text[: ends[-1]] if ends else ""


def _runs(text: str, passages: int) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Start, end and markers of each run in which a passage's marker stands."""
    for run in re.finditer(r"(?:\s*\[\d+\])+", text):
        numbers = tuple(dict.fromkeys(int(n) for n in _MARKERS.findall(run[0])))
        if valid := tuple(n for n in numbers if 1 <= n <= passages):
            yield run.start(), run.end(), valid


def _split(found: list[tuple[str, tuple[int, ...]]], text: str, markers: tuple[int, ...]) -> None:
    parts = [" ".join(text[a:b].split()) for a, b in units(text)]
    found += [(part, ()) for part in parts[:-1]]
    if parts:
        found.append((parts[-1], markers))
