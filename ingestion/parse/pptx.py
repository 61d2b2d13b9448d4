"""PPTX: slides as pages, with their titles, lists, tables, charts and notes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.container import check_container
from ingestion.parse.office_xml import ordinary
from ingestion.parse.records import xml_root
from ingestion.parse.rows import table_text
from ingestion.parse.sheets import names_columns
from ingestion.parse.transcript import Transcript, squeeze
from ingestion.parse.values import written
from rag.domain import BlockKind, Parsed
from rag.errors import LimitExceeded, UnreadableDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
_PRESENTATION = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CHOICE = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Choice"
_FURNITURE = ("DATE", "FOOTER", "SLIDE_NUMBER", "HEADER")  # placeholders on every slide
_TITLES = ("TITLE", "CENTER_TITLE", "VERTICAL_TITLE")
_DEEPEST = 50  # groups in groups


def parse_pptx(data: bytes, limits: Limits) -> Parsed:
    """Parse a presentation. Raises UnreadableDocument when it is damaged, LimitExceeded,
    EmptyDocument when no slide holds text."""
    check_container(data, limits)
    presentation, slides = _open(ordinary(data))
    if len(slides) > limits.pages:
        raise LimitExceeded(f"there are {len(slides):,} slides; {limits.pages:,} are allowed")
    transcript = Transcript(limits)
    for number, slide in enumerate(slides, 1):
        try:
            _Slide(transcript, number).add(slide)
        except (KeyError, ValueError, AttributeError, TypeError, IndexError) as exc:
            raise _damaged(exc, f"slide {number} of the presentation") from exc
    properties = presentation.core_properties
    title = properties.title or ""
    return transcript.finish(
        MEDIA_TYPE,
        title="" if title == "PowerPoint Presentation" else title,
        pages=len(slides),
        metadata={"author": properties.author} if properties.author else {},
        nothing="no slide holds text; if they are pictures, export the presentation as PDF",
    )


def _open(data: bytes) -> tuple[Any, list[Any]]:
    import pptx
    from lxml.etree import LxmlError
    from pptx.exc import PythonPptxError

    try:
        presentation = pptx.Presentation(io.BytesIO(data))
        return presentation, list(presentation.slides)
    except MemoryError:
        raise
    except (LxmlError, PythonPptxError, KeyError, ValueError, OSError, AttributeError) as exc:
        raise _damaged(exc, "the presentation") from exc
    except Exception as exc:  # zlib, zipfile and struct errors surface under many names
        if type(exc).__module__.split(".")[0] not in ("zipfile", "zlib", "struct", "builtins"):
            raise
        raise _damaged(exc, "the presentation") from exc


def _damaged(exc: Exception, what: str) -> UnreadableDocument:
    return UnreadableDocument(
        f"{what} is damaged ({type(exc).__name__}: {str(exc)[:120]}); open it and save it again"
    )


class _Slide:
    def __init__(self, transcript: Transcript, page: int) -> None:
        self.transcript = transcript
        self.page = page

    def add(self, slide: Any) -> None:
        shapes = list(_shapes(slide.shapes, 0))
        title = next((shape for shape in shapes if _placeholder(shape) in _TITLES), None)
        if title is not None and title.has_text_frame:
            text = squeeze(title.text_frame.text)
            self.transcript.add(BlockKind.HEADING, text, level=1, page=self.page)
        for shape in shapes:
            if shape is not title and _placeholder(shape) not in _FURNITURE:
                self.add_shape(shape)
        self.add_unknown(slide)
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            notes = slide.notes_slide.notes_text_frame.text.strip()
            if notes:
                self.block(BlockKind.PARAGRAPH, f"Notes: {notes}")

    def add_unknown(self, slide: Any) -> None:
        """What python-pptx passes over: shapes in a wrapper for newer versions, diagrams
        (SmartArt), and remarks on the slide."""
        for choice in slide.shapes._spTree.iter(_CHOICE):
            for body in choice.iter(_PRESENTATION + "txBody"):
                self.block(BlockKind.PARAGRAPH, _drawn_text(body))
        for relation in slide.part.rels.values():
            kind = relation.reltype.rpartition("/")[2]
            if kind in ("diagramData", "comments") and not relation.is_external:
                root = xml_root(relation.target_part.blob, "a diagram or comment of the slide")
                text = _drawn_text(root)
                self.block(BlockKind.PARAGRAPH, f"Comment: {text}" if kind == "comments" else text)

    def add_shape(self, shape: Any) -> None:
        if getattr(shape, "has_table", False):
            rows = [[_cell(cell) for cell in row.cells] for row in shape.table.rows]
            header = bool(shape.table.first_row) and names_columns(rows)
            self.block(BlockKind.TABLE, table_text(rows, header=header))
        elif getattr(shape, "has_chart", False):
            rows = list(_chart_rows(shape.chart))
            self.block(BlockKind.TABLE, table_text(rows, header=True))
        elif shape.has_text_frame:
            self.add_text(shape.text_frame, _placeholder(shape) in ("BODY", "OBJECT"))

    def add_text(self, frame: Any, body: bool) -> None:
        """Several short paragraphs of a slide's body are its points, anything else is prose."""
        lines = [
            (paragraph.level, paragraph.text.replace("\v", " ").strip())
            for paragraph in frame.paragraphs
        ]
        lines = [(level, line) for level, line in lines if line]
        if len(lines) > 1 and (body or any(level for level, _ in lines)):
            items = ("  " * level + "- " + squeeze(line) for level, line in lines)
            self.block(BlockKind.LIST, "\n".join(items))
        else:
            self.block(BlockKind.PARAGRAPH, "\n".join(line for _, line in lines))

    def block(self, kind: BlockKind, text: str) -> None:
        self.transcript.add(kind, text, page=self.page)


def _drawn_text(parent: Any) -> str:
    """The paragraphs of a drawing, a line each; plain `text` elements are old comments'."""
    lines = [each.text or "" for each in parent.iter(_PRESENTATION + "text")]
    for paragraph in parent.iter(_DRAWING + "p"):
        lines.append("".join(piece.text or "" for piece in paragraph.iter(_DRAWING + "t")))
    return "\n".join(filter(str.strip, lines))


def _shapes(shapes: Any, depth: int) -> Iterator[Any]:
    """Shapes in their order, groups opened."""
    for shape in shapes:
        if hasattr(shape, "shapes"):
            if depth < _DEEPEST:
                yield from _shapes(shape.shapes, depth + 1)
        else:
            yield shape


def _placeholder(shape: Any) -> str:
    """The kind of placeholder the shape is, "" for none."""
    if not shape.is_placeholder:
        return ""
    kind = shape.placeholder_format.type
    return "" if kind is None else str(kind.name)


def _cell(cell: Any) -> str:
    return "" if cell.is_spanned else str(cell.text_frame.text)


def _chart_rows(chart: Any) -> Iterator[list[str]]:
    """A row a category, a column a series, under the chart's title."""
    for plot in chart.plots:
        title = chart.chart_title.text_frame.text if chart.has_title else ""
        series = list(plot.series)
        yield [title or "Category", *(str(each.name) for each in series)]
        values = [list(each.values) for each in series]
        for index, category in enumerate(plot.categories):
            cells = (written(row[index]) if index < len(row) else "" for row in values)
            yield [written(category), *cells]
