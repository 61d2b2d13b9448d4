"""From a marked sentence to the exact words it rests on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.analyse import analyse
from rag.domain import Chunk, Passage
from rag.ports import Verifier
from rag.prompt import shown
from rag.sentences import units


@dataclass(frozen=True, slots=True)
class Quote:
    """A span of the version's text and how well it fits the sentence, in [0, 1]."""

    start: int
    end: int
    text: str
    fit: float


def quote(sentence: str, chunk: Chunk, question: str) -> Quote:
    """The unit of the chunk (one sentence or line, or two beside each other) that fits best: it
    holds the sentence's words, and among equals the question's."""
    spans = units(chunk.text) or [(0, len(chunk.text))]
    said, asked = set(analyse(sentence)), set(analyse(question))
    words = [set(analyse(chunk.text[a:b])) for a, b in spans]
    verbatim = _verbatim(sentence, chunk.text)
    best, best_key = (0, 0), (-1.0, -1.0, 0)
    for first in range(len(spans)):
        for last in (first, first + 1):
            if last == len(spans):
                continue
            have = words[first] | (words[last] if last > first else set())
            a, b = spans[first][0], spans[last][1]
            holds = 1.0 if any(a <= s and e <= b for s, e in verbatim) else _share(said, have)
            key = (holds, _share(asked, have) - 0.15 * (last - first), -first)
            if key > best_key:
                best, best_key = (first, last), key
    start, end = spans[best[0]][0], spans[best[1]][1]
    return Quote(chunk.start + start, chunk.start + end, chunk.text[start:end], best_key[0])


def _verbatim(sentence: str, text: str) -> list[tuple[int, int]]:
    """Where the sentence's words stand in the text as they are (spacing and case aside)."""
    pattern = r"\s+".join(map(re.escape, sentence.strip().rstrip(".").split()))
    if not pattern:
        return []
    whole = rf"(?<!\w){pattern}(?!\w)"
    return [match.span() for match in re.finditer(whole, text, re.IGNORECASE)]


def _share(wanted: set[str], have: set[str]) -> float:
    return len(wanted & have) / len(wanted) if wanted else 0.0


@dataclass(frozen=True, slots=True)
class Cited:
    """A passage (marker from 1) that supports a sentence, and the words that do. `asked` is the
    share of the question's content words that stand in the quote or in the headings over it."""

    marker: int
    passage: Passage
    quote: Quote
    support: float
    asked: float


def attribute(
    sentence: str,
    markers: Sequence[int],
    passages: Sequence[Passage],
    question: str,
    min_support: float,
    verifier: Verifier,
) -> list[Cited]:
    """The citations of one sentence: the markers it carries that support it by `min_support`; when
    none does, the one other passage that does, if only one (small models often have the fact right
    and the number wrong: CiteFix, arXiv 2504.15629); else nothing."""

    def supporting(numbers: Sequence[int]) -> list[Cited]:
        each = (_cited(sentence, n, passages[n - 1], question, verifier) for n in numbers)
        return [one for one in each if one.support >= min_support]

    if kept := supporting(markers):
        return kept
    found = supporting([n for n in range(1, len(passages) + 1) if n not in markers])
    return found if len(found) == 1 else []


def _cited(
    sentence: str, marker: int, passage: Passage, question: str, verifier: Verifier
) -> Cited:
    score = verifier.support(shown(passage), sentence, question)
    found = quote(sentence, passage.chunk, question)
    near = "\n".join((passage.title, *passage.chunk.heading_path, found.text))
    return Cited(marker, passage, found, score, _share(set(analyse(question)), set(analyse(near))))
