"""A file's passages, document after document, cut into excerpts of one length: short ones are
joined and long ones cut, so that every prompt of a benchmark is the same work.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from eval.samples import Evidence, Sample

LEAST = 0.9  # of the wanted length; what is shorter (the end of a file) is left out
_WORD = re.compile(r"\s*\S+")


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`start` and `end` count characters of the whole file's text; `docs` are the documents that it
    holds a part of."""

    text: str
    start: int
    end: int
    docs: frozenset[str]


class Shelf:
    """The excerpts of one file. `count` counts the tokens of a text."""

    def __init__(
        self, name: str, samples: Sequence[Sample], tokens: int, count: Callable[[str], int]
    ) -> None:
        self._name = name
        self._places: dict[str, int] = {}  # passage id -> where its text starts
        self._starts: list[int] = []  # of each passage, ascending
        self._docs: list[str] = []
        self._text = self._joined(samples)
        self.excerpts = list(self._cut(tokens, count))
        self._cuts = [excerpt.start for excerpt in self.excerpts]

    def holding(self, sample: Sample) -> Excerpt | None:
        """The excerpt that holds a whole piece of the sample's evidence; None where a cut parts
        every piece."""
        found = (self._around(evidence) for evidence in sample.evidence)
        return next((excerpt for excerpt in found if excerpt is not None), None)

    def _around(self, evidence: Evidence) -> Excerpt | None:
        place = self._places[evidence.passage]
        at = bisect_right(self._cuts, place + evidence.start) - 1
        if at < 0 or place + evidence.end > self.excerpts[at].end:
            return None
        return self.excerpts[at]

    def _joined(self, samples: Sequence[Sample]) -> str:
        held: dict[str, dict[str, str]] = {}  # document -> passage id -> text
        for sample in samples:
            for passage in sample.passages:
                held.setdefault(sample.doc, {}).setdefault(passage.id, passage.text.strip())
        parts: list[str] = []
        at = 0
        for doc, passages in held.items():
            for id, text in passages.items():
                self._places.setdefault(id, at)
                self._starts.append(at)
                self._docs.append(f"{self._name}:{doc}")
                parts.append(text + "\n")
                at += len(text) + 1
        return "".join(parts)

    def _cut(self, tokens: int, count: Callable[[str], int]) -> Iterator[Excerpt]:
        """As many whole words as fit. The tokens of words add up but for a few, so what was filled
        by adding is counted as a whole before it is kept."""
        cost = cache(count)
        words = [(m.start(), m.end()) for m in _WORD.finditer(self._text)]
        first = 0
        while first < len(words):
            last, filled = first, 0
            while last < len(words) and filled <= tokens:
                filled += cost(self._text[slice(*words[last])])
                last += 1
            while last > first + 1 and count(self._between(words[first], words[last - 1])) > tokens:
                last -= 1
            text = self._between(words[first], words[last - 1])
            if LEAST * tokens <= count(text) <= tokens:
                end = words[last - 1][1]
                start = end - len(text)
                yield Excerpt(text, start, end, self._within(start, end))
            first = last

    def _between(self, first: tuple[int, int], last: tuple[int, int]) -> str:
        return self._text[first[0] : last[1]].strip()

    def _within(self, start: int, end: int) -> frozenset[str]:
        begun = bisect_right(self._starts, start) - 1
        return frozenset(self._docs[begun : bisect_right(self._starts, end - 1)])
