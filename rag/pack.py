"""Choosing the passages that go into the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rag.domain import Context, LeftOut, Passage


def pack(
    passages: Sequence[Passage],
    budget: int,
    count_tokens: Callable[[str], int],
    *,
    limit: int | None = None,
    overhead: int = 0,
) -> Context:
    """The best passages whose texts fit `budget` tokens together, in the order given (best first).

    Each costs its own tokens plus `overhead` (its marker and title). One that does not fit is
    passed over and a shorter, lower one may take its place. One that repeats a chosen passage, by
    the same words or by half of its span, is left out: it would cost room and prove nothing new.
    The context says of each one that is not in it why.
    """
    chosen: list[Passage] = []
    words: set[str] = set()
    left_out: dict[str, LeftOut] = {}
    for passage in passages:
        if limit is not None and len(chosen) >= limit:
            left_out[passage.chunk.id] = LeftOut.LIMIT
            continue
        text = " ".join(passage.chunk.text.casefold().split())
        if not text or text in words or any(_overlap(passage, other) for other in chosen):
            left_out[passage.chunk.id] = LeftOut.REPEAT
            continue
        cost = count_tokens(passage.chunk.text) + overhead
        if cost > budget:
            left_out[passage.chunk.id] = LeftOut.BUDGET
            continue
        budget -= cost
        chosen.append(passage)
        words.add(text)
    return Context(tuple(chosen), left_out)


def _overlap(one: Passage, other: Passage) -> bool:
    """Whether the two share at least half of the shorter one's span of the same version."""
    a, b = one.chunk, other.chunk
    if a.version != b.version:
        return False
    shared = min(a.end, b.end) - max(a.start, b.start)
    return 2 * shared >= min(a.end - a.start, b.end - b.start) > 0
