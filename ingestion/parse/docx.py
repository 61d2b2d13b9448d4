"""DOCX as readable text: paragraphs, headings, lists and tables in the order of the document.

python-docx opens the package and resolves styles; the body is walked here, because its own
iteration passes over content controls and inserted (tracked) text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.container import check_container
from ingestion.parse.docx_notes import beside_the_body
from ingestion.parse.office_xml import ordinary
from ingestion.parse.rows import table_text
from ingestion.parse.transcript import Transcript
from rag.domain import BlockKind, Parsed
from rag.errors import UnreadableDocument

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_FALLBACK = _MC + "Fallback"
_FORMULA = "{http://schemas.openxmlformats.org/officeDocument/2006/math}t"
_WRAPPERS = frozenset(
    (
        *(_W + name for name in ("sdt", "sdtContent", "ins", "moveTo", "smartTag", "customXml")),
        *(_MC + name for name in ("AlternateContent", "Choice")),
    )
)
_SKIPPED = frozenset((_W + "del", _W + "moveFrom", _W + "pPr", _W + "instrText", _FALLBACK))
_SHORTEST_LABEL_ROW = 2


def parse_docx(data: bytes, limits: Limits) -> Parsed:
    """Parse a Word document. Raises UnreadableDocument when it is damaged, LimitExceeded before
    unpacking too much, EmptyDocument."""
    check_container(data, limits)
    document = _open(ordinary(data))
    transcript = Transcript(limits)
    _Body(document, transcript).add(document.element.body)
    for text in beside_the_body(document, _text):
        transcript.add(BlockKind.PARAGRAPH, text)
    properties = document.core_properties
    return transcript.finish(
        MEDIA_TYPE,
        title=properties.title or "",
        metadata={"author": properties.author} if properties.author else {},
        nothing="the document holds no text; if it is a scan, recognise its text (OCR) first",
    )


def _open(data: bytes) -> Any:
    import docx
    from docx.opc.exceptions import OpcError
    from lxml.etree import LxmlError

    try:
        return docx.Document(io.BytesIO(data))
    except MemoryError:
        raise
    except (LxmlError, OpcError, KeyError, ValueError, OSError, AttributeError, EOFError) as exc:
        raise UnreadableDocument(_damaged(exc)) from exc
    except Exception as exc:  # zlib, zipfile and struct errors surface under many names
        if type(exc).__module__.split(".")[0] not in (
            "zipfile",
            "zlib",
            "struct",
            "docx",
            "builtins",
        ):
            raise
        raise UnreadableDocument(_damaged(exc)) from exc


def _damaged(exc: BaseException) -> str:
    return f"the Word document is damaged ({type(exc).__name__}: {str(exc)[:120]}); save it again"


class _Body:
    """Walks block elements; neighbouring list paragraphs become one LIST block."""

    def __init__(self, document: Any, transcript: Transcript) -> None:
        self.transcript = transcript
        self.styles = {style.style_id: style for style in document.styles}
        self.levels: dict[str, int] = {}
        self.items: list[str] = []

    def add(self, parent: Any) -> None:
        for element in _blocks(parent):
            if element.tag == _W + "p":
                self.paragraph(element)
            else:
                self.flush()
                rows = [[_cell(cell) for cell in _cells(row)] for row in _rows(element)]
                self.transcript.add(BlockKind.TABLE, table_text(rows, header=_has_header(rows)))
        self.flush()

    def paragraph(self, element: Any) -> None:
        text = _text(element)
        if not text.strip():
            return
        properties = element.find(_W + "pPr")
        style = properties.find(_W + "pStyle") if properties is not None else None
        name = style.get(_W + "val", "") if style is not None else ""
        level = self.outline(properties, name)
        if level:
            self.flush()
            self.transcript.add(BlockKind.HEADING, " ".join(text.split()), level=level)
        elif self.is_item(properties, name):
            self.items.append("  " * _depth(properties) + "- " + " ".join(text.split()))
        else:
            self.flush()
            self.transcript.add(BlockKind.PARAGRAPH, text)

    def flush(self) -> None:
        self.transcript.add(BlockKind.LIST, "\n".join(self.items))
        self.items.clear()

    def outline(self, properties: Any, style: str) -> int:
        """The heading level (1..9) by the paragraph's own outline or its style's, else 0."""
        own = properties.find(_W + "outlineLvl") if properties is not None else None
        if own is not None:
            return _level(own)
        if style not in self.levels:
            self.levels[style] = self.style_level(style)
        return self.levels[style]

    def style_level(self, style: str) -> int:
        for found in self.chain(style):
            name = (found.name or "").lower()
            if name == "title":
                return 1
            if name.startswith("heading ") and name[8:].isdigit():
                return min(max(int(name[8:]), 1), 9)
            outline = found.element.find(f"{_W}pPr/{_W}outlineLvl")
            if outline is not None:
                return _level(outline)
        return 0

    def is_item(self, properties: Any, style: str) -> bool:
        if properties is None:
            return False
        number = properties.find(f"{_W}numPr/{_W}numId")
        if number is not None:
            return bool(number.get(_W + "val") != "0")
        return any(
            (found.name or "").lower().startswith("list ")
            or found.element.find(f"{_W}pPr/{_W}numPr") is not None
            for found in self.chain(style)
        )

    def chain(self, style: str) -> Iterator[Any]:
        """The style and those it is based on."""
        found = self.styles.get(style)
        for _ in range(10):
            if found is None:
                return
            yield found
            found = getattr(found, "base_style", None)


def _level(outline: Any) -> int:
    value = outline.get(_W + "val", "9")
    level = int(value) + 1 if value.isdigit() else 0
    return level if level <= 9 else 0


def _depth(properties: Any) -> int:
    level = properties.find(f"{_W}numPr/{_W}ilvl")
    value = level.get(_W + "val", "0") if level is not None else "0"
    return min(int(value), 8) if value.isdigit() else 0


def _blocks(parent: Any) -> Iterator[Any]:
    """Paragraphs and tables below `parent`, those in content controls included."""
    for child in parent:
        if child.tag in (_W + "p", _W + "tbl"):
            yield child
        elif child.tag in _WRAPPERS:
            yield from _blocks(child)


def _children(parent: Any, tag: str) -> Iterator[Any]:
    for child in parent:
        if child.tag == _W + tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _children(child, tag)


def _rows(table: Any) -> Iterator[Any]:
    """The rows but for those that a tracked change deleted."""
    return (row for row in _children(table, "tr") if row.find(f"{_W}trPr/{_W}del") is None)


def _cells(row: Any) -> list[Any]:
    """The cells of a row; one that is merged into the cell above stands there only."""
    return list(_children(row, "tc"))


def _cell(cell: Any) -> str:
    merge = cell.find(f"{_W}tcPr/{_W}vMerge")
    if merge is not None and merge.get(_W + "val") != "restart":
        return ""
    pieces = []
    for block in _blocks(cell):
        if block.tag == _W + "p":
            pieces.append(_text(block))
        else:
            rows = [[_cell(inner) for inner in _cells(row)] for row in _rows(block)]
            pieces.append(table_text(rows, header=False).replace("\n", "; "))
    return "\n".join(filter(str.strip, pieces))


def _has_header(rows: list[list[str]]) -> bool:
    """The first row names the columns: all short and different, and none is a number."""
    if len(rows) < _SHORTEST_LABEL_ROW or not rows[0]:
        return False
    labels = [" ".join(cell.split()) for cell in rows[0]]
    named = [label for label in labels if label]
    return len(set(named)) == len(named) and not any(label[0].isdigit() for label in named)


def _text(paragraph: Any) -> str:
    """The visible text of a paragraph: inserted text counts, deleted and hidden text does not."""
    pieces: list[str] = []
    stack = list(reversed(paragraph))
    while stack:
        node = stack.pop()
        if node.tag in (_W + "t", _FORMULA):
            pieces.append(node.text or "")
        elif node.tag in (_W + "tab", _W + "ptab"):
            pieces.append("\t")
        elif node.tag in (_W + "br", _W + "cr"):
            pieces.append("\n")
        elif node.tag == _W + "noBreakHyphen":
            pieces.append("-")
        elif node.tag == _W + "p":  # of a text box
            pieces.append("\n")
            stack.extend(reversed(node))
        elif not (node.tag in _SKIPPED or (node.tag == _W + "r" and _hidden(node))):
            stack.extend(reversed(node))
    return "\n".join(" ".join(line.split(" ")) for line in "".join(pieces).split("\n"))


def _hidden(run: Any) -> bool:
    vanish = run.find(f"{_W}rPr/{_W}vanish")
    return vanish is not None and vanish.get(_W + "val") not in ("0", "false")
