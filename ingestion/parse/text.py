"""Plain text: paragraphs between blank lines, headings and lists where the layout shows them."""

from __future__ import annotations

import re
from itertools import pairwise

from ingestion.limits import Limits
from ingestion.parse.decode import decode
from ingestion.parse.transcript import Transcript, clean
from rag.domain import BlockKind, Parsed

_BULLET = re.compile(r"\s*(?:[-*•◦▪–]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s+\S")
_NUMBERED = re.compile(r"(\d{1,3}(?:\.\d{1,3})*)\.?\s+\S")
_UNDERLINE = re.compile(r"\s*(={3,}|-{3,}|~{3,})\s*")
_LONGEST_HEADING = 90
_PROSE_WIDTH = 50  # narrower paragraphs are addresses, verses, figures: their lines stay


def parse_text(data: bytes, limits: Limits) -> Parsed:
    """Parse bytes in any encoding. Raises UnsupportedType for binary data, EmptyDocument."""
    transcript = Transcript(limits)
    groups = add_text(transcript, decode(data))
    return transcript.finish("text/plain", title=_first_line(groups))


def add_text(transcript: Transcript, text: str) -> list[list[str]]:
    """Add the blocks of plain text; its groups of lines between blank ones are returned."""
    groups = [
        group.split("\n")
        for group in re.split(r"\n(?:[ \t]*\n)+", clean(text).strip("\n"))
        if group.strip()
    ]
    for index, lines in enumerate(groups):
        following = groups[index + 1] if index + 1 < len(groups) else []
        _add(transcript, lines, following)
    return groups


def _first_line(groups: list[list[str]]) -> str:
    """The line at the top when it looks like a title: short, of words, and no sentence."""
    line = groups[0][0].strip() if groups else ""
    words = line[:1].isalpha() and not re.search(r"[,;:|=\t<>{}\\]", line)
    return line if words and len(line) <= _LONGEST_HEADING and line[-1] not in ".!?" else ""


def _add(transcript: Transcript, lines: list[str], following: list[str]) -> None:
    if len(lines) >= 2 and _UNDERLINE.fullmatch(lines[1]) and lines[0].strip():
        level = 1 if "=" in lines[1] else 2
        transcript.add(BlockKind.HEADING, lines[0].strip(), level=level)
        if lines[2:]:
            _add(transcript, lines[2:], following)
        return
    level = _heading_level(lines, following)
    if level:
        transcript.add(BlockKind.HEADING, lines[0].strip(), level=level)
    elif _BULLET.match(lines[0]) and (len(lines) > 1 or not _NUMBERED.match(lines[0])):
        transcript.add(BlockKind.LIST, _unwrapped_list(lines))
    else:
        transcript.add(BlockKind.PARAGRAPH, unwrap(lines))


def _heading_level(lines: list[str], following: list[str]) -> int:
    """The depth of a heading that stands alone on its line and heads something, else 0."""
    line = lines[0].strip()
    if len(lines) != 1 or not following or len(line) > _LONGEST_HEADING or line[-1] in ".,;:!?":
        return 0
    number = _NUMBERED.match(line)
    if number and not (len(following) == 1 and _NUMBERED.match(following[0].strip())):
        return min(number.group(1).count(".") + 2, 6)
    letters = [c for c in line if c.isalpha()]
    if len(letters) >= 3 and all(c.isupper() for c in letters):
        return 1
    return 0


def unwrap(lines: list[str]) -> str:
    """Hard-wrapped prose as one line: a line end counts as a wrap where the next word would not
    have fitted. Anything else keeps its lines."""
    lines = [line.rstrip() for line in lines]
    width = max(map(len, lines))
    wrapped = width >= _PROSE_WIDTH and all(
        len(line) + 1 + len((after.split() or [""])[0]) > width - 8
        for line, after in pairwise(lines)
    )
    return " ".join(line.strip() for line in lines) if wrapped else "\n".join(lines)


def _unwrapped_list(lines: list[str]) -> str:
    """List lines, with indented continuations joined to their item."""
    items: list[str] = []
    for line in lines:
        if items and not _BULLET.match(line):
            items[-1] += " " + line.strip()
        else:
            items.append(line.rstrip())
    return "\n".join(items)
