"""OpenDocument text and presentations: headings, paragraphs, lists, tables; slides as pages."""

from __future__ import annotations

from typing import Any

from ingestion.limits import Limits
from ingestion.parse.container import check_container, member
from ingestion.parse.records import xml_root
from ingestion.parse.rows import table_text
from ingestion.parse.sheets import names_columns
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind, Parsed
from rag.errors import EncryptedDocument, UnreadableDocument

_URN = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_TEXT, _TABLE, _OFFICE = _URN % "text", _URN % "table", _URN % "office"
_DRAW, _PRESENTATION, _MANIFEST = _URN % "drawing", _URN % "presentation", _URN % "manifest"
_DC = "{http://purl.org/dc/elements/1.1/}"
_SKIPPED = frozenset(
    (
        *(_TEXT + name for name in ("tracked-changes", "note-citation", "bookmark", "ruby-text")),
        *(_OFFICE + name for name in ("annotation", "annotation-end", "forms", "scripts")),
        _TEXT + "sequence-decls",
    )
)
_MOST_BLANKS = 100  # repeated blanks or rows that one element may stand for


def parse_odt(data: bytes, limits: Limits) -> Parsed:
    """Parse an .odt or .odp file. Raises UnreadableDocument when it is damaged, EncryptedDocument,
    LimitExceeded, EmptyDocument."""
    check_container(data, limits)
    manifest = member(data, "META-INF/manifest.xml", missing=b"")
    if b"encryption-data" in manifest:
        raise EncryptedDocument("the file is protected by a password; save it without one")
    root = xml_root(member(data, "content.xml"), "the document")
    body = root.find(f"{_OFFICE}body")
    if body is None or not len(body):
        raise UnreadableDocument("the document has no body; open it and save it again")
    kind = str(body[0].tag).rpartition("}")[2]
    walk = _Walk(Transcript(limits))
    walk.children(body[0], 0)
    title, metadata = _properties(data)
    return walk.transcript.finish(
        f"application/vnd.oasis.opendocument.{kind}",
        title=title,
        pages=walk.page,
        metadata=metadata,
    )


def _properties(data: bytes) -> tuple[str, dict[str, str]]:
    source = member(data, "meta.xml", missing=b"")
    if not source:
        return "", {}
    root = xml_root(source, "the document's description")
    title = next((each.text or "" for each in root.iter(_DC + "title")), "")
    author = next((each.text or "" for each in root.iter(_DC + "creator")), "")
    return title, {"author": author} if author else {}


class _Walk:
    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.page: int | None = None

    def children(self, parent: Any, depth: int) -> None:
        for element in parent:
            if isinstance(element.tag, str) and element.tag not in _SKIPPED:
                self.element(element, depth)

    def element(self, element: Any, depth: int) -> None:
        if element.tag == _TEXT + "h":
            raw = element.get(_TEXT + "outline-level", "1")
            level = min(int(raw), 9) if raw.isdigit() and int(raw) else 1
            self.block(BlockKind.HEADING, squeeze(_words(element)), level)
        elif element.tag == _TEXT + "p":
            title = (element.get(_TEXT + "style-name") or "") in ("Title", "Heading")
            if title:
                self.block(BlockKind.HEADING, squeeze(_words(element)), 1)
            else:
                self.block(BlockKind.PARAGRAPH, _words(element))
            self.frames(element, depth)
        elif element.tag == _TEXT + "list":
            self.block(BlockKind.LIST, "\n".join(_items(element, 0)))
        elif element.tag == _TABLE + "table":
            rows = _rows(element)
            self.block(BlockKind.TABLE, table_text(rows, header=names_columns(rows)))
        elif element.tag == _DRAW + "page":
            self.page = (self.page or 0) + 1
            self.children(element, depth)
        elif element.get(_PRESENTATION + "class") == "title":
            self.block(BlockKind.HEADING, squeeze(_all_words(element)), 1)
        elif element.tag == _PRESENTATION + "notes":
            notes = squeeze(_all_words(element))
            self.block(BlockKind.PARAGRAPH, f"Notes: {notes}" if notes else "")
        elif depth < 100:
            self.children(element, depth + 1)

    def frames(self, paragraph: Any, depth: int) -> None:
        """Text boxes that are anchored in a paragraph follow it."""
        for box in paragraph.iter(_DRAW + "text-box"):
            self.children(box, depth + 1)

    def block(self, kind: BlockKind, text: str, level: int = 0) -> None:
        self.transcript.add(kind, text, level=level, page=self.page)


def _items(top: Any, depth: int) -> list[str]:
    """One line an item, nested lists indented below theirs."""
    lines: list[str] = []
    for item in top:
        own = [squeeze(_words(each)) for each in item if each.tag in (_TEXT + "p", _TEXT + "h")]
        text = " ".join(filter(None, own))
        if text:
            lines.append("  " * depth + "- " + text)
        for inner in item:
            if inner.tag == _TEXT + "list" and depth < 20:
                lines += _items(inner, depth + 1)
    return lines


def _rows(table: Any) -> list[list[str]]:
    rows = []
    for row in table.iter(_TABLE + "table-row"):
        cells = []
        for cell in row:
            if cell.tag == _TABLE + "table-cell":
                cells.append(_all_words(cell))
            elif cell.tag == _TABLE + "covered-table-cell":
                cells.append("")
        rows.append(cells)
    return rows


def _all_words(parent: Any) -> str:
    """The paragraphs anywhere below, a line each."""
    found = (each for each in parent.iter(_TEXT + "p", _TEXT + "h"))
    return "\n".join(filter(str.strip, map(_words, found)))


def _words(paragraph: Any) -> str:
    """The text of one paragraph; text boxes in it are left to others."""
    pieces: list[str] = []
    stack: list[Any] = [paragraph]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            pieces.append(node)
            continue
        if node is not paragraph:
            if node.tail:
                stack.append(node.tail)
            if not isinstance(node.tag, str) or node.tag in _SKIPPED:
                continue
            if node.tag == _DRAW + "frame":
                continue
            pieces.append(_sign(node))
        stack.extend(reversed(node))
        if node.text:
            stack.append(node.text)
    return "".join(pieces)


def _sign(node: Any) -> str:
    if node.tag == _TEXT + "s":
        count = node.get(_TEXT + "c", "1")
        return " " * min(int(count) if count.isdigit() else 1, _MOST_BLANKS)
    return {_TEXT + "tab": "\t", _TEXT + "line-break": "\n"}.get(node.tag, "")
