"""The passages that an answer may rest on: retrieve, fuse, rerank, pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from rag.domain import (
    Collection,
    Condition,
    Context,
    Explanation,
    Filter,
    Leg,
    Passage,
    Principal,
    Sampling,
)
from rag.errors import EmbedderChanged, UnknownCollection
from rag.explain import Chosen, explain
from rag.followup import Resolved
from rag.pack import pack
from rag.policy import Policy
from rag.ports import Generator, Reranker, Store
from rag.retrieve import Fuse, Retrieved, Searched, retrieve
from rag.words import Words


@dataclass(frozen=True, slots=True)
class Choosing:
    """All that is done before the reader reads."""

    store: Store
    searched: Callable[[str], Searched]  # by the collection's id
    reranker: Reranker
    fuse: Callable[[Collection], Fuse]
    policy: Policy
    words: Words = field(default_factory=Words)

    def choose(
        self,
        reader: Generator,
        collection: Collection,
        asked: Resolved,
        who: Principal,
        conditions: Sequence[Condition],
        sampling: Sampling,
        generation: int | None = None,
    ) -> Chosen:
        """For a reader to read; of the newest generation, unless an older one is asked for."""
        found = self.retrieve(
            collection, asked.searched, who, conditions, Leg.HYBRID, generation=generation
        )
        timings = dict(found.timings)
        began = perf_counter()
        ranked = tuple(self.reranker.rerank(asked.searched, found.passages))
        timings["rerank"] = perf_counter() - began
        began = perf_counter()
        context = self._pack(reader, ranked, asked.read, sampling)
        timings["pack"] = perf_counter() - began
        return Chosen(found, ranked, context, timings)

    def explained(
        self,
        reader: Generator,
        collection: Collection,
        asked: Resolved,
        who: Principal,
        conditions: Sequence[Condition],
        sampling: Sampling,
        generation: int | None = None,
    ) -> Explanation:
        """How `choose` comes to its passages."""
        chosen = self.choose(reader, collection, asked, who, conditions, sampling, generation)
        at = chosen.found.generation
        free = chosen.found
        if conditions:
            free = self.retrieve(collection, asked.searched, who, (), Leg.HYBRID, generation=at)
        filter = Filter(at, who.groups, tuple(conditions))
        index, words = self.searched(collection.id).at(at), asked.searched
        return explain(self.store, index, collection.id, words, filter, chosen, free.passages)

    def retrieve(
        self,
        collection: Collection,
        question: str,
        who: Principal,
        conditions: Sequence[Condition],
        leg: Leg,
        k: int = 0,
        generation: int | None = None,
    ) -> Retrieved:
        """All passages, or the `k` best where no reranker may change their order. Again from the
        start, should another embedder take the place of the current one."""
        searched = self.searched(collection.id)
        # A reranker reads more than are asked for.
        most = k if k and (leg is not Leg.HYBRID or self.reranker.identity == "none") else None
        while True:
            try:
                return retrieve(
                    self.store,
                    searched.at(generation),
                    searched.embedder,
                    collection.id,
                    question,
                    who.groups,
                    fuse=self.fuse(collection),
                    leg=leg,
                    candidates=max(self.policy.candidates, k),
                    conditions=tuple(conditions),
                    generation=generation,
                    words=self.words,
                    most=most,
                )
            except (EmbedderChanged, UnknownCollection):
                now = self.searched(collection.id)
                if now.embedding.id == searched.embedding.id:
                    raise
                searched = now

    def _pack(
        self, reader: Generator, ranked: Sequence[Passage], question: str, sampling: Sampling
    ) -> Context:
        likely = [question, *(p.chunk.text for p in ranked[: 2 * self.policy.passages])]
        counted = dict(zip(likely, reader.token_counts(likely), strict=True))

        def count(text: str) -> int:
            return counted[text] if text in counted else reader.count_tokens(text)

        room = reader.context_tokens - sampling.max_tokens
        budget = room - count(question) - 256  # the frame of the prompt
        limit = min(self.policy.passages, reader.most_passages)
        return pack(ranked, budget, count, limit=limit, overhead=48)
