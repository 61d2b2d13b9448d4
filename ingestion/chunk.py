"""Blocks to chunks: along headings, paragraphs, lists and tables, to a token budget.

Every chunk is a span of the stored text. A section's heading opens its first chunk; the path of
headings above travels with every chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ingestion.pieces import Fits, Span, pieces
from rag.domain import Block, BlockKind, Chunk, chunk_id
from rag.sentences import units

CountTokens = Callable[[str], int]

_CHARACTERS_PER_TOKEN = 16  # a "word" that the tokenizer does not know counts as one token
_SMALL = 3  # a section of less than a third of the budget is joined to its neighbour
_LEAST_BUDGET = 16


@dataclass(frozen=True, slots=True)
class Section:
    """A heading (where there is one) and the blocks below it, down to the next heading."""

    path: tuple[str, ...]
    blocks: tuple[Block, ...]
    headed: bool

    @property
    def start(self) -> int:
        return self.blocks[0].start

    @property
    def end(self) -> int:
        return self.blocks[-1].end

    @property
    def bare(self) -> bool:
        """A heading with nothing below it before the next one."""
        return self.headed and len(self.blocks) == 1


def chunk(
    text: str,
    blocks: Sequence[Block],
    version: str,
    title: str,
    count_tokens: CountTokens,
    budget: int,
    max_tokens: int,
    overlap: int = 0,
) -> list[Chunk]:
    """Cut a version's text. No chunk's text is longer than `budget` tokens, and what is indexed
    for it stays within `max_tokens` as far as its headings leave room. Chunks are in order and
    leave out blanks and headings that others carry in their path only. Where a section is cut,
    the next chunk begins with the last sentences of the one before that `overlap` tokens hold."""
    cutter = _Cutter(text, title, count_tokens, budget, max_tokens, overlap)
    chunks = []
    for path, span, page in cutter.cut(list(sections(text, blocks))):
        start, end = span
        id = chunk_id(version, start, end)
        chunks.append(Chunk(id, version, start, end, text[start:end], path, page))
    return chunks


def indexed_text(title: str, chunk: Chunk) -> str:
    """What is embedded and indexed for a chunk: title, heading path and text, one a line; what
    the text or the path says already is not said twice."""
    return _indexed(title, chunk.heading_path, chunk.text)


def _indexed(title: str, path: Sequence[str], text: str) -> str:
    lines = list(path)
    if lines and text.startswith(lines[-1]):
        lines.pop()
    if title and title not in path and not text.startswith(title):
        lines.insert(0, title)
    return "\n".join([*lines, text])


def sections(text: str, blocks: Sequence[Block]) -> Iterator[Section]:
    """The sections of a version in order; the path holds the section's own heading last."""
    stack: list[tuple[int, str]] = []
    held: list[Block] = []
    for block in blocks:
        if block.kind is BlockKind.HEADING:
            if held:
                yield _section(stack, held)
            stack = [entry for entry in stack if entry[0] < block.level]
            stack.append((block.level, " ".join(text[block.start : block.end].split())))
            held = []
        held.append(block)
    if held:
        yield _section(stack, held)


def _section(stack: list[tuple[int, str]], held: list[Block]) -> Section:
    headed = held[0].kind is BlockKind.HEADING
    return Section(tuple(name for _, name in stack), tuple(held), headed)


class _Cutter:
    def __init__(
        self,
        text: str,
        title: str,
        count_tokens: CountTokens,
        budget: int,
        max_tokens: int,
        overlap: int,
    ) -> None:
        self.text = text
        self.title = title
        self.count = count_tokens
        self.counted: dict[Span, int] = {}  # the same span is asked for at every kind of boundary
        self.budget = budget
        self.max_tokens = max_tokens
        self.overlap = overlap

    def cut(self, found: list[Section]) -> Iterator[tuple[tuple[str, ...], Span, int | None]]:
        for path, group in self.joined(found):
            blocks = [block for section in group for block in section.blocks]
            limit = self.room(path)
            fresh = {b.start for b in blocks if b.kind is BlockKind.HEADING}
            before: Span | None = None
            for start, end in self.packed(blocks, max(limit - self.overlap, limit // 2)):
                first = start
                if before and start not in fresh:
                    first = self.reaching_back(before, (start, end), limit)
                yield path, (first, end), _page_at(blocks, first)
                before = start, end

    def reaching_back(self, before: Span, span: Span, limit: int) -> int:
        """Where the chunk of `span` begins: at one of the last sentences of `before`, or its own
        start where not even the last one fits."""
        first = span[0]
        for start, _ in reversed(units(self.text[before[0] : before[1]])):
            at = before[0] + start
            near = self.fits(at, before[1], self.overlap) and self.fits(at, span[1], limit)
            if at == before[0] or not near:
                break
            first = at
        return first

    def joined(self, found: list[Section]) -> Iterator[tuple[tuple[str, ...], list[Section]]]:
        """Small neighbours under one heading together; a bare heading goes with what follows."""
        group: list[Section] = []
        path: tuple[str, ...] = ()
        for section in found:
            merged = _common(path, section.path)
            if group and all(each.bare for each in group) and section.path[: len(path)] == path:
                merged = section.path
            if group and self.joins(group, section, path, merged):
                group.append(section)
                path = merged
                continue
            if group and not self.said_by(group, section):
                yield path, group
            group, path = [section], section.path
        if group:
            yield path, group

    def joins(
        self,
        group: list[Section],
        section: Section,
        path: tuple[str, ...],
        merged: tuple[str, ...],
    ) -> bool:
        """Whether the section belongs to the group's chunk: a neighbour under the same heading,
        one of the two small, and both together within the budget."""
        bare = all(each.bare for each in group)
        if not bare and len(merged) < min(len(path), len(section.path)) - 1:
            return False
        limit = self.room(merged)
        small = bare or any(
            self.fits(start, end, limit // _SMALL)
            for start, end in ((group[0].start, group[-1].end), (section.start, section.end))
        )
        return small and self.fits(group[0].start, section.end, limit)

    def said_by(self, group: list[Section], following: Section) -> bool:
        """Bare headings whose words stand in the path of what follows need no chunk."""
        last = group[-1].path
        return all(each.bare for each in group) and following.path[: len(last)] == last

    def packed(self, blocks: list[Block], limit: int) -> Iterator[Span]:
        """Whole blocks joined up to the limit; a longer block is cut, and its heading kept with
        its first piece."""

        held: Span | None = None
        heading: int | None = None  # where a heading starts that still waits for its text
        for block in blocks:
            if held and self.fits(held[0], block.end, limit):
                held = (held[0], block.end)
            elif block.kind is BlockKind.HEADING or held is None or heading is None:
                if held:
                    yield held
                *whole, held = pieces(self.text, block.start, block.end, self.within(limit))
                yield from whole
            else:
                *whole, held = self.under(heading, block, limit)
                yield from whole
            heading = held[0] if block.kind is BlockKind.HEADING and held else None
        if held:
            yield held

    def under(self, heading: int, block: Block, limit: int) -> Iterator[Span]:
        """The pieces of a long block, the first of them with the heading above it."""

        def fits(start: int, end: int) -> bool:
            return self.fits(heading if start == block.start else start, end, limit)

        for start, end in pieces(self.text, block.start, block.end, fits):
            yield (heading if start == block.start else start), end

    def within(self, limit: int) -> Fits:
        return lambda start, end: self.fits(start, end, limit)

    def room(self, path: tuple[str, ...]) -> int:
        """Tokens for the text, so that it fits the embedder together with its headings; where
        they leave less than half of the budget, they are what is cut off."""
        above = self.count(_indexed(self.title, path, ""))
        return max(min(self.budget, self.max_tokens - above), self.budget // 2, _LEAST_BUDGET)

    def fits(self, start: int, end: int, limit: int) -> bool:
        if end - start > limit * _CHARACTERS_PER_TOKEN:
            return False
        count = self.counted.get((start, end))
        if count is None:
            count = self.counted[start, end] = self.count(self.text[start:end])
        return count <= limit


def _common(a: tuple[str, ...], b: tuple[str, ...]) -> tuple[str, ...]:
    length = 0
    while length < min(len(a), len(b)) and a[length] == b[length]:
        length += 1
    return a[:length]


def _page_at(blocks: Sequence[Block], start: int) -> int | None:
    for block in blocks:
        if block.start <= start < block.end:
            return block.page
    return blocks[0].page
