"""The one page: retrieve, fuse, rerank, pack, generate, cite, verify."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from time import perf_counter

from rag.domain import (
    Answer,
    Citation,
    Collection,
    Condition,
    Filter,
    Found,
    Leg,
    MetadataValue,
    Passage,
    Principal,
    Replay,
    Replayed,
    Right,
    Said,
    Sampling,
)
from rag.errors import EmptyQuestion, QuestionTooLong, UnknownAnswer
from rag.pack import pack
from rag.ports import Embedder, Generator, Reranker, SearchIndex, Store
from rag.prompt import shown
from rag.reach import answer_for, collection_for
from rag.reading import Boxes, Limits, Reading, Result
from rag.retrieve import Fuse, Retrieved, retrieve

Event = Found | Said | Answer


@dataclass(frozen=True, slots=True)
class Policy:
    """What is decided by settings."""

    passages: int
    candidates: int
    limits: Limits
    max_question_characters: int
    sampling: Sampling

    def as_settings(self) -> dict[str, MetadataValue]:
        return asdict(self.limits)


@dataclass(frozen=True, slots=True)
class Answering:
    store: Store
    index: Callable[[str], SearchIndex]
    embedder: Embedder
    generator: Generator
    reranker: Reranker
    fuse: Callable[[Collection], Fuse]
    boxes: Boxes
    policy: Policy

    # --- the main way ---------------------------------------------------------------------------

    def ask(
        self,
        who: Principal,
        collection: str,
        question: str,
        *,
        conditions: Sequence[Condition] = (),
    ) -> Answer:
        """The stored answer. Raises EmptyQuestion, QuestionTooLong, UnknownCollection,
        NotPermitted, or what a model or store raises."""
        *_, answer = self.stream(who, collection, question, conditions=conditions)
        if not isinstance(answer, Answer):
            raise TypeError("the stream ended without an answer")
        return answer

    def stream(
        self,
        who: Principal,
        collection: str,
        question: str,
        *,
        conditions: Sequence[Condition] = (),
    ) -> Iterator[Event]:
        """`Found`, then a `Said` per verified sentence, last the stored `Answer`."""
        question = self._checked(question)
        with self.store() as work:
            found_in = collection_for(work, collection, who, Right.READ)
        began = perf_counter()
        found = self._retrieve(found_in, question, who, conditions, Leg.HYBRID)
        timings = dict(found.timings)
        ranked = self.reranker.rerank(question, found.passages)
        timings["rerank"] = perf_counter() - began - sum(found.timings.values())
        passages = self._pack(ranked, question)
        yield Found(passages)
        reading = self._read(question, passages, self.policy.sampling)
        yield from reading
        answer = self._answer(reading.result, question, passages, found.generation, timings)
        answer = replace(answer, collection=found_in.id, user=who.user)
        answer.timings["total"] = perf_counter() - began  # type: ignore[index]
        with self.store() as work:
            work.answers.add(answer)
            work.audit.add(who.user, "ask", answer.id, _on_record(found_in, answer))
            work.commit()
        yield answer

    def search(
        self,
        who: Principal,
        collection: str,
        query: str,
        *,
        leg: Leg = Leg.HYBRID,
        k: int = 10,
        conditions: Sequence[Condition] = (),
    ) -> list[Passage]:
        query = self._checked(query)
        with self.store() as work:
            found_in = collection_for(work, collection, who, Right.READ)
        return list(self._retrieve(found_in, query, who, conditions, leg, k).passages[:k])

    def read(
        self, question: str, passages: Sequence[Passage], sampling: Sampling | None = None
    ) -> Answer:
        """Answer from these passages; nothing is retrieved and nothing stored."""
        question = self._checked(question)
        began = perf_counter()
        reading = self._read(question, passages, sampling or self.policy.sampling)
        for _ in reading:
            pass
        answer = self._answer(reading.result, question, tuple(passages), 0, {})
        answer.timings["total"] = perf_counter() - began  # type: ignore[index]
        return answer

    def replay(self, who: Principal, answer_id: str) -> Replayed:
        """Compute a stored answer again from what was stored with it. Raises UnknownAnswer when it
        does not exist, may not be seen, or rests on passages that were purged."""
        with self.store() as work:
            stored = answer_for(work, answer_id, who)
            kept = stored.replay
            seen = Filter(kept.generation, who.groups)
            passages = tuple(work.chunks.passages(stored.collection, kept.context, seen))
        if [p.chunk.id for p in passages] != list(kept.context):
            raise UnknownAnswer(
                f"answer {answer_id} cannot be replayed: passages it was given are no longer there"
            )
        reading = self._read(stored.question, passages, kept.sampling)
        for _ in reading:
            pass
        again = self._answer(reading.result, stored.question, passages, kept.generation, {})
        again = replace(again, collection=stored.collection, user=stored.user)
        same = again.text == stored.text and [_place(c) for c in again.citations] == [
            _place(c) for c in stored.citations
        ]
        return Replayed(stored, again, same)

    # --- the steps ------------------------------------------------------------------------------

    def _checked(self, question: str) -> str:
        question = question.strip()
        if not question:
            raise EmptyQuestion("the question is empty; write what you want to know")
        if len(question) > self.policy.max_question_characters:
            raise QuestionTooLong(
                f"the question has {len(question)} characters; at most "
                f"{self.policy.max_question_characters} are read"
            )
        return question

    def _retrieve(
        self,
        collection: Collection,
        question: str,
        who: Principal,
        conditions: Sequence[Condition],
        leg: Leg,
        k: int = 0,
    ) -> Retrieved:
        return retrieve(
            self.store,
            self.index(collection.id),
            self.embedder,
            collection.id,
            question,
            who.groups,
            fuse=self.fuse(collection),
            leg=leg,
            candidates=max(self.policy.candidates, k),
            conditions=tuple(conditions),
        )

    def _pack(self, ranked: Sequence[Passage], question: str) -> tuple[Passage, ...]:
        count = self.generator.count_tokens
        room = self.generator.context_tokens - self.policy.sampling.max_tokens
        budget = room - count(question) - 256  # the frame of the prompt
        return pack(ranked, budget, count, limit=self.policy.passages, overhead=48).passages

    def _read(self, question: str, passages: Sequence[Passage], sampling: Sampling) -> Reading:
        pieces = self.generator.generate([shown(p) for p in passages], question, sampling)
        return Reading(
            pieces, question, passages, self.policy.limits, self.generator.refusal, self.boxes
        )

    def _answer(
        self,
        result: Result,
        question: str,
        passages: tuple[Passage, ...],
        generation: int,
        timings: Mapping[str, float],
    ) -> Answer:
        sampling = self.policy.sampling
        return Answer(
            id=uuid.uuid4().hex,
            collection="",
            question=question,
            text=result.text or self.generator.refusal,
            verdict=result.verdict,
            confidence=result.confidence,
            citations=tuple(result.citations),
            passages=passages,
            timings={**timings, **result.timings},
            replay=Replay(
                generation,
                self.generator.model,
                self.generator.adapter,
                self.generator.prompt_version,
                sampling,
                tuple(p.chunk.id for p in passages),
                self.policy.as_settings(),
            ),
            user="",
            created=datetime.now(UTC),
        )


def _on_record(collection: Collection, answer: Answer) -> dict[str, MetadataValue]:
    """The audit entry of an answer; the hash shows whether the stored text was changed since."""
    return {
        "collection": collection.name,
        "verdict": answer.verdict.value,
        "generation": answer.replay.generation,
        "text_sha256": hashlib.sha256(answer.text.encode()).hexdigest(),
    }


def _place(citation: Citation) -> tuple[int, int, str, int, int]:
    return (citation.sentence, citation.marker, citation.version, citation.start, citation.end)
