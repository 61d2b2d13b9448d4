"""Choosing the passages that go into the prompt, and their order in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from rag.alike import Likeness
from rag.domain import Context, Copy, Passage

NEAR = 200  # characters between two chunks of a version: blanks, or a heading that others carry


def pack(
    passages: Sequence[Passage],
    budget: int,
    count_tokens: Callable[[str], int],
    *,
    limit: int | None = None,
    overhead: int = 0,
) -> Context:
    """The best passages (`passages` is best first) whose texts fit `budget` tokens together.

    Each costs its own tokens plus `overhead` (its marker and title). One that does not fit is
    passed over and a shorter, lower one may take its place. One that adds nothing to a chosen
    passage (nearly the same words, or half of its span) is folded under it, and the chosen one says
    in `also` which other documents hold it. Neighbours of one version stand beside each other in
    reading order, where the better of them would stand; the others stay best first.
    """
    chosen: list[Passage] = []
    likes: list[Likeness] = []
    for passage in passages:
        like = Likeness.of(passage.chunk.text)
        if not like.shingles:
            continue
        if (at := _holder(passage, like, chosen, likes)) is not None:
            chosen[at] = _also(chosen[at], passage)
            continue
        if limit is not None and len(chosen) >= limit:
            continue  # it may still be folded
        cost = count_tokens(passage.chunk.text) + overhead
        if cost > budget:
            continue
        budget -= cost
        chosen.append(passage)
        likes.append(like)
    return Context(tuple(_beside(chosen)))


def _holder(
    passage: Passage, like: Likeness, chosen: Sequence[Passage], likes: Sequence[Likeness]
) -> int | None:
    """The place of the chosen passage that holds this one already."""
    for at, (other, held) in enumerate(zip(chosen, likes, strict=True)):
        if _overlap(passage, other) or like.within(held):
            return at
    return None


def _also(holder: Passage, folded: Passage) -> Passage:
    place = Copy(folded.document, folded.document_name, folded.chunk.id)
    known = {holder.document, *(other.document for other in holder.also)}
    return holder if place.document in known else replace(holder, also=(*holder.also, place))


def _overlap(one: Passage, other: Passage) -> bool:
    """Whether the two share at least half of the shorter one's span of the same version."""
    a, b = one.chunk, other.chunk
    if a.version != b.version:
        return False
    shared = min(a.end, b.end) - max(a.start, b.start)
    return 2 * shared >= min(a.end - a.start, b.end - b.start) > 0


def _beside(chosen: Sequence[Passage]) -> list[Passage]:
    """Runs of neighbours, each at the place of its best member."""
    runs: list[list[Passage]] = []
    for passage in chosen:
        near = [run for run in runs if any(_neighbours(passage, other) for other in run)]
        for run in near[1:]:  # it stands between two runs
            near[0].extend(run)
            runs.remove(run)
        if near:
            near[0].append(passage)
        else:
            runs.append([passage])
    return [p for run in runs for p in sorted(run, key=lambda p: p.chunk.start)]


def _neighbours(one: Passage, other: Passage) -> bool:
    first, second = sorted((one.chunk, other.chunk), key=lambda chunk: chunk.start)
    return first.version == second.version and second.start - first.end <= NEAR
