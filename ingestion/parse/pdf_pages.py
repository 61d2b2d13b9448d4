"""The lines of each page of a PDF: its text layer where that is good, else what is recognised on
the page's picture. Decided page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.ocr import LONGEST_SIDE, Recogniser, installed
from ingestion.parse.pdf_lines import Line
from ingestion.parse.pdf_tables import Grid, grids
from ingestion.parse.pdf_text import page_lines
from ingestion.parse.quality import garbled
from rag.errors import UnreadableDocument

_FEW = 60  # characters of a page that may be a stamp on a scan
_COVERING = 0.5  # share of the page under pictures from which it may be a scan
_SHOWN = 0.02  # share of the page under pictures below which a page without text is blank
_MOST_OBJECTS = 2_000  # looked at of one page
_BIGGEST_SCALE = 4.0


@dataclass(frozen=True, slots=True)
class Page:
    """`height` in points; `ruled` are the grids of its tables."""

    lines: list[Line]
    height: float
    ruled: list[Grid]


class Pages:
    """`recognised` counts pages read as pictures, `unread` those that show something that was not
    read, `left` those among them that there was no time for."""

    def __init__(self, document: Any, limits: Limits) -> None:
        self._document = document
        self._recogniser = Recogniser(limits.seconds) if installed() else None
        self.recognised = 0
        self.unread = 0
        self.garbled = 0

    @property
    def left(self) -> int:
        return 0 if self._recogniser is None else self._recogniser.left

    def read(self, index: int) -> Page:
        """Page `index` (from 0). Raises UnreadableDocument for a damaged page."""
        import pypdfium2

        try:
            page = self._document[index]
        except pypdfium2.PdfiumError as exc:
            raise UnreadableDocument(
                f"page {index + 1} of the PDF is damaged ({exc}); save or print it to PDF again"
            ) from exc
        try:
            lines = page_lines(page, index + 1)
            better = self._better(page, index + 1, lines)
            ruled = grids(page) if better and better is lines else []
            return Page(better, page.get_height(), ruled)
        finally:
            page.close()

    def _better(self, page: Any, number: int, lines: list[Line]) -> list[Line]:
        text = " ".join(line.text for line in lines)
        nonsense = garbled(text)
        if not nonsense and not _is_picture(page, len(text)):
            return lines
        self.garbled += nonsense
        found = self._recognised(page, number)
        if sum(len(line.text) for line in found) > (0 if nonsense else len(text)):
            self.recognised += 1
            return found
        self.unread += nonsense or not lines
        return [] if nonsense else lines

    def _recognised(self, page: Any, number: int) -> list[Line]:
        if self._recogniser is None:
            return []
        scale = min(LONGEST_SIDE / max(*page.get_size(), 1.0), _BIGGEST_SCALE)
        image = page.render(scale=scale).to_pil()
        return self._recogniser.lines(image, number, page.get_width() / image.width)


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
