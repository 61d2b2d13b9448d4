"""PDF as readable text, every word with its place on the page."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.members import Members, file_name, listing
from ingestion.parse.ocr import MISSING, installed
from ingestion.parse.pdf_blocks import (
    PageBlock,
    add_page_block,
    goes_on,
    over_pages,
    style_of,
)
from ingestion.parse.pdf_lines import Line
from ingestion.parse.pdf_pages import Page, Pages
from ingestion.parse.pdf_tables import blocks_with_tables
from ingestion.parse.transcript import Transcript
from rag.domain import BlockKind, Member, MetadataValue, Parsed
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
    for too many pages or more scanned ones than there is time for, EmptyDocument where there is
    no text and none is recognised."""
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
    pages = Pages(document, limits)
    step = max(1, -(-count // _SAMPLE))
    sample = {index: pages.read(index) for index in range(0, count, step)}
    style = style_of(page.lines for page in sample.values())
    margins = _Margins(sample)
    transcript = Transcript(limits)
    held: PageBlock | None = None
    for index in range(count):
        page = sample.pop(index) if index in sample else pages.read(index)
        blocks = list(blocks_with_tables(margins.without(page), page.ruled, style))
        if held and blocks and goes_on(held, blocks[0]):
            held = over_pages(held, blocks.pop(0))
        if held and blocks:
            add_page_block(transcript, held)
            held = None
        for block in blocks[:-1]:
            add_page_block(transcript, block)
        held = blocks[-1] if blocks else held
        if held and page.remarks:
            add_page_block(transcript, held)
            held = None
        for note in page.remarks:
            transcript.add(BlockKind.PARAGRAPH, note.text, page=index + 1, boxes=(note.box,))
    if held:
        add_page_block(transcript, held)
    _check_left(pages, count, limits)
    members = _attached(document, limits)
    if members:
        names = listing(member.name for member in members)
        transcript.add(BlockKind.LIST, f"Attached:\n{names}", page=count or None)
    title, metadata = _metadata(document)
    metadata |= _told(pages)
    return transcript.finish(
        MEDIA_TYPE, title=title, pages=count, metadata=metadata, members=members,
        nothing=_nothing(pages, count),
    )  # fmt: skip


def _attached(document: Any, limits: Limits) -> tuple[Member, ...]:
    """The files that are attached to the PDF. Raises LimitExceeded, UnreadableDocument."""
    import pypdfium2

    members = Members(limits)
    for number in range(document.count_attachments()):
        try:
            attachment = document.get_attachment(number)
            name, data = attachment.get_name(), bytes(attachment.get_data())
        except pypdfium2.PdfiumError as exc:
            raise UnreadableDocument(
                f"file {number + 1} that is attached to the PDF is damaged ({exc}); attach it "
                "anew, or save the PDF without it"
            ) from exc
        if data:
            members.add(file_name(name, f"attachment-{number + 1}"), data)
    return members.all()


def _check_left(pages: Pages, count: int, limits: Limits) -> None:
    """Raise LimitExceeded where too little of a scan was read for its text to stand for it,
    UnreadableDocument where no page can be opened."""
    if count and pages.damaged == count:
        raise UnreadableDocument("all pages of the PDF are damaged; save or print it to PDF again")
    if pages.left > count - pages.unread:
        raise LimitExceeded(
            f"{pages.recognised + pages.unread} of {count} pages are pictures of text, and "
            f"recognising it takes longer than {limits.seconds:g} seconds ({pages.left} are left): "
            "split the PDF, raise parse_seconds, or recognise its text (OCR) elsewhere"
        )


def _told(pages: Pages) -> dict[str, MetadataValue]:
    told = {
        "pages_recognised": pages.recognised,
        "pages_without_text": pages.unread,
        "pages_damaged": pages.damaged,
        "pages_with_unread_pictures": pages.pictures_unread,
    }
    return {name: value for name, value in told.items() if value}


def _nothing(pages: Pages, count: int) -> str:
    if count == 0:
        return "the PDF has no pages"
    if not pages.unread:
        return "the PDF's pages are blank"
    why = (
        "the PDF's letters are coded so that they cannot be read as text"
        if pages.garbled
        else "the PDF holds pictures only (a scan without a text layer)"
    )
    return f"{why}, and no text was recognised on them" if installed() else f"{why}; {MISSING}"


class _Margins:
    """Running heads: lines at the top or bottom edge that come back on most pages (numbers apart).
    The first stays in the text, the others and bare page numbers do not cut sentences in two."""

    def __init__(self, sample: dict[int, Page]) -> None:
        seen: Counter[str] = Counter()
        for page in sample.values():
            seen.update({_masked(line) for line in page.lines if _at_edge(line, page.height)})
        enough = max(3, len(sample) // 2)
        self.running = {text for text, pages in seen.items() if pages >= enough}
        self.kept: set[str] = set()

    def without(self, page: Page) -> list[Line]:
        return [line for line in page.lines if not _at_edge(line, page.height) or self._keep(line)]

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
