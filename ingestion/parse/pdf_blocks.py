"""Lines of a PDF page to blocks: paragraphs, headings, lists and tables, by geometry alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from ingestion.parse.pdf_lines import Line, PdfWord
from ingestion.parse.transcript import Transcript
from rag.domain import BlockKind, Box, Word

_BULLET = re.compile(r"[•◦▪‣●○■–*-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{1,4})[.)]")
_ENDS = (".", "!", "?", ":", ";")
_LARGER = 1.12  # a heading's height over the body's
_LEADING = 1.3  # a gap wider than this many usual line distances parts paragraphs
_CELL_GAP = 1.8  # line heights between two cells of a row
_LONGEST_HEADING = 160
_SHORTEST_HEADINGS = 6  # letters that a size must have to count as a level of headings


@dataclass(frozen=True, slots=True)
class Style:
    """What is usual in a document: the body's height and weight, and the heights of headings in
    descending order."""

    height: float
    bold: bool
    headings: tuple[float, ...]
    vocabulary: frozenset[str]

    def level(self, lines: Sequence[Line]) -> int:
        """The heading level of lines that form one block, 0 for body text."""
        height = lines[0].height
        larger = height >= _LARGER * self.height
        stands_out = lines[0].bold and not self.bold and height >= 0.95 * self.height
        if not (larger or stands_out) or lines[0].turned:
            return 0
        text = " ".join(line.text for line in lines)
        if len(text) > _LONGEST_HEADING or sum(c.isalpha() for c in text) < 3:
            return 0
        if larger:
            return min(1 + sum(each > 1.04 * height for each in self.headings), 6)
        if len(lines) <= 2 and not text.endswith((".", ",", ";")):
            return min(len(self.headings) + 1, 6)
        return 0


def style_of(pages: Iterable[Sequence[Line]]) -> Style:
    """The style of a document by (a sample of) its pages."""
    letters: Counter[tuple[float, bool]] = Counter()
    vocabulary: set[str] = set()
    for lines in pages:
        for line in (line for line in lines if not line.turned):
            letters[line.height, line.bold] += len(line.text)
            whole = line.words[:-1] if line.hyphenated else line.words
            vocabulary.update([_bare(word.text) for word in whole])
    if not letters:
        return Style(10.0, False, (), frozenset())
    (height, bold), _ = letters.most_common(1)[0]
    headings: list[float] = []
    for size in sorted({size for size, _ in letters if size >= _LARGER * height}, reverse=True):
        rare = sum(letters[size, weight] for weight in (True, False)) < _SHORTEST_HEADINGS
        if not rare and (not headings or size < 0.92 * headings[-1]):
            headings.append(size)
    return Style(height, bold, tuple(headings), frozenset(vocabulary))


@dataclass(frozen=True, slots=True)
class PageBlock:
    """A block with one box a page; `words` are spans of `text`. `broken`: its last word goes on
    in the next block."""

    kind: BlockKind
    text: str
    level: int
    boxes: tuple[Box, ...]
    words: tuple[Word, ...]
    broken: bool = False


def page_blocks(lines: Sequence[Line], style: Style) -> Iterator[PageBlock]:
    """The blocks of a page's lines, in order."""
    for kind, group in _joined_lists(_groups(lines, style), style):
        level = style.level(group[0]) if kind is BlockKind.HEADING else 0
        yield _block(kind, group, level, style)


def _groups(lines: Sequence[Line], style: Style) -> Iterator[list[Line]]:
    """Runs of lines that belong to one paragraph, heading, item or row."""
    leading = _usual_leading(lines)
    right = max([line.x1 for line in lines], default=0.0)
    group: list[Line] = []
    for line in lines:
        if group and _parted(group, line, leading, right):
            yield group
            group = []
        group.append(line)
    if group:
        yield group


def _usual_leading(lines: Sequence[Line]) -> float:
    steps = [
        below.y1 - above.y1
        for above, below in pairwise(lines)
        if 0.5 * above.height < below.y1 - above.y1 < 2.5 * above.height
    ]
    return median(steps) if steps else 0.0


def _parted(group: list[Line], line: Line, leading: float, right: float) -> bool:
    above = group[-1]
    if above.hyphenated:
        return False
    if abs(line.height - above.height) > 0.1 * above.height or line.bold != above.bold:
        return True
    if is_row(line) or is_row(above) or _BULLET.fullmatch(line.words[0].text):
        return True
    step = line.y1 - above.y1
    if step < -0.5 * above.height:  # up again: the next column, or another table cell
        return above.text.endswith(_ENDS) or not line.text[0].islower()
    if step > _LEADING * max(leading, 1.05 * above.height):
        return True
    if not above.text.endswith(_ENDS):
        return False
    indented = line.x0 > min(each.x0 for each in group) + 0.8 * line.height and len(group) > 1
    short = above.x1 < line.x0 + 0.8 * (max(right, line.x1) - line.x0)
    return indented or short


def is_row(line: Line) -> bool:
    """Whether wide gaps part the line into cells."""
    gap, end = _CELL_GAP * line.height, math.inf
    for word in line.words:
        box = word.box
        if box.x0 - end > gap:
            return True
        end = box.x1
    return False


def _cells(line: Line) -> list[list[PdfWord]]:
    gap = _CELL_GAP * line.height
    cells = [line.words[:1]]
    for before, word in pairwise(line.words):
        if word.box.x0 - before.box.x1 > gap:
            cells.append([])
        cells[-1].append(word)
    return cells


def _joined_lists(
    groups: Iterable[list[Line]], style: Style
) -> Iterator[tuple[BlockKind, list[list[Line]]]]:
    """Neighbouring items become one list, neighbouring rows one table."""
    held: tuple[BlockKind, list[list[Line]]] | None = None
    for group in groups:
        kind = _kind(group, style)
        joins = held and held[0] is kind and kind in (BlockKind.LIST, BlockKind.TABLE)
        if held and joins:
            held[1].append(group)
            continue
        if held:
            yield held
        held = (kind, [group])
    if held:
        yield held


def _kind(group: list[Line], style: Style) -> BlockKind:
    if style.level(group):
        return BlockKind.HEADING
    first = group[0]
    if _BULLET.fullmatch(first.words[0].text) and len(first.words) > 1:
        return BlockKind.LIST
    return BlockKind.TABLE if is_row(first) else BlockKind.PARAGRAPH


def _block(kind: BlockKind, groups: list[list[Line]], level: int, style: Style) -> PageBlock:
    pieces: list[str] = []
    words: list[Word] = []
    at = 0
    joint = ""
    for group in groups:
        for index, line in enumerate(group):
            cells = _cells(line) if kind is BlockKind.TABLE else [line.words]
            for cell in cells:
                for word in cell:
                    text = word.text
                    if joint == " " and pieces and _unspaced(pieces[-1], text):
                        joint = ""
                    start = at + len(joint)
                    at = start + len(text)
                    pieces += (joint, text)
                    words.append(Word(start, at, word.cut or word.box))
                    joint = " "
                joint = " | "
            joint = _joint(line, group[index + 1], style) if index + 1 < len(group) else "\n"
    broken = groups[-1][-1].hyphenated
    return PageBlock(kind, "".join(pieces), level, (around(words),), tuple(words), broken)


def around(words: Sequence[Word]) -> Box:
    """The smallest box around words of one page."""
    boxes = [word.box for word in words]
    return Box(
        boxes[0].page,
        min([box.x0 for box in boxes]),
        min([box.y0 for box in boxes]),
        max([box.x1 for box in boxes]),
        max([box.y1 for box in boxes]),
    )


def add_page_block(transcript: Transcript, block: PageBlock) -> None:
    """Write the block, its words and boxes."""
    transcript.add(
        block.kind,
        block.text,
        level=block.level,
        page=block.boxes[0].page,
        boxes=block.boxes,
        words=block.words,
    )


def goes_on(block: PageBlock, following: PageBlock) -> bool:
    """Whether a paragraph at the end of a page is continued by the first one of the next."""
    if block.kind is not BlockKind.PARAGRAPH or following.kind is not BlockKind.PARAGRAPH:
        return False
    return block.broken or (not block.text.endswith(_ENDS) and following.text[0].islower())


def over_pages(block: PageBlock, following: PageBlock) -> PageBlock:
    """The two as one block."""
    joint = "" if block.broken else " "
    shift = len(block.text) + len(joint)
    return replace(
        block,
        text=block.text + joint + following.text,
        boxes=block.boxes + following.boxes,
        words=block.words
        + tuple(Word(w.start + shift, w.end + shift, w.box) for w in following.words),
        broken=following.broken,
    )


def _joint(line: Line, below: Line, style: Style) -> str:
    """What stands between two lines of a paragraph: a blank, nothing where a word was broken, or
    the hyphen where the word has one of its own (seen so elsewhere, before a capital, 3-year)."""
    if not line.hyphenated:
        return " "
    left, right = line.words[-1].text, below.words[0].text
    own = (
        "-" in left
        or not left[-1:].isalpha()
        or not right[:1].islower()
        or (
            _bare(f"{left}-{right}") in style.vocabulary
            and _bare(left + right) not in style.vocabulary
        )
    )
    return "-" if own else ""


def _unspaced(before: str, after: str) -> bool:
    """Whether both words are of a script that writes none between them: Chinese, Japanese."""
    return "\u2e80" <= before[-1] <= "\u9fff" and "\u2e80" <= after[0] <= "\u9fff"


def _bare(word: str) -> str:
    return word.strip(".,;:!?()[]\"'“”‘’").lower()
