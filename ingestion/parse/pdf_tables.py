"""Tables of a PDF page that are drawn with ruling lines: their words by row and cell, however many
lines a cell holds and in whatever order the file writes them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from ctypes import c_float
from dataclasses import dataclass
from typing import Any

from ingestion.parse.pdf_blocks import PageBlock, Style, around, page_blocks
from ingestion.parse.pdf_lines import Line, PdfWord
from ingestion.parse.pdf_text import to_top_left
from rag.domain import BlockKind, Word

_NEAR = 2.5  # points within which two rulings are one
_SHORTEST = 6.0  # points of a ruling; shorter strokes belong to letters and drawings
_STRAIGHT = 1.0  # points that a ruling may lean
_MOST_OBJECTS = 5_000  # of a page; a drawing has more
_MOST_STROKES = 2_000

Stroke = tuple[float, float, float]  # where it stands, where it begins and ends along its way


@dataclass(frozen=True, slots=True)
class Grid:
    """`xs` and `ys` are the rulings' places in points from the top left; `upright` the vertical
    strokes, since a cell may span columns in one row and not in the next."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    upright: tuple[Stroke, ...]

    def holds(self, line: Line) -> bool:
        x, y = (line.x0 + line.x1) / 2, (line.y0 + line.y1) / 2
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]

    def cell(self, word: PdfWord) -> tuple[int, int]:
        """Row and column; of a cell that spans columns the first one's."""
        x, y = (word.box.x0 + word.box.x1) / 2, (word.box.y0 + word.box.y1) / 2
        row = _between(self.ys, y)
        column = _between(self.xs, x)
        middle = (self.ys[row] + self.ys[row + 1]) / 2
        while column > 0 and not self._parted(self.xs[column], middle):
            column -= 1
        return row, column

    def _parted(self, x: float, y: float) -> bool:
        return any(abs(at - x) <= _NEAR and low <= y <= high for at, low, high in self.upright)


def grids(page: Any) -> list[Grid]:
    """The ruled grids of a pypdfium2 page with at least two rows and two columns."""
    level, upright = _strokes(page)
    found = []
    for top, bottom in _extents(upright):
        within = tuple(each for each in upright if top <= each[1] and each[2] <= bottom)
        xs = _places(each[0] for each in within)
        if len(xs) < 3:
            continue
        reach = (xs[0] - _NEAR, xs[-1] + _NEAR)
        ys = _places(
            y for y, low, high in level
            if top <= y <= bottom and high > reach[0] and low < reach[1]
        )  # fmt: skip
        if len(ys) >= 3:
            found.append(Grid(xs, ys, within))
    return found


def blocks_with_tables(
    lines: Sequence[Line], found: Sequence[Grid], style: Style
) -> Iterator[PageBlock]:
    """The blocks of a page in order; a ruled table stands where its first line does."""
    held: list[Line] = []
    told: set[int] = set()
    tables = [_table(grid, lines) for grid in found]
    for line in lines:
        number = _grid_of(line, found, tables)
        if number is None:
            held.append(line)
        elif number not in told:
            yield from page_blocks(held, style)
            held = []
            told.add(number)
            table = tables[number]
            if table is not None:
                yield table
    yield from page_blocks(held, style)


def _grid_of(line: Line, found: Sequence[Grid], tables: Sequence[PageBlock | None]) -> int | None:
    for number, grid in enumerate(found):
        if tables[number] is not None and grid.holds(line):
            return number
    return None


def _table(grid: Grid, lines: Sequence[Line]) -> PageBlock | None:
    """The grid's words as rows of cells; None where they fill no two rows and columns."""
    cells: dict[tuple[int, int], list[PdfWord]] = {}
    for line in lines:
        if grid.holds(line):
            for word in line.words:
                cells.setdefault(grid.cell(word), []).append(word)
    if len({row for row, _ in cells}) < 2 or len({column for _, column in cells}) < 2:
        return None
    if all(word.turned for words in cells.values() for word in words):
        cells = _upright(cells)
    return _block(cells)


def _upright(cells: dict[tuple[int, int], list[PdfWord]]) -> dict[tuple[int, int], list[PdfWord]]:
    """The cells of a table that stands on its side, by the rows and columns of its reader."""
    down = sum(words[-1].box.y0 - words[0].box.y0 for words in cells.values()) > 0
    last_row, last_column = (max(at[axis] for at in cells) for axis in (0, 1))
    if down:
        return {(last_column - column, row): words for (row, column), words in cells.items()}
    return {(column, last_row - row): words for (row, column), words in cells.items()}


def _block(cells: dict[tuple[int, int], list[PdfWord]]) -> PageBlock:
    pieces: list[str] = []
    words: list[Word] = []
    at, row_before, column_before = 0, -1, -1
    for row, column in sorted(cells):
        for word in cells[row, column]:
            if not words:
                joint = ""
            elif row != row_before:
                joint = "\n"
            else:
                joint = " | " if column != column_before else " "
            row_before, column_before = row, column
            start = at + len(joint)
            pieces += [joint, word.text]
            words.append(Word(start, start + len(word.text), word.cut or word.box))
            at = start + len(word.text)
    return PageBlock(BlockKind.TABLE, "".join(pieces), 0, (around(words),), tuple(words))


def _between(places: Sequence[float], at: float) -> int:
    """The interval that holds `at`, or the nearest one."""
    return min(max(bisect_right(places, at) - 1, 0), len(places) - 2)


def _places(found: Iterator[float]) -> tuple[float, ...]:
    """Places in order, those near each other as one."""
    places: list[float] = []
    for place in sorted(found):
        if not places or place - places[-1] > _NEAR:
            places.append(place)
    return tuple(places)


def _extents(upright: Sequence[Stroke]) -> list[tuple[float, float]]:
    """From where to where vertical strokes follow each other without a break."""
    spans: list[tuple[float, float]] = []
    for _, low, high in sorted(upright, key=lambda stroke: stroke[1]):
        if spans and low <= spans[-1][1] + _NEAR:
            spans[-1] = (spans[-1][0], max(spans[-1][1], high))
        else:
            spans.append((low, high))
    return [(low - _NEAR, high + _NEAR) for low, high in spans]


def _strokes(page: Any) -> tuple[list[Stroke], list[Stroke]]:
    """Horizontal and vertical strokes of the page's paths, in points from the top left; none of a
    page that is a drawing."""
    import pypdfium2.raw as pdfium

    level: list[Stroke] = []
    upright: list[Stroke] = []
    count = pdfium.FPDFPage_CountObjects(page)
    if count > _MOST_OBJECTS:
        return [], []
    point = to_top_left(pdfium, page)
    for index in range(count):
        thing = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(thing) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        for (ax, ay), (bx, by) in _segments(pdfium, thing):
            ax, ay, bx, by = *point(ax, ay), *point(bx, by)
            if abs(ay - by) <= _STRAIGHT and abs(ax - bx) >= _SHORTEST:
                level.append(((ay + by) / 2, min(ax, bx), max(ax, bx)))
            elif abs(ax - bx) <= _STRAIGHT and abs(ay - by) >= _SHORTEST:
                upright.append(((ax + bx) / 2, min(ay, by), max(ay, by)))
        if len(level) + len(upright) > _MOST_STROKES:
            return [], []
    return level, upright


def _segments(pdfium: Any, path: Any) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """The straight pieces of a path in the page's own coordinates; rectangles are closed."""
    matrix = pdfium.FS_MATRIX()
    pdfium.FPDFPageObj_GetMatrix(path, matrix)
    x, y = c_float(), c_float()
    first = before = None
    for index in range(min(pdfium.FPDFPath_CountSegments(path), _MOST_STROKES)):
        segment = pdfium.FPDFPath_GetPathSegment(path, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        at = (
            matrix.a * x.value + matrix.c * y.value + matrix.e,
            matrix.b * x.value + matrix.d * y.value + matrix.f,
        )
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            first = at
        elif kind == pdfium.FPDF_SEGMENT_LINETO and before is not None:
            yield before, at
        if first is not None and pdfium.FPDFPathSegment_GetClose(segment):
            yield at, first
        before = at
