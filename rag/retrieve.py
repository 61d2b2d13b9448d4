"""Question to candidate passages: catch up, search the legs, fetch, fuse."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Protocol

from rag.analyse import analyse
from rag.domain import Condition, Embedding, Filter, Hit, Leg, Passage
from rag.errors import EmbedderChanged, EmptyQuestion, ModelError, UnknownGeneration
from rag.ports import Embedder, SearchIndex, Store, UnitOfWork, Vectors
from rag.wording import Wording, places, standing
from rag.words import Words

_DEEPEST = 16  # times the candidates: bounds what a question costs that may see nothing


class Fuse(Protocol):
    """The legs' hits to hybrid ones."""

    def __call__(
        self, dense: Sequence[Hit], lexical: Sequence[Hit], *, wording: Wording
    ) -> list[Hit]: ...


@dataclass(frozen=True, slots=True)
class Searched:
    """What a collection is searched with now: the index of its current embedding, and the embedder
    that made that one's vectors."""

    index: SearchIndex
    embedder: Embedder
    embedding: Embedding

    def at(self, generation: int | None) -> SearchIndex:
        """The index, for a question as of a generation (None: the newest). Raises
        UnknownGeneration when another embedder was read then."""
        if generation is not None and generation < self.embedding.born:
            raise UnknownGeneration(
                f"generation {generation} was searched through another embedder, before generation "
                f"{self.embedding.born}; an answer of that time can be replayed, its search cannot"
            )
        return self.index


@dataclass(frozen=True, slots=True)
class Retrieved:
    """Passages best first, as of `generation`. Each one's `scores` holds what it has of "dense",
    "lexical", "wording" and "hybrid"; `timings` are seconds per stage, `lists` the hits of each
    leg."""

    generation: int
    passages: tuple[Passage, ...]
    timings: Mapping[str, float]
    lists: Mapping[Leg, Sequence[Hit]]


def retrieve(
    store: Store,
    index: SearchIndex,
    embedder: Embedder,
    collection: str,
    question: str,
    groups: frozenset[str],
    *,
    fuse: Fuse,
    leg: Leg = Leg.HYBRID,
    candidates: int = 50,
    conditions: tuple[Condition, ...] = (),
    documents: frozenset[str] | None = None,
    generation: int | None = None,
    words: Words | None = None,
    most: int | None = None,
) -> Retrieved:
    """The passages of a collection (by id) that `groups` may read, for a question: the `most` best,
    or all that were found.

    Each leg gives `candidates` hits; `fuse` joins them (`rag.fuse.convex` or `rrf` with its weight
    bound). The newest committed generation is read once, unless an older one is asked for. Rights
    are applied inside the legs, and once more in SQL when the texts are fetched. Should SQL drop
    one, none that it drops counts in what is fused, and the legs are asked for up to 16 times as
    many hits, so that enough are left. `words` keeps the analysed words of what is found for the
    questions after it, where the index does not know them. Raises EmptyQuestion, and
    EmbedderChanged when the collection was embedded by another model.
    """
    if not question.strip():
        raise EmptyQuestion("the question is empty; write what you want to know")
    timings: dict[str, float] = {}
    vectors: Vectors | None = None
    if leg is not Leg.LEXICAL:
        with _timed(timings, "embed"):
            vectors = embedder.embed([question])
    with _timed(timings, "catch_up"):
        newest = index.catch_up()
        at = newest if generation is None else min(generation, newest)
    filter = Filter(at, groups, conditions, documents)
    deepest = _DEEPEST * candidates
    # What is read of the past may be deleted since: its words are not kept.
    kept = Words() if words is None or at != newest else words
    depth, stand = candidates, Wording()
    checked = most is None  # else of what is found only the best is checked in SQL
    with store() as work:
        read = _Read(work, collection, filter)
        while True:
            lists: dict[Leg, list[Hit]] = {}
            if vectors is not None:
                with _timed(timings, "dense"), _explained(store, collection, embedder):
                    lists[Leg.DENSE] = index.dense(vectors[0], filter, depth)
            if leg is not Leg.DENSE:
                with _timed(timings, "lexical"):
                    lists[Leg.LEXICAL] = index.lexical(question, filter, depth)
            found: Set[str] = {hit.chunk for hits in lists.values() for hit in hits}
            with _timed(timings, "fetch"):
                if vectors is not None:
                    _require_embedder(work, collection, embedder)
                if checked:
                    found = read.passages(found).keys()
            full = {name for name, hits in lists.items() if len(hits) == depth}
            lists = {name: _seen(hits, found, candidates) for name, hits in lists.items()}
            if any(len(lists[name]) < candidates for name in full) and depth < deepest:
                depth *= 4  # the index returned rows that SQL does not permit: look behind them
                continue
            if leg is Leg.HYBRID:
                with _timed(timings, "fuse"):
                    stand = _wording(index, read, question, found, kept)
                    lists[leg] = fuse(lists[Leg.DENSE], lists[Leg.LEXICAL], wording=stand)
            best = [hit.chunk for hit in lists[leg][:most]]
            with _timed(timings, "fetch"):
                passages = read.passages(best)
            if len(passages) == len(best):
                break
            checked = True  # not all of them are permitted: again without any such
    return Retrieved(at, _scored(passages.values(), lists, stand.standing, leg), timings, lists)


@dataclass(frozen=True, slots=True)
class _Read:
    """What one question reads of the truth, each passage once."""

    work: UnitOfWork
    collection: str
    filter: Filter
    held: dict[str, Passage] = field(default_factory=dict)

    def passages(self, ids: Iterable[str]) -> Mapping[str, Passage]:
        """Those of `ids` that are permitted, in their order."""
        ids = list(ids)
        lacking = [id for id in ids if id not in self.held]
        if lacking or not self.held:
            for passage in self.work.chunks.passages(self.collection, lacking, self.filter):
                self.held[passage.chunk.id] = passage
        return {id: self.held[id] for id in ids if id in self.held}


def _wording(
    index: SearchIndex, read: _Read, question: str, found: Set[str], words: Words
) -> Wording:
    """How the question's words stand in what was found: by the index, or else by the texts."""
    asked = analyse(question)
    terms = dict.fromkeys(asked)
    known = index.places(list(terms), found)
    lacking = read.passages(found - known.keys()) if len(known) < len(found) else {}
    texts = words.of(lacking.values(), read.collection, read.filter.generation)
    told = {chunk: places(terms.keys(), each) for chunk, each in texts.items()}
    return standing(asked, {**known, **told})


def _seen(hits: Sequence[Hit], found: Set[str], most: int) -> list[Hit]:
    """The first `most` that SQL permits, ranked among themselves."""
    permitted = [hit for hit in hits if hit.chunk in found][:most]
    ranked = enumerate(permitted, 1)
    return [hit if hit.rank == rank else replace(hit, rank=rank) for rank, hit in ranked]


@contextmanager
def _explained(store: Store, collection: str, embedder: Embedder) -> Iterator[None]:
    """A vector that the index refuses is most likely another model's; then that is said."""
    try:
        yield
    except ModelError:
        with store() as work:
            _require_embedder(work, collection, embedder)
        raise


def _require_embedder(work: UnitOfWork, collection: str, embedder: Embedder) -> None:
    made_by = work.collections.embedder(collection)
    if made_by and made_by != embedder.identity:
        raise EmbedderChanged(
            f"the collection is embedded by {made_by}, and not by {embedder.identity}; ask again"
        )


def _scored(
    found: Iterable[Passage],
    lists: Mapping[Leg, Sequence[Hit]],
    standing: Mapping[str, float],
    leg: Leg,
) -> tuple[Passage, ...]:
    scores = {chunk: {"wording": score} for chunk, score in standing.items() if score > 0}
    for name, hits in lists.items():
        for hit in hits:
            scores.setdefault(hit.chunk, {})[name.value] = hit.score
    made = []
    for passage in found:
        own = scores[passage.chunk.id]
        place = passage.document, passage.document_name, passage.title
        made.append(Passage(passage.chunk, *place, own[leg.value], own))
    return tuple(made)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    start = perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + perf_counter() - start
