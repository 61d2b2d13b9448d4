"""HTML as readable text: what a reader sees, in order; nothing hidden, no scripts, no comments."""

from __future__ import annotations

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.rows import table_text
from ingestion.parse.transcript import Transcript, squeeze
from rag.domain import BlockKind, Parsed


def _names(line: str) -> frozenset[str]:
    return frozenset(line.split())


_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I)
_XML_CHARSET = re.compile(rb"""\s*<\?xml[^>]{0,150}?encoding\s*=\s*["']([\w.:-]{1,40})""")
_DECLARED = 16_384  # bytes in which the encoding is named
_XHTML = re.compile(r"<\?xml\b|w3\.org/1999/xhtml")
_CLOSED = re.compile(r"""<([A-Za-z][\w:-]*+)((?:[^<>"'/]|"[^"]*"|'[^']*'|/(?!>))*+)/>""")
_VOID = _names("area base br col embed hr img input link meta param source track wbr")
_HIDDEN_STYLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])", re.I
)
_DROPPED = _names(
    "head script style template noscript object embed svg canvas audio video nav "
    "annotation annotation-xml "
    "select button input textarea datalist dialog"
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset(("ul", "ol", "menu"))
_INLINE = _names(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i img ins kbd label mark meter "
    "output progress q ruby rb rp rt s samp small span strike strong sub sup time tt u var wbr "
    "br -text math semantics mrow mi mo mn mtext msup msub msubsup mfrac msqrt mroot mstyle"
)


def parse_html(data: bytes, limits: Limits) -> Parsed:
    """Parse a page. Raises UnsupportedType for binary data, EmptyDocument without visible text."""
    tree = LexborHTMLParser(html_source(data))
    transcript = Transcript(limits)
    if tree.body is not None:
        _Walk(transcript).children(tree.body)
    if not transcript.blocks:  # what is shown where there are no scripts, or no frames
        for node in tree.css("noscript, noframes"):
            add_html(transcript, node.text() if node.tag == "noframes" else node.inner_html or "")
    title = tree.css_first("head > title")
    return transcript.finish(
        "text/html",
        title=title.text() if title is not None else "",
        metadata=_metadata(tree),
        nothing="the page holds no visible text; it may be filled by a script, save it as PDF",
    )


def html_source(data: bytes) -> str:
    """The markup as text, in the encoding that it names; XHTML in the way HTML is read: there
    `<title/>` would swallow all that follows. Raises UnsupportedType for binary data."""
    declared = _CHARSET.search(data[:_DECLARED]) or _XML_CHARSET.match(data[:200])
    source = decode(data, declared.group(1).decode("ascii") if declared else None)
    if not _XHTML.search(source[:2000]):
        return source
    return _CLOSED.sub(_opened, source)


def _opened(tag: re.Match[str]) -> str:
    name, attributes = tag.groups()
    return tag[0] if name.lower() in _VOID else f"<{name}{attributes}></{name}>"


def add_html(transcript: Transcript, source: str) -> None:
    """Add the blocks of an HTML fragment."""
    body = LexborHTMLParser(source).body
    if body is not None:
        _Walk(transcript).children(body)


def inline_html_text(source: str) -> str:
    """The words of an HTML fragment on one line."""
    body = LexborHTMLParser(source).body
    return squeeze(_text(body)) if body is not None else ""


def _metadata(tree: LexborHTMLParser) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in tree.css("head > meta[name]"):
        name, content = node.attributes.get("name"), node.attributes.get("content")
        if name and content and name.lower() in ("author", "description", "date", "keywords"):
            found[name.lower()] = content
    return found


class _Walk:
    """Depth-first over the visible nodes; inline runs gather until a block element ends them. An
    explicit stack, since markup nests as deeply as its author likes."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.run: list[str] = []

    def children(self, top: LexborNode) -> None:
        stack: list[LexborNode | None] = [None, *reversed(_nodes(top))]
        while stack:
            node = stack.pop()
            if node is None:
                self.flush()
            elif node.tag == "-text":
                self.run.append(node.text_content or "")
            elif _visible(node):
                self.enter(node, stack)
        self.flush()

    def enter(self, node: LexborNode, stack: list[LexborNode | None]) -> None:
        tag = node.tag or ""
        if tag == "br":
            self.run.append("\v")
        elif tag == "img":
            self.run.append(_description(node))
        elif tag == "iframe":
            self.flush()
            inner = LexborHTMLParser(node.attributes.get("srcdoc") or "").body
            stack.extend((None, *reversed(_nodes(inner) if inner is not None else [])))
        elif tag in _INLINE:
            stack.extend(reversed(_nodes(node)))
        elif tag in _HEADINGS:
            self.flush()
            self.transcript.add(BlockKind.HEADING, squeeze(_text(node)), level=_HEADINGS[tag])
        elif tag == "pre":
            self.flush()
            self.transcript.add(BlockKind.PARAGRAPH, _text(node, keep_lines=True))
        elif tag in _LISTS:
            self.flush()
            self.transcript.add(BlockKind.LIST, "\n".join(_items(node, 0)))
        elif tag == "table" and not _is_layout(node):
            self.flush()
            self.add_table(node)
        else:
            self.flush()
            stack.append(None)
            stack.extend(reversed(_nodes(node)))

    def add_table(self, table: LexborNode) -> None:
        rows: list[list[str]] = []
        header = False
        below: dict[int, int] = {}  # columns that a cell above fills, and for how many rows more
        for row in table.css("tr"):
            cells = [cell for cell in _nodes(row) if cell.tag in ("td", "th") and _visible(cell)]
            if not rows:
                header = bool(cells) and all(
                    cell.tag == "th" or _bold(cell) for cell in cells if squeeze(_text(cell))
                )
            rows.append(_row(cells, below, bool(rows)))
        caption = table.css_first("caption")
        if caption is not None:
            self.transcript.add(BlockKind.PARAGRAPH, squeeze(_text(caption)))
        self.transcript.add(BlockKind.TABLE, table_text(rows, header=header))

    def flush(self) -> None:
        lines = (squeeze(line) for line in "".join(self.run).split("\v"))
        self.run.clear()
        self.transcript.add(BlockKind.PARAGRAPH, "\n".join(filter(None, lines)))


def _nodes(node: LexborNode) -> list[LexborNode]:
    return list(node.iter(include_text=True))


def _visible(node: LexborNode) -> bool:
    attributes = node.attributes
    return not (
        node.tag in _DROPPED
        or "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or _HIDDEN_STYLE.search(attributes.get("style") or "")
    )


def _text(top: LexborNode, *, keep_lines: bool = False) -> str:
    """The visible text below a node; block elements are kept apart by a blank."""
    pieces: list[str] = []
    stack = list(reversed(_nodes(top)))
    while stack:
        node = stack.pop()
        if node.tag == "-text":
            pieces.append(node.text_content or "")
        elif node.tag == "br":
            pieces.append("\n")
        elif node.tag == "img":
            pieces.append(_description(node))
        elif _visible(node):
            if node.tag not in _INLINE:
                pieces.append("\n" if keep_lines else " ")
            stack.extend(reversed(_nodes(node)))
    return "".join(pieces)


def _description(image: LexborNode) -> str:
    return f" {image.attributes.get('alt') or ''} "


def _items(top: LexborNode, depth: int) -> Iterator[str]:
    """One line an item, nested lists indented below theirs."""
    number = 0
    for item in _nodes(top):
        if item.tag in _LISTS and depth < 20:
            yield from _items(item, depth + 1)
        elif item.tag == "li" and _visible(item):
            number += 1
            mark = f"{number}. " if top.tag == "ol" else "- "
            inner = [node for node in _nodes(item) if node.tag in _LISTS]
            own = squeeze(_own_text(item)) if inner else squeeze(_text(item))
            if own:
                yield "  " * depth + mark + own
            for node in inner:
                if depth < 20:
                    yield from _items(node, depth + 1)
                else:
                    yield squeeze(_text(node))


def _own_text(item: LexborNode) -> str:
    """The text of an item without its nested lists."""
    pieces = []
    for node in _nodes(item):
        if node.tag == "-text":
            pieces.append(node.text_content or "")
        elif node.tag == "img":
            pieces.append(_description(node))
        elif node.tag not in _LISTS and _visible(node):
            pieces.append(_text(node) if node.tag in _INLINE else f" {_text(node)} ")
    return "".join(pieces)


def _is_layout(table: LexborNode) -> bool:
    """A table that arranges a page: it holds headings, lists, paragraph runs or other tables."""
    return table.css_first("table table, h1, h2, h3, ul, ol, p + p") is not None


def _bold(cell: LexborNode) -> bool:
    inner = [node for node in _nodes(cell) if squeeze(_text(node)) or node.tag == "-text"]
    inner = [node for node in inner if squeeze(node.text(deep=True))]
    return bool(inner) and all(node.tag in ("b", "strong") for node in inner)


def _row(cells: list[LexborNode], below: dict[int, int], below_header: bool) -> list[str]:
    """The texts of a row, each in its column: a header is repeated over the columns it fills, a
    value stands in the first of them, and not again in the rows below that it fills. `below` is
    brought up to date."""
    texts: list[str] = []
    for cell in cells:
        _pass_filled(texts, below)
        columns, rows = _span(cell, "colspan"), _span(cell, "rowspan")
        text = _text(cell)
        for number in range(columns):
            if rows > 1:
                below[len(texts)] = rows - 1
            texts.append(text if number == 0 or not below_header else "")
    _pass_filled(texts, below)
    return texts


def _pass_filled(texts: list[str], below: dict[int, int]) -> None:
    """Leave the next columns blank as long as a cell above fills them."""
    while below.get(len(texts), 0):
        below[len(texts)] -= 1
        texts.append("")


def _span(cell: LexborNode, name: str) -> int:
    raw = cell.attributes.get(name) or "1"
    return max(min(int(raw), 50), 1) if raw.isdigit() and raw.isascii() else 1
