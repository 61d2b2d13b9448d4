"""Lines that stand closer than their font is high: what both cover is shared out, so that the
highlight of one holds no words of the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from ingestion.parse.pdf_lines import Line, PdfWord

_APART = 0.4  # of the lower line's height, between the middles of two lines, not pieces of one
_LEAST = 0.4  # of a word's height that is left of it
_MOST = 40  # lines looked at below each; a page where more overlap is a drawing


def part_lines(lines: Sequence[Line]) -> None:
    """Give the words of overlapping lines their `cut`, halfway through what both cover."""
    level = sorted((line for line in lines if not line.turned), key=lambda line: line.y0)
    edges = [(line.x0, line.y0, line.x1, line.y1) for line in level]
    tops, bottoms = [-math.inf] * len(level), [math.inf] * len(level)
    for number, (left, top, right, bottom) in enumerate(edges):
        for other in range(number + 1, min(number + _MOST, len(edges))):
            x0, y0, x1, y1 = edges[other]
            if y0 >= bottom:
                break
            apart = (y0 + y1 - top - bottom) / 2
            if x0 < right and x1 > left and apart >= _APART * min(bottom - top, y1 - y0):
                middle = (y0 + bottom) / 2
                bottoms[number] = min(bottoms[number], middle)
                tops[other] = max(tops[other], middle)
    for line, low, high in zip(level, tops, bottoms, strict=True):
        if low > line.y0 or high < line.y1:
            for word in line.words:
                _cut(word, low, high)


def _cut(word: PdfWord, top: float, bottom: float) -> None:
    box = word.box
    y0, y1 = max(box.y0, top), min(box.y1, bottom)
    if (y0, y1) != (box.y0, box.y1) and y1 - y0 >= _LEAST * (box.y1 - box.y0):
        word.cut = replace(box, y0=y0, y1=y1)
