"""The text of a version as it grows: every parser writes its blocks here.

Offsets are exact by construction: a block's span is where its text was just appended.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ingestion.limits import Limits
from rag.domain import Block, BlockKind, Box, Member, MetadataValue, Parsed, Word
from rag.errors import EmptyDocument, LimitExceeded

SEPARATOR = "\n\n"

# Characters that are invisible, cannot be stored (NUL, surrogates), or hide text from a reader:
# control characters, soft hyphens, zero-width blanks, bidirectional overrides and tag characters.
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff"
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"
)
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_BLANKS = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SURROGATES = re.compile("[\ud800-\udfff]")
_LIGATURES = {0xFB00: "ff", 0xFB01: "fi", 0xFB02: "fl", 0xFB03: "ffi", 0xFB04: "ffl"}
_LIGATURES |= {0xFB05: "st", 0xFB06: "st"}


def clean(text: str) -> str:
    """`text` with line ends as \\n, blanks as spaces, ligatures as letters, nothing unseen."""
    text = _BREAKS.sub("\n", text)
    text = UNSEEN.sub("", _BLANKS.sub(" ", text)).translate(_LIGATURES)
    return _SURROGATES.sub("\ufffd", text)


def squeeze(text: str) -> str:
    """One line: runs of white space become a single space."""
    return " ".join(clean(text).split())


class Transcript:
    """Text, blocks and words of one version. `add` raises LimitExceeded past the limit."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.blocks: list[Block] = []
        self._parts: list[str] = []
        self._length = 0
        self._words: list[Word] = []

    def add(
        self,
        kind: BlockKind,
        text: str,
        *,
        level: int = 0,
        page: int | None = None,
        boxes: Sequence[Box] = (),
        words: Sequence[Word] = (),
    ) -> None:
        """Append a block. `words` are spans of `text`, which then must be clean already. A block
        of white space only is left out."""
        if not words:
            text = clean(text).strip("\n").rstrip()
        if not text.strip():
            return
        start = self._length + (len(SEPARATOR) if self._parts else 0)
        end = start + len(text)
        if end > self.limits.characters:
            raise LimitExceeded(
                f"the document holds more than {self.limits.characters:,} characters; "
                "split it, or raise max_characters"
            )
        self._parts.append(text)
        self._length = end
        self.blocks.append(Block(kind, start, end, page, tuple(boxes), level))
        self._words.extend(Word(w.start + start, w.end + start, w.box) for w in words)

    def finish(
        self,
        media_type: str,
        *,
        title: str = "",
        pages: int | None = None,
        metadata: Mapping[str, MetadataValue] | None = None,
        members: Sequence[Member] = (),
        nothing: str = "the file holds no text",
    ) -> Parsed:
        """What was added, as one Parsed. Raises EmptyDocument (saying `nothing`) without text."""
        text = SEPARATOR.join(self._parts)
        if not text:
            raise EmptyDocument(nothing)
        return Parsed(
            text=text,
            blocks=tuple(self.blocks),
            media_type=media_type,
            title=squeeze(title) or self._first_heading(text),
            pages=pages,
            words=tuple(self._words),
            metadata={key: _plain(value) for key, value in (metadata or {}).items()},
            members=tuple(members),
        )

    def _first_heading(self, text: str) -> str:
        for block in self.blocks[:5]:
            if block.kind is BlockKind.HEADING:
                return squeeze(text[block.start : block.end])[:300]
        return ""


def _plain(value: MetadataValue) -> MetadataValue:
    return squeeze(value)[:1000] if isinstance(value, str) else value
