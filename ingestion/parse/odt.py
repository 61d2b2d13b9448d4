"""OpenDocument text and presentations: headings, paragraphs, lists, tables; slides as pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ingestion.limits import Limits
from ingestion.parse.container import check_container, is_zip, member
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
        *(_OFFICE + name for name in ("annotation-end", "forms", "scripts")),
        _TEXT + "sequence-decls",
    )
)
_ANCHORED = frozenset((_DRAW + "text-box", _TEXT + "note-body", _OFFICE + "annotation"))
_ROW_GROUPS = frozenset(
    _TABLE + name for name in ("table-rows", "table-header-rows", "table-row-group")
)
_MOST_BLANKS = 100  # repeated blanks or rows that one element may stand for


def parse_odt(data: bytes, limits: Limits) -> Parsed:
    """Parse an .odt or .odp file. Raises UnreadableDocument when it is damaged, EncryptedDocument,
    LimitExceeded, EmptyDocument."""
    if is_zip(data):
        check_container(data, limits)
        manifest = member(data, "META-INF/manifest.xml", missing=b"")
        if b"encryption-data" in manifest:
            raise EncryptedDocument("the file is protected by a password; save it without one")
        content = member(data, "content.xml")
        description = member(data, "meta.xml", missing=b"")
    else:  # one flat file of XML (.fodt, .fodp), which describes itself
        content, description = data, data
    root = xml_root(content, "the document")
    body = root.find(f"{_OFFICE}body")
    if body is None or not len(body):
        raise UnreadableDocument("the document has no body; open it and save it again")
    kind = str(body[0].tag).rpartition("}")[2]
    walk = _Walk(Transcript(limits))
    walk.children(body[0], 0)
    title, metadata = _properties(description)
    return walk.transcript.finish(
        f"application/vnd.oasis.opendocument.{kind}",
        title=title,
        pages=walk.page,
        metadata=metadata,
    )


def _properties(source: bytes) -> tuple[str, dict[str, str]]:
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
        """Text boxes, notes and comments that are anchored in a paragraph follow it."""
        for inner in _anchored(paragraph):
            if inner.tag == _OFFICE + "annotation":
                self.block(BlockKind.PARAGRAPH, _comment(inner))
            else:
                self.children(inner, depth + 1)

    def block(self, kind: BlockKind, text: str, level: int = 0) -> None:
        self.transcript.add(kind, text, level=level, page=self.page)


def _anchored(paragraph: Any) -> list[Any]:
    """The outermost text boxes, notes and comments below a paragraph."""
    found, stack = [], list(reversed(paragraph))
    while stack:
        node = stack.pop()
        if node.tag in _ANCHORED:
            found.append(node)
        elif node.tag not in _SKIPPED:
            stack.extend(reversed(node))
    return found


def _comment(annotation: Any) -> str:
    words = " ".join(_words(each) for each in annotation.iter(_TEXT + "p"))
    author = next((each.text or "" for each in annotation.iter(_DC + "creator")), "")
    return f"Comment by {author}: {words}" if author else f"Comment: {words}"


def _items(top: Any, depth: int) -> list[str]:
    """One line an item, nested lists indented below theirs."""
    lines: list[str] = []
    for item in top:
        own = (_all_words([each]) for each in item if each.tag != _TEXT + "list")
        text = squeeze(" ".join(own))
        if text:
            lines.append("  " * depth + "- " + text)
        for inner in item:
            if inner.tag == _TEXT + "list" and depth < 20:
                lines += _items(inner, depth + 1)
    return lines


def _rows(table: Any) -> list[list[str]]:
    rows = []
    for row in _table_rows(table):
        cells: list[str] = []
        for cell in row:
            raw = cell.get(_TABLE + "number-columns-repeated", "1")
            times = min(int(raw), _MOST_BLANKS) if raw.isdigit() else 1
            if cell.tag == _TABLE + "table-cell":
                cells += [_all_words(cell)] * times
            elif cell.tag == _TABLE + "covered-table-cell":
                cells += [""] * times
        while cells and not cells[-1]:
            cells.pop()
        rows.append(cells)
    return rows


def _table_rows(parent: Any) -> Iterator[Any]:
    """The rows of this table, those of tables in its cells left to them."""
    for child in parent:
        if child.tag == _TABLE + "table-row":
            yield child
        elif child.tag in _ROW_GROUPS:
            yield from _table_rows(child)


def _all_words(parent: Any) -> str:
    """The paragraphs anywhere below, a line each, and what is anchored in them; a table in a cell
    is one line a row."""
    lines: list[str] = []
    for child in parent:
        if child.tag in (_TEXT + "p", _TEXT + "h"):
            lines.append(_words(child))
            lines += map(_all_words, _anchored(child))
        elif child.tag == _TABLE + "table":
            lines += (" | ".join(filter(None, row)) for row in _rows(child))
        elif isinstance(child.tag, str) and child.tag not in _SKIPPED:
            lines.append(_all_words(child))
    return "\n".join(filter(str.strip, lines))


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
            if node.tag in _ANCHORED or node.tag == _DRAW + "frame":
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
