"""Markdown as readable text: headings, paragraphs, lists and tables without their syntax."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.front_matter import drop_template_tags, split_front_matter
from ingestion.parse.html import add_html, inline_html_text
from ingestion.parse.rows import table_text
from ingestion.parse.text import add_text
from ingestion.parse.transcript import Transcript, clean
from rag.domain import BlockKind, Parsed

_NESTING = 40
_NESTED = re.compile(rf"(?:[>*+-] ?){{{_NESTING}}}")  # deeper than the reader follows: as text then


def parse_markdown(data: bytes, limits: Limits) -> Parsed:
    """Parse CommonMark with tables. Front matter becomes metadata and, where it has one, the
    title. Raises UnsupportedType for binary data, EmptyDocument."""
    metadata, source = split_front_matter(clean(decode(data)))
    reader = MarkdownIt("commonmark", {"maxNesting": _NESTING}).enable(["table", "strikethrough"])
    transcript = Transcript(limits)
    _add_blocks(transcript, reader.parse(drop_template_tags(source)))
    if not transcript.blocks and _NESTED.match(source.lstrip()):
        add_text(transcript, drop_template_tags(source))
    title = metadata.pop("title", "")
    if not transcript.blocks:  # a page that only points elsewhere: what it says of itself
        transcript.add(BlockKind.HEADING, title, level=1)
        pairs = (f"{key}: {value}" for key, value in metadata.items())
        transcript.add(BlockKind.PARAGRAPH, "\n".join(pairs))
    return transcript.finish("text/markdown", title=title, metadata=metadata)


def _add_blocks(transcript: Transcript, tokens: Sequence[Token]) -> None:
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if token.type in ("bullet_list_open", "ordered_list_open", "table_open"):
            end = _closing(tokens, at)
            if token.type == "table_open":
                _add_table(transcript, tokens[at:end])
            else:
                lines = _list_lines(iter(tokens[at : end + 1]))
                transcript.add(BlockKind.LIST, "\n".join(lines))
            at = end
        elif token.type == "heading_open":
            text = _inline(tokens[at + 1]).replace("\n", " ")
            transcript.add(BlockKind.HEADING, text, level=int(token.tag[1]))
            at += 2
        elif token.type == "inline":
            transcript.add(BlockKind.PARAGRAPH, _inline(token))
        elif token.type in ("fence", "code_block"):
            transcript.add(BlockKind.PARAGRAPH, token.content)
        elif token.type == "html_block":
            add_html(transcript, token.content)
        at += 1


def _closing(tokens: Sequence[Token], at: int) -> int:
    """The index of the token that closes the one at `at`."""
    depth = 0
    for index in range(at, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index
    return len(tokens) - 1


def _list_lines(tokens: Iterator[Token]) -> Iterator[str]:
    """One line an item, "- " or its number before it, nested ones indented by two blanks; what
    else an item holds follows on lines of its own."""
    numbers: list[int | None] = []
    mark = ""
    for token in tokens:
        indent = "  " * (len(numbers) - 1)
        if token.type == "bullet_list_open":
            numbers.append(None)
        elif token.type == "ordered_list_open":
            numbers.append(int(token.attrGet("start") or 1))
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            numbers.pop()
        elif token.type == "list_item_open":
            number = numbers[-1]
            mark = "- " if number is None else f"{number}. "
            numbers[-1] = None if number is None else number + 1
        elif token.type in ("inline", "fence", "code_block", "html_block"):
            for line in _item_text(token).strip("\n").split("\n"):
                if line.strip():
                    yield indent + (mark or "  ") + line
                    mark = ""


def _item_text(token: Token) -> str:
    if token.type == "inline":
        return _inline(token)
    return inline_html_text(token.content) if token.type == "html_block" else token.content


def _add_table(transcript: Transcript, tokens: Sequence[Token]) -> None:
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows:
            rows[-1].append(_inline(token))
    transcript.add(BlockKind.TABLE, table_text(rows, header=True))


def _inline(token: Token) -> str:
    """The words of an inline token: a link is its text, an image its description."""
    return " ".join("".join(_pieces(token.children or ())).split(" ")).strip()


def _pieces(children: Sequence[Token]) -> Iterator[str]:
    for child in children:
        if child.type == "softbreak":
            yield " "
        elif child.type == "hardbreak":
            yield "\n"
        elif child.type == "html_inline":
            yield "\n" if child.content.lower().startswith("<br") else ""
        elif child.type in ("text", "code_inline", "text_special", "image"):
            yield child.content
