"""The text layer of a PDF page as lines of words with their boxes, in the order in which pdfium
reads them, rotation and crop box included."""

from __future__ import annotations

import ctypes
import math
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby, pairwise, repeat
from typing import Any

import numpy as np

from ingestion.parse.pdf_calls import direct
from ingestion.parse.pdf_characters import Characters, Floats, Integers, characters
from ingestion.parse.pdf_lines import Line, PdfWord
from ingestion.parse.pdf_parting import part_lines
from ingestion.parse.pdf_words import word_starts
from ingestion.parse.transcript import clean
from rag.domain import Box

_BOLD_WEIGHT = 600
_BOLD_NAMES = ("bold", "black", "heavy")
_CELL = 18  # line heights that a cell may be wide; a line of the next column is wider
_FINE = 1000  # device units a point, since pdfium maps to whole numbers
_WIDEST = 2.0**30  # device units of a page
_EDGES = (np.minimum, np.minimum, np.maximum, np.maximum)  # of a box around several

Point = Callable[[Any, Any], tuple[Any, Any]]


def page_lines(page: Any, number: int) -> list[Line]:
    """The lines of a pypdfium2 page, which is page `number` (from 1)."""
    sheet = page.get_textpage()
    try:
        found = characters(sheet)
        lines = list(_rejoined(_lines(page, sheet, found, number))) if found.text else []
    finally:
        sheet.close()
    lines = _sideways_in_order(lines)
    part_lines(lines)
    return lines


def _sideways_in_order(lines: list[Line]) -> list[Line]:
    """Lines that stand on their side and come last first, the other way round: those that are read
    downwards follow each other from right to left."""
    ordered: list[Line] = []
    for turned, group in groupby(lines, key=lambda line: line.turned):
        run = list(group)
        steps = [below.x0 - above.x0 for above, below in pairwise(run)]
        down = sum(line.words[-1].box.y0 - line.words[0].box.y0 for line in run) > 0
        if turned and steps and all(step > 0 if down else step < 0 for step in steps):
            run.reverse()
        ordered += run
    return ordered


def _rejoined(lines: Iterator[Line]) -> Iterator[Line]:
    """Lines with the pieces that stand on them but were told apart: raised notes, formulas."""
    held: Line | None = None
    for line in lines:
        if held and _continues(held, line):
            held.words.extend(line.words)
            held.hyphenated = line.hyphenated
            continue
        if held:
            yield held
        held = line
    if held:
        yield held


def _continues(line: Line, piece: Line) -> bool:
    if line.hyphenated or line.turned or piece.turned:
        return False
    last, first = line.words[-1].box, piece.words[0].box
    gap = first.x0 - last.x1
    if gap > 0.8 * line.height:
        overlap = min(line.y1, first.y1) - max(line.y0, first.y0)
        if overlap > 0.7 * max(line.height, piece.height):
            return piece.x1 - piece.x0 < _CELL * piece.height  # the next cell of a row
        return False
    if gap < -0.3 * line.height:
        return False
    overlap = min(line.y1, first.y1) - max(line.y0, first.y0)
    return overlap > 0.35 * min(last.y1 - last.y0, first.y1 - first.y0)


def _lines(page: Any, sheet: Any, found: Characters, number: int) -> Iterator[Line]:
    import pypdfium2.raw as pdfium

    point = to_top_left(pdfium, page)
    quarter = abs(point(1, 0)[0] - point(0, 0)[0]) < 0.5  # the page is shown on its side
    boxes = found.boxes[:, [1, 0, 3, 2]] if quarter else found.boxes
    turn = math.radians(page.get_rotation())

    def is_turned(index: int) -> bool:
        """Whether the character stands on its side on the page as it is shown."""
        angle = pdfium.FPDFText_GetCharAngle(sheet, int(found.places[index]))
        return abs(math.sin(angle - turn)) > 0.7

    starts = word_starts(found, boxes, is_turned)
    first = starts.first
    around = [reduce.reduceat(boxes[:, edge], first) for edge, reduce in enumerate(_EDGES)]
    if quarter:
        around = [around[1], around[0], around[3], around[2]]
    width, height = boxes[first, 2] - boxes[first, 0], boxes[first, 3] - boxes[first, 1]
    words = zip(
        _texts(found.text, first),
        _shown(point, around).tolist(),
        np.where(starts.on_side, width, height).tolist(),
        _bold(pdfium, sheet, found.places[first].tolist()),
        starts.on_side.tolist(),
        starts.opens.tolist(),
        found.rows[first].tolist(),
        strict=True,
    )
    line, row = Line(), -1
    for text, box, size, bold, turned, opens, row_now in words:
        if opens and line.words:
            line.hyphenated = row_now != row and row in found.hyphenated
            yield line
            line = Line()
        row = row_now
        if text:
            line.words.append(PdfWord(text, Box(number, *box), size, bold, turned))
    if line.words:
        line.hyphenated = row in found.hyphenated
        yield line


def _texts(text: str, first: Integers) -> list[str]:
    words = [text[start:end] for start, end in pairwise([*first.tolist(), len(text)])]
    if text.isascii() and text.isprintable():
        return words
    return [word if word.isascii() and word.isprintable() else _plain(word) for word in words]


def _plain(word: str) -> str:
    """Ligatures and presentation forms are taken apart, what no reader sees is left out."""
    return clean(
        "".join(
            unicodedata.normalize("NFKC", c)
            if "\ufb00" <= c <= "\ufdff" or "\ufe70" <= c <= "\ufefc"
            else c
            for c in word
        )
    )


def _shown(point: Point, around: Sequence[Floats]) -> Floats:
    """Boxes (m, 4) in points from the top left of the page as shown."""
    (ax, ay), (bx, by) = point(around[0], around[1]), point(around[2], around[3])
    edges = np.minimum(ax, bx), np.minimum(ay, by), np.maximum(ax, bx), np.maximum(ay, by)
    return np.stack(edges, axis=1)


def to_top_left(pdfium: Any, page: Any) -> Point:
    """The map from a page's own coordinates to points from the top left of the page as shown. It
    is affine, so three points of pdfium's own map give it (crop box and rotation included)."""
    width, height = page.get_size()
    fine = min(_FINE, _WIDEST / max(width, height, 1.0))

    def shown(x: float, y: float) -> tuple[float, float]:
        px, py = ctypes.c_int(), ctypes.c_int()
        size = (round(width * fine), round(height * fine))
        pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, px, py)
        return px.value / fine, py.value / fine

    (ox, oy), (ax, ay), (bx, by) = shown(0, 0), shown(1000, 0), shown(0, 1000)
    xx, xy, yx, yy = (ax - ox) / 1000, (ay - oy) / 1000, (bx - ox) / 1000, (by - oy) / 1000
    return lambda x, y: (ox + xx * x + yx * y, oy + xy * x + yy * y)


def _bold(pdfium: Any, sheet: Any, places: Sequence[int]) -> list[bool]:
    """Whether each of these characters is bold; asked once for each piece of the page's text that
    was written in one go, which has one font."""
    object_of = direct(pdfium.FPDFText_GetTextObject, ctypes.c_void_p)
    pieces = list(map(object_of, repeat(ctypes.cast(sheet.raw, ctypes.c_void_p)), places))
    known: dict[int, bool] = {}
    for piece, place in zip(pieces, places, strict=True):
        if piece not in known:
            known[piece] = _is_bold(pdfium, sheet, place)
    return [known[piece] for piece in pieces]


def _is_bold(pdfium: Any, sheet: Any, place: int) -> bool:
    if pdfium.FPDFText_GetFontWeight(sheet, place) >= _BOLD_WEIGHT:
        return True
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(sheet, place, name, 128, flags)
    return any(mark in name.value.lower().decode("latin-1") for mark in _BOLD_NAMES)
