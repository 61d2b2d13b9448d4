"""Whether two texts say the same but for boilerplate; for the few passages of one question."""

from __future__ import annotations

import re
from dataclasses import dataclass

SHINGLE = 3  # words
SHARE = 0.9  # of the shingles of one that must stand in the other

_WORD = re.compile(r"\w+(?:[-./:,'’]\w+)*")
# Whoever differs in one of these says something else, however many other words are shared.
_WORDS = """
no not never none neither nor without except unless only cannot must may shall should
ain't aren't can't couldn't didn't doesn't don't hadn't hasn't haven't isn't mustn't needn't
shouldn't wasn't weren't won't wouldn't
"""
_TURNING = frozenset(_WORDS.split())


@dataclass(frozen=True, slots=True)
class Likeness:
    """What is compared of a text: its words in order (case, spacing and punctuation aside) as
    shingles (Broder, On the resemblance and containment of documents, 1997), and those of its words
    that no boilerplate differs in: numbers, identifiers and words that turn a sentence round."""

    shingles: frozenset[tuple[str, ...]]
    telling: frozenset[str]

    @classmethod
    def of(cls, text: str) -> Likeness:
        words = [word.replace("’", "'") for word in _WORD.findall(text.casefold())]
        size = min(SHINGLE, len(words))
        starts = range(len(words) - size + 1) if words else ()
        return cls(
            frozenset(tuple(words[at : at + size]) for at in starts),
            frozenset(w for w in words if w in _TURNING or any(c.isdigit() for c in w)),
        )

    def within(self, other: Likeness) -> bool:
        """Whether this text adds nothing to the other: nearly all of its shingles stand there, and
        every word that could make a difference."""
        if not self.shingles or not self.telling <= other.telling:
            return False
        return len(self.shingles & other.shingles) >= SHARE * len(self.shingles)
