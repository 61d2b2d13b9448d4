"""The lines of each page of a PDF: its text layer where that is good, else what is recognised on
the page's picture. Decided page by page."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.ocr import LONGEST_SIDE, Recogniser, installed
from ingestion.parse.pdf_lines import Line
from ingestion.parse.pdf_notes import Note, page_notes, with_notes
from ingestion.parse.pdf_tables import Grid, grids
from ingestion.parse.pdf_text import page_lines, to_top_left
from ingestion.parse.quality import garbled

_FEW = 60  # characters of a page that may be a stamp on a scan
_HEAD = 1_200  # characters that may be printed above a scan; a page with more is no scan
_COVERING = 0.5  # share of the page under pictures from which it may be a scan
_SHOWN = 0.02  # share of the page under pictures below which a page without text is blank
_MOST_OBJECTS = 2_000  # looked at of one page
_BIGGEST_SCALE = 4.0


@dataclass(frozen=True, slots=True)
class Page:
    """`height` in points; `ruled` are the grids of its tables; `remarks` are pinned to it."""

    lines: list[Line]
    height: float
    ruled: list[Grid]
    remarks: tuple[Note, ...] = ()


class Pages:
    """`recognised` counts pages read as pictures, `unread` those that show something that was not
    read, `left` those among them that there was no time for, `damaged` those that cannot be
    opened, `pictures_unread` those whose text was read and a scan that covers most of them not."""

    def __init__(self, document: Any, limits: Limits) -> None:
        self._document = document
        self._recogniser = Recogniser(limits.seconds) if installed() else None
        self.recognised = 0
        self.unread = 0
        self.garbled = 0
        self.damaged = 0
        self.pictures_unread = 0

    @property
    def left(self) -> int:
        return 0 if self._recogniser is None else self._recogniser.left

    def read(self, index: int) -> Page:
        """Page `index` (from 0); an empty one in place of one that is damaged."""
        import pypdfium2

        try:
            page = self._document[index]
        except pypdfium2.PdfiumError:
            self.damaged += 1
            return Page([], 0.0, [])
        try:
            lines = page_lines(page, index + 1)
            better = self._better(page, index + 1, lines)
            ruled = grids(page) if better and better is lines else []
            notes = page_notes(page, index + 1)
            if notes:
                better = with_notes(better, [note for note in notes if note.drawn])
            remarks = tuple(note for note in notes if not note.drawn)
            return Page(better, page.get_height(), ruled, remarks)
        finally:
            page.close()

    def _better(self, page: Any, number: int, lines: list[Line]) -> list[Line]:
        text = " ".join(line.text for line in lines)
        nonsense = garbled(text)
        if not nonsense and not _is_picture(page, len(text)):
            return self._with_scan(page, number, lines)
        self.garbled += nonsense
        found = self._recognised(page, number)
        if sum(len(line.text) for line in found) > (0 if nonsense else len(text)):
            self.recognised += 1
            return found
        self.unread += nonsense or not lines
        return [] if nonsense else lines

    def _with_scan(self, page: Any, number: int, lines: list[Line]) -> list[Line]:
        """The lines, and those recognised on a picture that covers most of the page and on which
        hardly any of them stand: a scan under a printed head."""
        if sum(len(line.text) for line in lines) > _HEAD:
            return lines
        covering = _covering_picture(page)
        if covering is None or sum(len(line.text) for line in lines if covering(line)) > _FEW:
            return lines
        if self._recogniser is None or not self._recogniser.has_time():
            self.pictures_unread += 1
            return lines
        found = [line for line in self._recognised(page, number) if covering(line)]
        if not found:
            return lines
        self.recognised += 1
        outside = [line for line in lines if not covering(line)]
        top = min(line.y0 for line in found)
        above = [line for line in outside if line.y0 < top]
        return above + found + [line for line in outside if line.y0 >= top]

    def _recognised(self, page: Any, number: int) -> list[Line]:
        if self._recogniser is None:
            return []
        scale = min(LONGEST_SIDE / max(*page.get_size(), 1.0), _BIGGEST_SCALE)
        image = page.render(scale=scale).to_pil()
        return self._recogniser.lines(image, number, page.get_width() / image.width)


def _covering_picture(page: Any) -> Callable[[Line], bool] | None:
    """Whether a line stands on the one picture that covers most of the page; None where there is
    no such picture."""
    import pypdfium2.raw as pdfium

    if pdfium.FPDFPage_CountObjects(page) > _MOST_OBJECTS:
        return None
    width, height = page.get_size()
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        thing = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(thing) != pdfium.FPDF_PAGEOBJ_IMAGE:
            continue
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        if not pdfium.FPDFPageObj_GetBounds(thing, left, bottom, right, top):
            continue
        point = to_top_left(pdfium, page)
        (ax, ay), (bx, by) = point(left.value, bottom.value), point(right.value, top.value)
        x0, x1, y0, y1 = min(ax, bx), max(ax, bx), min(ay, by), max(ay, by)
        if (x1 - x0) * (y1 - y0) > _COVERING * max(width * height, 1.0):
            return lambda line: (
                x0 <= (line.x0 + line.x1) / 2 <= x1 and y0 <= (line.y0 + line.y1) / 2 <= y1
            )
    return None


def _is_picture(page: Any, characters: int) -> bool:
    """Whether a page with so little text shows more than its text says: a scan, or letters drawn as
    outlines."""
    if characters > _FEW:
        return False
    import pypdfium2
    import pypdfium2.raw as pdfium

    width, height = page.get_size()
    covered, outlines = 0.0, 0
    try:
        for number, thing in enumerate(page.get_objects(max_depth=3)):
            if number > _MOST_OBJECTS:
                break
            if thing.type == pdfium.FPDF_PAGEOBJ_IMAGE:
                left, bottom, right, top = thing.get_bounds()
                covered += abs((right - left) * (top - bottom)) / max(width * height, 1.0)
            outlines += thing.type == pdfium.FPDF_PAGEOBJ_PATH
    except pypdfium2.PdfiumError:
        return characters == 0
    if characters:
        return covered > _COVERING
    return covered > _SHOWN or outlines > 20
