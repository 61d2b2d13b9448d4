"""A PDF page as lines of words with their boxes, in the order in which pdfium reads them.

The raw character loop is used: it is the fast one, and it alone gives box, size and font of every
character. Boxes come out in points from the top left of the page as it is shown, rotation included.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingestion.parse.transcript import clean
from rag.domain import Box

_HYPHENS = (0x02, 0xFFFE)  # how pdfium reports the hyphen of a word that is broken over two lines
_BREAKS = (0x0A, 0x0D)
_BOLD_WEIGHT = 600
_BOLD_NAMES = ("bold", "black", "heavy")
_CELL = 18  # line heights that a cell may be wide; a line of the next column is wider
_FINE = 1000  # device units a point, since pdfium maps to whole numbers

Rect = tuple[float, float, float, float]
Point = Callable[[float, float], tuple[float, float]]


@dataclass(slots=True)
class PdfWord:
    """Characters without a blank between them. `height` is the font's line height in points;
    `turned` text stands on its side."""

    text: str
    box: Box
    height: float
    bold: bool
    turned: bool = False


@dataclass(slots=True)
class Line:
    """Words on one line. `hyphenated`: the last one goes on in the next line."""

    words: list[PdfWord] = field(default_factory=list)
    hyphenated: bool = False

    @property
    def x0(self) -> float:
        return min(word.box.x0 for word in self.words)

    @property
    def x1(self) -> float:
        return max(word.box.x1 for word in self.words)

    @property
    def y0(self) -> float:
        return min(word.box.y0 for word in self.words)

    @property
    def y1(self) -> float:
        return max(word.box.y1 for word in self.words)

    @property
    def height(self) -> float:
        """The height of most of its characters, in half points."""
        sizes: dict[float, int] = {}
        for word in self.words:
            size = round(word.height * 2) / 2
            sizes[size] = sizes.get(size, 0) + len(word.text)
        return max(sizes, key=lambda size: sizes[size])

    @property
    def bold(self) -> bool:
        worded = [word for word in self.words if any(c.isalnum() for c in word.text)]
        return bool(worded) and all(word.bold for word in worded)

    @property
    def turned(self) -> bool:
        return self.words[0].turned

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def page_lines(page: Any, number: int) -> list[Line]:
    """The lines of a pypdfium2 page, which is page `number` (from 1)."""
    import pypdfium2.raw as pdfium

    sheet = page.get_textpage()
    try:
        turn = math.radians(page.get_rotation())
        return list(_rejoined(_lines(pdfium, sheet, number, to_top_left(pdfium, page), turn)))
    finally:
        sheet.close()


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
    overlap = min(line.y1, first.y1) - max(line.y0, first.y0)
    gap = first.x0 - last.x1
    if gap > 0.8 * line.height and overlap > 0.7 * max(line.height, piece.height):
        return piece.x1 - piece.x0 < _CELL * piece.height  # the next cell of a row
    return overlap > 0.35 * min(last.y1 - last.y0, first.y1 - first.y0) and (
        -0.3 * line.height <= gap <= 0.8 * line.height
    )


def _lines(pdfium: Any, sheet: Any, number: int, point: Point, turn: float) -> Iterator[Line]:
    line = Line()
    letters: list[str] = []
    box: Rect = (0.0, 0.0, 0.0, 0.0)
    first, height, on_side = 0, 0.0, False
    rect = pdfium.FS_RECTF()

    def end_word() -> None:
        if letters:
            text = clean("".join(letters))
            if text:
                bold = _is_bold(pdfium, sheet, first)
                line.words.append(PdfWord(text, Box(number, *box), height, bold, on_side))
            letters.clear()

    for index in range(sheet.count_chars()):
        code = pdfium.FPDFText_GetUnicode(sheet, index)
        if code in _BREAKS or code in _HYPHENS:
            end_word()
            if line.words:
                line.hyphenated = code in _HYPHENS
                yield line
                line = Line()
            continue
        letter = _letter(code)
        if letter.isspace():
            end_word()
            continue
        pdfium.FPDFText_GetLooseCharBox(sheet, index, rect)
        at = _box(point, rect)
        follows = bool(letters or line.words) and _beside(box, at)
        turned = not follows and _is_turned(pdfium, sheet, index, turn)
        follows = follows or (turned and _above(box, at))
        if letters and follows:
            box = (min(box[0], at[0]), min(box[1], at[1]), max(box[2], at[2]), max(box[3], at[3]))
        else:
            end_word()
            if line.words and not follows:
                yield line
                line = Line()
            box, first = at, index
            on_side = turned or (on_side and follows)
            height = at[2] - at[0] if on_side else at[3] - at[1]
        letters.append(letter)
    end_word()
    if line.words:
        yield line


def _letter(code: int) -> str:
    """One code point as text; ligatures and presentation forms are taken apart."""
    if 0xFB00 <= code <= 0xFDFF or 0xFE70 <= code <= 0xFEFC:
        import unicodedata

        return unicodedata.normalize("NFKC", chr(code))
    return chr(code) if 0 < code <= 0x10FFFF else "\ufffd"


def _beside(box: Rect, at: Rect) -> bool:
    """Whether two boxes share a horizontal line."""
    return min(box[3], at[3]) > max(box[1], at[1])


def _above(box: Rect, at: Rect) -> bool:
    """Whether two boxes share a vertical line."""
    return min(box[2], at[2]) > max(box[0], at[0])


def _is_turned(pdfium: Any, sheet: Any, index: int, turn: float) -> bool:
    """Whether the character stands on its side on the page as it is shown."""
    return abs(math.sin(pdfium.FPDFText_GetCharAngle(sheet, index) - turn)) > 0.7


def _box(point: Point, rect: Any) -> Rect:
    ax, ay = point(rect.left, rect.top)
    bx, by = point(rect.right, rect.bottom)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def to_top_left(pdfium: Any, page: Any) -> Point:
    """The map from a page's own coordinates to points from the top left of the page as shown. It
    is affine, so three points of pdfium's own map give it (crop box and rotation included)."""
    width, height = page.get_size()

    def shown(x: float, y: float) -> tuple[float, float]:
        px, py = ctypes.c_int(), ctypes.c_int()
        size = (round(width * _FINE), round(height * _FINE))
        pdfium.FPDF_PageToDevice(page, 0, 0, *size, 0, x, y, px, py)
        return px.value / _FINE, py.value / _FINE

    (ox, oy), (ax, ay), (bx, by) = shown(0, 0), shown(1000, 0), shown(0, 1000)
    xx, xy, yx, yy = (ax - ox) / 1000, (ay - oy) / 1000, (bx - ox) / 1000, (by - oy) / 1000
    return lambda x, y: (ox + xx * x + yx * y, oy + xy * x + yy * y)


def _is_bold(pdfium: Any, sheet: Any, index: int) -> bool:
    if pdfium.FPDFText_GetFontWeight(sheet, index) >= _BOLD_WEIGHT:
        return True
    name, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(sheet, index, name, 128, flags)
    return any(mark in name.value.lower().decode("latin-1") for mark in _BOLD_NAMES)
