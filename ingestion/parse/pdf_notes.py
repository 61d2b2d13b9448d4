"""What a page of a PDF shows beside its text: the values of form fields, text written on it and
remarks pinned to it. pdfium keeps all of them out of a page's text."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from ingestion.parse.pdf_lines import Line, PdfWord
from ingestion.parse.pdf_text import to_top_left
from ingestion.parse.transcript import squeeze
from rag.domain import Box

_MOST = 2_000  # annotations of one page that are looked at
_HIDDEN = 0x02 | 0x20  # flags of ISO 32000-1, 12.5.3: hidden, not viewed
_INSIDE = 2.0  # points that a line may reach into a note beside it
_OFF = ("", "Off")


@dataclass(frozen=True, slots=True)
class Note:
    """`text` as it is told, `box` where it stands; `drawn` on the page as its own words are, not
    opened by a click."""

    text: str
    box: Box
    drawn: bool


def page_notes(page: Any, number: int) -> list[Note]:
    """The notes of a pypdfium2 page, which is page `number` (from 1), in the file's order."""
    return list(_notes(page, number))


def _notes(page: Any, number: int) -> Iterator[Note]:
    import pypdfium2.raw as pdfium

    count = min(pdfium.FPDFPage_GetAnnotCount(page), _MOST)
    if count <= 0:
        return
    silent = (pdfium.FPDF_ANNOT_LINK, pdfium.FPDF_ANNOT_POPUP)  # by far the most, say nothing
    point = None
    for index in range(count):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind in silent or pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
                continue
            point = point or to_top_left(pdfium, page)
            text = squeeze(_said(pdfium, annotation, kind))
            rect = pdfium.FS_RECTF()
            if text and pdfium.FPDFAnnot_GetRect(annotation, rect):
                (ax, ay), (bx, by) = point(rect.left, rect.bottom), point(rect.right, rect.top)
                box = Box(number, min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
                drawn = kind in (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT)
                yield Note(text, box, drawn)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _said(pdfium: Any, annotation: Any, kind: int) -> str:
    if kind == pdfium.FPDF_ANNOT_WIDGET:
        return _value(pdfium, annotation)
    words = _string(pdfium, annotation, b"Contents")
    if not words or kind == pdfium.FPDF_ANNOT_FREETEXT:
        return words
    author = _string(pdfium, annotation, b"T")
    return f"Comment by {author}: {words}" if author else f"Comment: {words}"


def _value(pdfium: Any, annotation: Any) -> str:
    """What is filled in: a field's value, for a box that is ticked what it is called."""
    value = _string(pdfium, annotation, b"V") or _inherited(pdfium, annotation, b"V")
    state = _string(pdfium, annotation, b"AS")
    if state:  # a box or button: its value is the name of a state
        name = _string(pdfium, annotation, b"TU") or _string(pdfium, annotation, b"T")
        return "" if state in _OFF else f"[x] {name}"
    return value


def _inherited(pdfium: Any, annotation: Any, key: bytes) -> str:
    """The value of the field that the annotation is one of several places of."""
    parent = pdfium.FPDFAnnot_GetLinkedAnnot(annotation, b"Parent")
    if not parent:
        return ""
    try:
        return _string(pdfium, parent, key)
    finally:
        pdfium.FPDFPage_CloseAnnot(parent)


def _string(pdfium: Any, annotation: Any, key: bytes) -> str:
    size = pdfium.FPDFAnnot_GetStringValue(annotation, key, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    wide = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
    pdfium.FPDFAnnot_GetStringValue(annotation, key, wide, size)
    return buffer.raw[: size - 2].decode("utf-16-le", "replace")


def with_notes(lines: list[Line], notes: Sequence[Note]) -> list[Line]:
    """The lines of a page with what is drawn beside its text where it is read: on the line that it
    stands on, else between the lines above and below."""
    lines = list(lines)
    height = median(line.height for line in lines) if lines else 0.0
    for note in notes:
        words = _words(note, height)
        middle = (note.box.y0 + note.box.y1) / 2
        on = [
            line for line in lines
            if not line.turned and line.y0 <= middle <= line.y1 and line.x1 <= note.box.x0 + _INSIDE
        ]  # fmt: skip
        if on:
            nearest = max(on, key=lambda line: line.x1)
            lines[lines.index(nearest)] = Line([*nearest.words, *words])
            continue
        below = (at for at, line in enumerate(lines) if line.y0 > middle)
        lines.insert(next(below, len(lines)), Line(words))
    return lines


def _words(note: Note, height: float) -> list[PdfWord]:
    """The note's words, which share its width by their letters."""
    box, words = note.box, note.text.split()
    step = (box.x1 - box.x0) / (len(note.text) or 1)
    found, at = [], box.x0
    for word in words:
        end = at + step * len(word)
        place = Box(box.page, at, box.y0, end, box.y1)
        found.append(PdfWord(word, place, height or box.y1 - box.y0, bold=False))
        at = end + step
    return found
