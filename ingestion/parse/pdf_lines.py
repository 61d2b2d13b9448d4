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
_ENDS = frozenset((*_HYPHENS, 0x0A, 0x0D))
_BLANK, _PLAIN = 0x20, 0xD800  # between them a code point is a letter, a sign or a blank
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
    _measured: tuple[int, float, bool] = field(default=(0, 0.0, False), repr=False, compare=False)

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
        return self._measure()[1]

    @property
    def bold(self) -> bool:
        return self._measure()[2]

    def _measure(self) -> tuple[int, float, bool]:
        """Height and weight, asked for many times a line; measured again once words are added."""
        if self._measured[0] != len(self.words):
            sizes: dict[float, int] = {}
            for word in self.words:
                size = round(word.height * 2) / 2
                sizes[size] = sizes.get(size, 0) + len(word.text)
            worded = [word for word in self.words if any(c.isalnum() for c in word.text)]
            bold = bool(worded) and all(word.bold for word in worded)
            height = max(sizes, key=lambda size: sizes[size])
            self._measured = (len(self.words), height, bold)
        return self._measured

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
    """The loop that runs for every character of a document: plain comparisons, in the page's own
    coordinates; the map to the page as shown is asked for once a word."""
    raw, rect = sheet.raw, pdfium.FS_RECTF()
    unicode_of, box_of, where = (
        pdfium.FPDFText_GetUnicode,
        pdfium.FPDFText_GetLooseCharBox,
        ctypes.byref(rect),
    )
    on_its_side = abs(point(1, 0)[0] - point(0, 0)[0]) < 0.5  # the page is shown a quarter turned
    line, letters = Line(), list[str]()
    x0 = y0 = x1 = y1 = 0.0
    first, height, on_side = 0, 0.0, False

    def end_word() -> None:
        text = clean("".join(letters))
        letters.clear()
        if text:
            box = (y0, x0, y1, x1) if on_its_side else (x0, y0, x1, y1)
            bold = _is_bold(pdfium, raw, first)
            line.words.append(PdfWord(text, Box(number, *_box(point, box)), height, bold, on_side))

    for index in range(sheet.count_chars()):
        code = unicode_of(raw, index)
        if code == _BLANK:
            if letters:
                end_word()
            continue
        if code in _ENDS:
            if letters:
                end_word()
            if line.words:
                line.hyphenated = code in _HYPHENS
                yield line
                line = Line()
            continue
        letter = chr(code) if _BLANK < code < _PLAIN else _letter(code)
        if letter.isspace():
            if letters:
                end_word()
            continue
        box_of(raw, index, where)
        left, low, right, high = rect.left, rect.bottom, rect.right, rect.top
        if on_its_side:
            left, low, right, high = low, left, high, right
        if left > right:
            left, right = right, left
        if low > high:
            low, high = high, low
        follows = turned = False
        if letters or line.words:
            follows = (high if high < y1 else y1) > (low if low > y0 else y0)
        if not follows:
            turned = _is_turned(pdfium, raw, index, turn)
            follows = turned and (right if right < x1 else x1) > (left if left > x0 else x0)
        if letters and follows:
            x0, y0 = left if left < x0 else x0, low if low < y0 else y0
            x1, y1 = right if right > x1 else x1, high if high > y1 else y1
        else:
            if letters:
                end_word()
            if line.words and not follows:
                yield line
                line = Line()
            x0, y0, x1, y1, first = left, low, right, high, index
            on_side = turned or (on_side and follows)
            height = right - left if on_side else high - low
        letters.append(letter)
    if letters:
        end_word()
    if line.words:
        yield line


def _letter(code: int) -> str:
    """One code point as text; ligatures and presentation forms are taken apart."""
    if 0xFB00 <= code <= 0xFDFF or 0xFE70 <= code <= 0xFEFC:
        import unicodedata

        return unicodedata.normalize("NFKC", chr(code))
    return chr(code) if 0 < code <= 0x10FFFF else "\ufffd"


def _is_turned(pdfium: Any, sheet: Any, index: int, turn: float) -> bool:
    """Whether the character stands on its side on the page as it is shown."""
    return abs(math.sin(pdfium.FPDFText_GetCharAngle(sheet, index) - turn)) > 0.7


def _box(point: Point, box: Rect) -> Rect:
    ax, ay = point(box[0], box[1])
    bx, by = point(box[2], box[3])
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
