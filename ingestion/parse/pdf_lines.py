"""A PDF page as lines of words with their boxes, in the order in which pdfium reads them.

The raw character loop is used: it is the fast one, and it alone gives box, size and font of every
character. Boxes come out in points from the top left of the page as it is shown, rotation included.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingestion.parse.transcript import clean
from rag.domain import Box

_HYPHENS = (0x02, 0xFFFE)  # how pdfium reports the hyphen of a word that is broken over two lines
_BREAKS = (0x0A, 0x0D)
_BOLD_WEIGHT = 600
_BOLD_NAMES = ("bold", "black", "heavy")
_FINE = 1000  # device units a point, since pdfium maps to whole numbers

Point = Callable[[float, float], tuple[float, float]]


@dataclass(slots=True)
class PdfWord:
    """Characters without a blank between them. `height` is the font's line height in points."""

    text: str
    box: Box
    height: float
    bold: bool


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
        return all(word.bold for word in self.words if any(c.isalnum() for c in word.text))

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


def page_lines(page: Any, number: int) -> list[Line]:
    """The lines of a pypdfium2 page, which is page `number` (from 1)."""
    import pypdfium2.raw as pdfium

    sheet = page.get_textpage()
    try:
        return list(_lines(pdfium, sheet, number, _to_top_left(pdfium, page)))
    finally:
        sheet.close()


def _lines(pdfium: Any, sheet: Any, number: int, point: Point) -> Iterator[Line]:
    line = Line()
    letters: list[str] = []
    box = (0.0, 0.0, 0.0, 0.0)
    first = 0
    rect = pdfium.FS_RECTF()

    def end_word() -> None:
        if letters:
            text = clean("".join(letters))
            if text:
                bold = _is_bold(pdfium, sheet, first)
                line.words.append(PdfWord(text, Box(number, *box), box[3] - box[1], bold))
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
        if letters and at[1] < box[3] and at[3] > box[1]:
            box = (min(box[0], at[0]), min(box[1], at[1]), max(box[2], at[2]), max(box[3], at[3]))
        else:
            end_word()
            if line.words and not _beside(line.words[-1].box, at):
                yield line
                line = Line()
            box, first = at, index
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


def _beside(box: Box, at: tuple[float, float, float, float]) -> bool:
    return min(box.y1, at[3]) > max(box.y0, at[1])


def _box(point: Point, rect: Any) -> tuple[float, float, float, float]:
    ax, ay = point(rect.left, rect.top)
    bx, by = point(rect.right, rect.bottom)
    return min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)


def _to_top_left(pdfium: Any, page: Any) -> Point:
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
