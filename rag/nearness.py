"""How near texts are to a question, by meaning and by words; for a handful of texts that no search
has put in order.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.analyse import analyse
from rag.ports import Embedder

_WORDS = 0.5  # what all of the question's words count beside a cosine of 1


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
