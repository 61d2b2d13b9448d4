"""Lines that were found on a picture, in the order in which a person reads them: columns one after
the other, pieces of one line joined. By recursive cuts through the blank between them (XY-cut,
Nagy and Seth, 1984)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from ingestion.parse.pdf_lines import Line

_PROSE = 9.0  # widths of a line over its height from which a column holds prose, not cells
_LEAST_LINES = 3  # of a column
_GUTTER = 0.7  # line heights of blank between two columns

Side = Callable[[Line], float]


def in_reading_order(lines: list[Line]) -> list[Line]:
    """The same words; lines that stand beside each other in one column become one."""
    if len(lines) < 2:
        return lines
    height = median(line.y1 - line.y0 for line in lines)
    parted = _cut(lines, lambda line: line.x0, lambda line: line.x1, _GUTTER * height)
    if len(parted) > 1 and all(_is_column(part) for part in parted):
        return [line for part in parted for line in in_reading_order(part)]
    rows = _cut(lines, lambda line: line.y0, lambda line: line.y1, -0.4 * height)
    bands = _bands(rows, height)
    if len(bands) > 1:
        return [line for band in bands for line in in_reading_order(band)]
    return [_joined(row) for row in rows]


def _is_column(lines: list[Line]) -> bool:
    wide = median((line.x1 - line.x0) / max(line.y1 - line.y0, 0.1) for line in lines)
    return len(lines) >= _LEAST_LINES and wide >= _PROSE


def _cut(lines: list[Line], low: Side, high: Side, gap: float) -> list[list[Line]]:
    """Groups of lines with more than `gap` of blank between them along one axis."""
    groups: list[list[Line]] = []
    end = float("-inf")
    for line in sorted(lines, key=low):
        if not groups or low(line) - end > gap:
            groups.append([])
        groups[-1].append(line)
        end = max(end, high(line))
    return groups


def _bands(rows: list[list[Line]], height: float) -> list[list[Line]]:
    """Rows parted where one column becomes two or two one, so that a wide heading does not keep
    the columns below it together."""
    bands: list[list[Line]] = []
    several: bool | None = None
    for row in rows:
        now = len(_cut(row, lambda line: line.x0, lambda line: line.x1, _GUTTER * height)) > 1
        if several is None or now != several:
            bands.append([])
        bands[-1] += row
        several = now
    return bands


def _joined(row: list[Line]) -> Line:
    pieces = sorted(row, key=lambda line: line.x0)
    return Line([word for line in pieces for word in line.words])
