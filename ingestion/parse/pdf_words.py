"""Where words begin among the characters of a page, and which of them open a line: at blanks and
line ends, and where a character does not stand on the line of the word before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ingestion.parse.pdf_characters import Characters, Floats, Integers


@dataclass(frozen=True, slots=True)
class Starts:
    """The m words of a page by their first character. `on_side`: its letters stand above each
    other; `opens`: it is the first of a line."""

    first: Integers
    on_side: npt.NDArray[np.bool_]
    opens: npt.NDArray[np.bool_]


def word_starts(found: Characters, boxes: Floats, is_turned: Callable[[int], bool]) -> Starts:
    """The words of at least one character; `boxes` (n, 4) as the page is read, lines level.

    Nearly every row is plain: its words share a stretch of height from letter to letter and from
    word to word, which is seen for all rows at once. The others are walked through letter by
    letter."""
    first = np.flatnonzero(found.begins)
    rows = found.rows[first]
    opens = np.ones(len(first), bool)
    opens[1:] = rows[1:] != rows[:-1]
    starts = np.flatnonzero(opens)
    plain = np.logical_and.reduceat(_goes_on(boxes, first, opens), starts)
    turned = np.array([is_turned(int(index)) for index in first[starts]])
    if plain.all():
        return Starts(first, np.repeat(turned, np.diff(starts, append=len(first))), opens)
    parts: list[Starts] = []
    ends = [*starts[1:].tolist(), len(first)]
    for row, (start, end) in enumerate(zip(starts.tolist(), ends, strict=True)):
        if plain[row]:
            parts.append(
                Starts(first[start:end], np.full(end - start, turned[row]), opens[start:end])
            )
            continue
        last = int(first[end]) if end < len(first) else len(boxes)
        parts.append(_walked(found, boxes, int(first[start]), last, is_turned))
    return Starts(
        np.concatenate([part.first for part in parts]),
        np.concatenate([part.on_side for part in parts]),
        np.concatenate([part.opens for part in parts]),
    )


def _goes_on(boxes: Floats, first: Integers, opens: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Whether a word's letters share a stretch of height, and the word one with that before."""
    low, high = boxes[:, 1], boxes[:, 3]
    level = np.maximum.reduceat(low, first) < np.minimum.reduceat(high, first)
    lowest, highest = np.minimum.reduceat(low, first), np.maximum.reduceat(high, first)
    on_line = opens.copy()
    on_line[1:] |= np.minimum(high[first[1:]], highest[:-1]) > np.maximum(
        low[first[1:]], lowest[:-1]
    )
    return level & on_line


def _walked(
    found: Characters, boxes: Floats, start: int, end: int, is_turned: Callable[[int], bool]
) -> Starts:
    words = list(_steps(found, boxes, start, end, is_turned))
    first, on_side, opens = zip(*words, strict=True)
    return Starts(np.array(first), np.array(on_side), np.array(opens))


def _steps(
    found: Characters, boxes: Floats, start: int, end: int, is_turned: Callable[[int], bool]
) -> Iterator[tuple[int, bool, bool]]:
    """The words of one row: first character, whether it stands on its side, whether it opens a
    line. A character goes on where it overlaps the word so far in height, or stands on its side
    and overlaps it in width."""
    x0 = y0 = x1 = y1 = 0.0
    on_side = False
    begins = found.begins[start:end].tolist()
    for index, (begin, box) in enumerate(
        zip(begins, boxes[start:end].tolist(), strict=True), start
    ):
        left, low, right, high = box
        inside, follows, turned = index > start, False, False
        if inside:
            follows = min(high, y1) > max(low, y0)
        if not follows:
            turned = is_turned(index)
            follows = inside and turned and min(right, x1) > max(left, x0)
        if follows and not begin:
            x0, y0, x1, y1 = min(left, x0), min(low, y0), max(right, x1), max(high, y1)
            continue
        x0, y0, x1, y1 = left, low, right, high
        on_side = turned or (on_side and follows)
        yield index, on_side, not follows
