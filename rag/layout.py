"""Where the words of a version stand on its pages: the layout blob, and the boxes of a span.

A layout is seven parallel arrays, one entry a word in reading order: start, end, page and the box.
The blob is a magic, a JSON header and the arrays, deflated; plain numbers, nothing executable.
Standard library only, so that the core may read it.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from rag.domain import Box, Word
from rag.errors import Corrupt

Number = TypeVar("Number", int, float)
MAGIC = b"ATLAYT1\n"
SAME_LINE = 0.5  # share of the lower word's height that must overlap
MASK = "\N{FULL BLOCK}"  # stands in a stored text for each character of what was masked
MAX_GAP = 4.0  # line heights between two words of one highlight; wider is another column


@dataclass(frozen=True, slots=True)
class Layout:
    """`starts` and `ends` are character offsets (ascending), `coordinates` four floats a word
    (x0, y0, x1, y1 in points from the page's top left), `pages` count from 1."""

    starts: array[int]
    ends: array[int]
    pages: array[int]
    coordinates: array[float]

    def __len__(self) -> int:
        return len(self.starts)

    def word(self, index: int) -> Word:
        x0, y0, x1, y1 = self.coordinates[4 * index : 4 * index + 4]
        return Word(self.starts[index], self.ends[index], Box(self.pages[index], x0, y0, x1, y1))

    def words(self) -> Iterator[Word]:
        return (self.word(index) for index in range(len(self)))

    def within(self, start: int, end: int) -> Iterator[Word]:
        """The words that share at least one character with text[start:end]."""
        first = bisect_right(self.ends, start)
        last = bisect_left(self.starts, end)
        return (self.word(index) for index in range(first, last))


def layout_of(words: Iterable[Word]) -> Layout:
    """Arrays of words that are given in ascending order of their spans."""
    layout = Layout(array("I"), array("I"), array("I"), array("f"))
    for word in words:
        layout.starts.append(word.start)
        layout.ends.append(word.end)
        layout.pages.append(word.box.page)
        layout.coordinates.extend((word.box.x0, word.box.y0, word.box.x1, word.box.y1))
    return layout


def dump_layout(layout: Layout) -> bytes:
    header = json.dumps({"words": len(layout), "order": "little"}).encode() + b"\n"
    columns = (layout.starts, layout.ends, layout.pages, layout.coordinates)
    body = b"".join(_little(column) for column in columns)
    return MAGIC + header + zlib.compress(body, 6)


def load_layout(blob: bytes) -> Layout:
    """Raises Corrupt when the blob is not a layout or was cut."""
    try:
        if not blob.startswith(MAGIC):
            raise ValueError("wrong magic")
        line, _, packed = blob[len(MAGIC) :].partition(b"\n")
        count = int(json.loads(line)["words"])
        inflater = zlib.decompressobj()
        body = inflater.decompress(packed, 28 * count + 1)
        if len(body) != 28 * count or not inflater.eof:
            raise ValueError(f"{count} words announced, {len(body)} bytes held")
    except (ValueError, KeyError, TypeError, zlib.error) as exc:
        raise Corrupt(f"a layout blob cannot be read ({exc}); run `attest doctor`") from exc
    parts = [body[4 * count * i : 4 * count * (i + 1)] for i in range(3)] + [body[12 * count :]]
    starts, ends, pages = (_from_little(array("I"), part) for part in parts[:3])
    return Layout(starts, ends, pages, _from_little(array("f"), parts[3]))


def boxes_for(layout: Layout, start: int, end: int) -> tuple[Box, ...]:
    """One box for each line that text[start:end] touches, in reading order."""
    boxes: list[Box] = []
    for word in layout.within(start, end):
        if boxes and _same_line(boxes[-1], word.box):
            boxes[-1] = union(boxes[-1], word.box)
        else:
            boxes.append(word.box)
    return tuple(boxes)


def union(a: Box, b: Box) -> Box:
    """The smallest box around two boxes of one page."""
    return Box(a.page, min(a.x0, b.x0), min(a.y0, b.y0), max(a.x1, b.x1), max(a.y1, b.y1))


def _same_line(a: Box, b: Box) -> bool:
    if a.page != b.page:
        return False
    height = max(min(a.y1 - a.y0, b.y1 - b.y0), 0.1)
    overlap = min(a.y1, b.y1) - max(a.y0, b.y0)
    gap = max(b.x0 - a.x1, a.x0 - b.x1)
    return overlap >= SAME_LINE * height and gap <= MAX_GAP * max(a.y1 - a.y0, height)


def _little(column: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _from_little(column: array[Number], data: bytes) -> array[Number]:
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column
