"""PDF as readable text, every word with its place on the page."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.pdf_blocks import PageBlock, goes_on, over_pages, page_blocks, style_of
from ingestion.parse.pdf_lines import Line, page_lines
from ingestion.parse.transcript import Transcript
from rag.domain import MetadataValue, Parsed
from rag.errors import EncryptedDocument, LimitExceeded, UnreadableDocument

MEDIA_TYPE = "application/pdf"
_SAMPLE = 60  # pages that are read for what is usual in the document
_MARGIN = 0.09  # share of the page's height where running heads and page numbers stand
_NUMBER = re.compile(r"(?:page|seite|p\.)?\s*[-–]?\s*\d{1,5}\s*[-–]?(?:\s*(?:of|von|/)\s*\d{1,5})?")
_ROMAN = re.compile(r"[ivxlc]{1,7}")
_BAD_TITLES = re.compile(
    r"^(?:untitled|microsoft word|\(?unspecified)|\.(?:docx?|indd|qxd|tex)$", re.I
)


def parse_pdf(data: bytes, limits: Limits) -> Parsed:
    """Parse a PDF. Raises EncryptedDocument, UnreadableDocument when it is damaged, LimitExceeded
    for too many pages, EmptyDocument when it is a scan without a text layer."""
    document = _open(data)
    try:
        count = len(document)
        if count > limits.pages:
            raise LimitExceeded(
                f"the PDF has {count:,} pages; {limits.pages:,} are allowed: split it"
            )
        return _read(document, count, limits)
    finally:
        document.close()


def _open(data: bytes) -> Any:
    import pypdfium2

    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as exc:
        if "password" in str(exc).lower():
            raise EncryptedDocument(
                "the PDF is protected by a password; save a copy without one"
            ) from exc
        raise UnreadableDocument(
            f"the PDF is damaged or cut short ({exc}); save or download it again"
        ) from exc


def _read(document: Any, count: int, limits: Limits) -> Parsed:
    step = max(1, -(-count // _SAMPLE))
    sample = {index: _lines(document, index) for index in range(0, count, step)}
    style = style_of(lines for lines, _ in sample.values())
    margins = _Margins(sample)
    transcript = Transcript(limits)
    held: PageBlock | None = None
    blank = 0
    for index in range(count):
        lines, height = sample.pop(index) if index in sample else _lines(document, index)
        blank += not lines
        blocks = list(page_blocks(margins.without(lines, height), style))
        if held and blocks and goes_on(held, blocks[0]):
            held = over_pages(held, blocks.pop(0))
        if held and blocks:
            _add(transcript, held)
            held = None
        for block in blocks[:-1]:
            _add(transcript, block)
        held = blocks[-1] if blocks else held
    if held:
        _add(transcript, held)
    title, metadata = _metadata(document)
    if blank and transcript.blocks:
        metadata["pages_without_text"] = blank
    return transcript.finish(
        MEDIA_TYPE,
        title=title,
        pages=count,
        metadata=metadata,
        nothing=(
            "the PDF has no pages"
            if count == 0
            else "the PDF holds pictures of text only (a scan without a text layer) or nothing; "
            "recognise its text (OCR) and upload the result"
        ),
    )


def _add(transcript: Transcript, block: PageBlock) -> None:
    transcript.add(
        block.kind,
        block.text,
        level=block.level,
        page=block.boxes[0].page,
        boxes=block.boxes,
        words=block.words,
    )


def _lines(document: Any, index: int) -> tuple[list[Line], float]:
    """A page's lines and its height in points."""
    import pypdfium2

    try:
        page = document[index]
    except pypdfium2.PdfiumError as exc:
        raise UnreadableDocument(
            f"page {index + 1} of the PDF is damaged ({exc}); save or print it to PDF again"
        ) from exc
    try:
        return page_lines(page, index + 1), page.get_height()
    finally:
        page.close()


class _Margins:
    """Running heads: lines at the top or bottom edge that come back on most pages (numbers apart).
    The first stays in the text, the others and bare page numbers do not cut sentences in two."""

    def __init__(self, sample: dict[int, tuple[list[Line], float]]) -> None:
        seen: Counter[str] = Counter()
        for lines, height in sample.values():
            seen.update({_masked(line) for line in lines if _at_edge(line, height)})
        enough = max(3, len(sample) // 2)
        self.running = {text for text, pages in seen.items() if pages >= enough}
        self.kept: set[str] = set()

    def without(self, lines: list[Line], height: float) -> list[Line]:
        return [line for line in lines if not _at_edge(line, height) or self._keep(line)]

    def _keep(self, line: Line) -> bool:
        text = line.text.strip().lower()
        if _NUMBER.fullmatch(text) or _ROMAN.fullmatch(text):
            return False
        masked = _masked(line)
        if masked not in self.running:
            return True
        first = masked not in self.kept
        self.kept.add(masked)
        return first


def _masked(line: Line) -> str:
    return re.sub(r"\d+", "#", line.text.strip().lower())


def _at_edge(line: Line, height: float) -> bool:
    return line.y1 < _MARGIN * height or line.y0 > (1 - _MARGIN) * height


def _metadata(document: Any) -> tuple[str, dict[str, MetadataValue]]:
    entries: dict[str, str] = document.get_metadata_dict()
    title = entries.get("Title", "").strip()
    author = entries.get("Author", "").strip()
    found: dict[str, MetadataValue] = {"author": author} if author else {}
    return ("" if _BAD_TITLES.search(title) else title), found
