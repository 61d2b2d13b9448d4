"""In which order a reader reads passages, as it is kept with an answer; and, for a handful of texts
that no search has put in order, which is nearest the question by meaning and words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rag.analyse import analyse
from rag.ports import Embedder

ORDER = "order"  # under this an answer's settings keep in which order its passages were read
_WORDS = 0.5  # what all of the question's words count beside a cosine of 1


def kept_order(numbers: Iterable[int]) -> str:
    return " ".join(map(str, numbers))


def best_last(passages: int) -> str:
    """The order for passages that stand best first: what stands last, beside the question, is read
    best (docs/experiments.md)."""
    return kept_order(range(passages, 0, -1))


def best_first(passages: int) -> str:
    """The order of answers from before one was kept."""
    return kept_order(range(1, passages + 1))


def reading_order(order: object) -> tuple[int, ...]:
    """The numbers of passages, from 1, as they are read one after the other."""
    return tuple(int(number) for number in str(order).split())


def nearest_last(embedder: Embedder, question: str, texts: Sequence[str]) -> tuple[int, ...]:
    """The numbers of the texts, from 1, the one nearest the question last; of equals the first."""
    if len(texts) < 2:
        return tuple(range(1, len(texts) + 1))
    asked, *vectors = embedder.embed([question, *texts])
    words = set(analyse(question))

    def near(number: int) -> float:
        text = texts[number - 1]
        shared = len(words & set(analyse(text))) / len(words) if words else 0.0
        return float(vectors[number - 1] @ asked) + _WORDS * shared

    return tuple(sorted(range(len(texts), 0, -1), key=near))
