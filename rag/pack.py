"""Choosing the passages that go into the prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.alike import Likeness
from rag.domain import Context, Elsewhere, LeftOut, Passage


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
    passed over and a shorter, lower one may take its place. One that adds nothing to a chosen
    passage (nearly the same words, or half of its span) is folded under it, and the chosen one says
    in `also` which other documents hold it. The context says of each one that is not in it why.
    """
    chosen: list[Passage] = []
    likes: list[Likeness] = []
    left_out: dict[str, LeftOut] = {}
    for passage in passages:
        like = Likeness.of(passage.chunk.text)
        if not like.shingles:
            left_out[passage.chunk.id] = LeftOut.REPEAT
            continue
        if (at := _holder(passage, like, chosen, likes)) is not None:
            chosen[at] = _also(chosen[at], passage)
            left_out[passage.chunk.id] = LeftOut.REPEAT
            continue
        if limit is not None and len(chosen) >= limit:
            left_out[passage.chunk.id] = LeftOut.LIMIT
            continue  # what comes after may still be folded
        cost = count_tokens(passage.chunk.text) + overhead
        if cost > budget:
            left_out[passage.chunk.id] = LeftOut.BUDGET
            continue
        budget -= cost
        chosen.append(passage)
        likes.append(like)
    return Context(tuple(chosen), left_out)


def _holder(
    passage: Passage, like: Likeness, chosen: Sequence[Passage], likes: Sequence[Likeness]
) -> int | None:
    """The place of the chosen passage that holds this one already."""
    for at, (other, held) in enumerate(zip(chosen, likes, strict=True)):
        if _overlap(passage, other) or like.within(held):
            return at
    return None


def _also(holder: Passage, folded: Passage) -> Passage:
    place = Elsewhere(folded.document, folded.document_name, folded.chunk.id)
    known = {holder.document, *(other.document for other in holder.also)}
    return holder if place.document in known else replace(holder, also=(*holder.also, place))


def _overlap(one: Passage, other: Passage) -> bool:
    """Whether the two share at least half of the shorter one's span of the same version."""
    a, b = one.chunk, other.chunk
    if a.version != b.version:
        return False
    shared = min(a.end, b.end) - max(a.start, b.start)
    return 2 * shared >= min(a.end - a.start, b.end - b.start) > 0
