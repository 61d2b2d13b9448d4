"""Would neighbours joined into one passage bring more of the evidence into the prompt?

    python -m benchmarks.neighbours FILE... --weights MODELS/all-minilm-l6-v2 --cache DIR

FILE holds samples with evidence (docs/tuning-data.md); documents are put together again from its
passages and searched as `benchmarks.chunking` does, and copies are folded as for an answer. Joined:
a chunk that follows or precedes one that was taken shares its place, until a chunk would need a
sixth. In the prompt: the chunks of the places hold the whole evidence, blanks aside; in one
passage: those of one place do.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.chunking import Place, Text, cut, ranked, read
from eval.statistics import mean
from models.embedder import SentenceEmbedder
from rag.domain import Chunk, Passage
from rag.pack import pack

TOKENS, PLACES, DEEP = 180, 5, 25

Rows = Sequence[tuple[str, Chunk]]  # document and chunk, in the order of their texts
Places = list[list[int]]  # of each place in the prompt, the rows that share it


def first(count: int, rows: Rows, order: Sequence[int]) -> Places:
    """The best chunks, each in a place of its own."""
    return [[at] for at in order[:count]]


def joined(most: int, rows: Rows, order: Sequence[int]) -> Places:
    """At most `most` chunks share a place; the one that stands between two places joins them."""
    places: Places = []
    for at in order:
        near = [place for place in places if any(_neighbours(rows, at, o) for o in place)]
        if near and 1 + sum(map(len, near)) > most:
            near = [place for place in near if len(place) < most][:1]
        if near:
            near[0] += [at, *(o for place in near[1:] for o in place)]
            places = [place for place in places if place not in near[1:]]
        elif len(places) < PLACES:
            places.append([at])
        else:
            break
    return places


def pulled(rows: Rows, order: Sequence[int]) -> Places:
    """The best chunks, and the neighbours of the very best, found or not."""
    places = first(PLACES, rows, order)
    taken = {at for place in places for at in place}
    near = [order[0] - 1, order[0] + 1]
    places[0] += [at for at in near if at not in taken and _neighbours(rows, at, order[0])]
    return places


def _neighbours(rows: Rows, one: int, other: int) -> bool:
    within = min(one, other) >= 0 and max(one, other) < len(rows)
    return within and abs(one - other) == 1 and rows[one][0] == rows[other][0]


WAYS: dict[str, Callable[[Rows, Sequence[int]], Places]] = {
    **{f"best {count}": partial(first, count) for count in (5, 6, 7, 8)},
    **{f"joined by {most} at most": partial(joined, most) for most in (2, 3)},
    "joined, however many": partial(joined, 1_000_000),
    "best 5 and the best one's neighbours": pulled,
}


def main(arguments: Sequence[str] | None = None) -> None:
    description = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.neighbours", description=description)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="the embedder's folder")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=300, help="at most so many of a file")
    options = parser.parse_args(arguments)
    embedder = SentenceEmbedder(options.weights)
    for path in options.files:
        documents, questions = read(path)
        asked = list(questions.values())[:: max(1, len(questions) // options.questions)]
        chunks = cut(documents, embedder, TOKENS)
        rows = list(chunks)
        found = ranked(chunks, [question for question, _ in asked], embedder, options.cache)
        orders = [folded(rows, order, embedder) for order in found]
        print(f"\n{path.name}: {len(documents)} documents, {len(rows)} chunks, {len(asked)} asked")
        beside = [float(len(joined(PLACES, rows, o[:PLACES])) < PLACES) for o in orders]
        print(f"  two of the best {PLACES} are neighbours: {mean(beside).value:.3f}")
        print(f"  {'':38}chunks  in the prompt  less the best {PLACES}            in one passage")
        before: list[float] | None = None
        for name, way in WAYS.items():
            taken = [way(rows, order) for order in orders]
            whole = [[[at for place in places for at in place]] for places in taken]
            got, alone = (_held(documents, rows, each, asked) for each in (whole, taken))
            before = before or got
            gain = mean([a - b for a, b in zip(got, before, strict=True)])
            size = mean([float(len(place)) for (place,) in whole]).value
            print(
                f"  {name:<38}{size:6.2f}{mean(got).value:15.3f}  {gain.value:+.3f} "
                f"[{gain.low:+.3f}, {gain.high:+.3f}]{mean(alone).value:16.3f}",
                flush=True,
            )


def folded(rows: Rows, order: Sequence[int], embedder: SentenceEmbedder) -> list[int]:
    """The best chunks that add something to the better ones."""
    at = {rows[place][1].id: place for place in order}
    found = [Passage(rows[p][1], rows[p][0], rows[p][0], "", 0.0) for p in order]
    kept = pack(found, 1_000_000, embedder.count_tokens, limit=DEEP)
    return [at[passage.chunk.id] for passage in kept.passages]


def _held(
    documents: dict[str, Text],
    rows: Rows,
    taken: Sequence[Places],
    asked: Sequence[tuple[str, list[Place]]],
) -> list[float]:
    """1 for each question of which one place holds a whole piece of evidence, else 0."""
    pairs = zip(taken, asked, strict=True)
    return [float(holds(documents, rows, places, wanted)) for places, (_, wanted) in pairs]


def holds(
    documents: dict[str, Text], rows: Rows, places: Places, evidence: Sequence[Place]
) -> bool:
    """Whether the chunks of one place hold a whole piece of evidence."""
    for document, start, end in evidence:
        text = documents[document].text
        for place in places:
            spans = sorted(
                (c.start, c.end) for name, c in map(rows.__getitem__, place) if name == document
            )
            reached = start
            for begins, ends in spans:
                if begins <= reached or not text[reached:begins].strip():
                    reached = max(reached, ends)
            if not text[reached:end].strip():
                return True
    return False


if __name__ == "__main__":
    main()
