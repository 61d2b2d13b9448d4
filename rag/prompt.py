"""What the reader is shown: of each passage its title and headings, then its words; and the
passages in which order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rag.domain import Passage

ORDER = "order"  # under this an answer's settings keep in which order its passages were read


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


def shown(passage: Passage) -> str:
    return shown_text(passage.title, passage.chunk.heading_path, passage.chunk.text)


def shown_text(title: str, heading_path: Sequence[str], text: str) -> str:
    head = " > ".join(part for part in (title, *heading_path) if part)
    return f"{head}\n{text}" if head else text
