"""The one page: choose passages (rag.choosing), generate, cite, verify."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from time import perf_counter

from rag.choosing import Choosing
from rag.confidence import Signals
from rag.domain import (
    Answer,
    Citation,
    Collection,
    Condition,
    Explanation,
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
    Turn,
    Usage,
)
from rag.errors import EmptyQuestion, QuestionTooLong, UnknownAnswer
from rag.followup import Resolved, resolve
from rag.order import (
    ORDER,
    best_first,
    best_last,
    kept_order,
    nearest_last,
    reading_order,
)
from rag.pieces import Gone, before, somebody_waits, wanted
from rag.policy import Policy, calibrated_for
from rag.ports import Embedder, Generator, Generators, Store, Verifiers
from rag.prompt import shown
from rag.reach import answer_for, collection_for
from rag.reading import Boxes, Limits, Reading, Result
from rag.verify import Lexical

Event = Found | Said | Answer


@dataclass(frozen=True, slots=True)
class Answering:
    store: Store
    choosing: Choosing
    readers: Generators
    verifiers: Verifiers
    boxes: Boxes
    embedder: Callable[[], Embedder]

    @property
    def policy(self) -> Policy:
        return self.choosing.policy

    # --- the main way ---------------------------------------------------------------------------

    def ask(
        self,
        who: Principal,
        collection: str,
        question: str,
        *,
        conditions: Sequence[Condition] = (),
        history: Sequence[Turn] = (),
        sampling: Sampling | None = None,
    ) -> Answer:
        """The stored answer. Raises EmptyQuestion, QuestionTooLong, UnknownCollection,
        NotPermitted, or what a model or store raises."""
        *_, answer = self.stream(
            who, collection, question, conditions=conditions, history=history, sampling=sampling
        )
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
        history: Sequence[Turn] = (),
        sampling: Sampling | None = None,
        waited: float | None = None,
        gone: Gone = somebody_waits,
    ) -> Iterator[Event]:
        """`Found`, then a `Said` per verified sentence, last the stored `Answer`.

        `history` is the conversation that the question may follow on, oldest turn first.
        `sampling` (None: the policy's) may ask for at most the policy's tokens. `waited` is how
        long the question stood in a queue (seconds). Once `gone()`, raises Abandoned: the reader is
        stopped and nothing is stored. Raises what `ask` does too."""
        question = self._checked(question)
        sampling = self.policy.allowed(sampling)
        with self.store() as work:
            found_in = collection_for(work, collection, who, Right.READ)
        began = perf_counter()
        asked = resolve(question, history, self.policy.max_question_characters)
        reader = self.readers.of(found_in.id)
        chosen = self.choosing.choose(reader, found_in, asked, who, conditions, sampling)
        passages = chosen.context.passages
        yield Found(passages)
        frame = self._frame(reader, passages, chosen.found.generation, found_in.settings)
        frame = replace(frame, sampling=sampling, conditions=tuple(conditions))
        if asked.read != question:
            frame = replace(frame, searched=asked.searched, read=asked.read)
        reading = self._read(reader, asked.read, passages, frame, gone, keep=True)
        yield from reading
        queue = {} if waited is None else {"queue": waited}
        timings = queue | dict(chosen.timings)
        answer = self._answer(reading.result, question, passages, frame, timings)
        usage = _usage(reader, asked.read, passages, reading.result)
        answer = replace(answer, collection=found_in.id, user=who.user, usage=usage)
        answer.timings["total"] = (waited or 0.0) + perf_counter() - began  # type: ignore[index]
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
        found = self.choosing.retrieve(found_in, query, who, conditions, leg, k).passages
        if leg is Leg.HYBRID:
            found = tuple(self.choosing.reranker.rerank(query, found))
        return list(found[:k])

    def explain(
        self,
        who: Principal,
        collection: str,
        question: str,
        *,
        conditions: Sequence[Condition] = (),
    ) -> Explanation:
        """How `ask` would come to its passages; nothing is generated and nothing stored. Raises
        what `ask` does."""
        question = self._checked(question)
        with self.store() as work:
            found_in = collection_for(work, collection, who, Right.READ)
        asked = Resolved(question, question)
        reader, sampling = self.readers.of(found_in.id), self.policy.sampling
        return self.choosing.explained(reader, found_in, asked, who, conditions, sampling)

    def explain_answer(self, who: Principal, answer_id: str) -> Explanation:
        """How a stored answer came to its passages. Raises UnknownAnswer when it does not exist or
        may not be seen."""
        with self.store() as work:
            stored = answer_for(work, answer_id, who)
            found_in = work.collections.get(stored.collection)
        kept = stored.replay
        asked = Resolved(kept.searched or stored.question, kept.read or stored.question)
        reader, conditions = self.readers.of(found_in.id), kept.conditions
        found = self.choosing.explained(
            reader, found_in, asked, who, conditions, kept.sampling, kept.generation
        )
        markers = {each.marker: each.passage.chunk.id for each in found.candidates if each.marker}
        same = [markers[n] for n in sorted(markers)] == list(kept.context)
        return replace(found, timings=stored.timings, answer=stored.id, same=same)

    def read(
        self, question: str, passages: Sequence[Passage], sampling: Sampling | None = None
    ) -> Answer:
        """Answer from these passages, in whatever order they come; nothing is retrieved and nothing
        stored."""
        question = self._checked(question)
        began = perf_counter()
        reader = self.readers.of(None)
        frame = self._given(reader, question, passages)
        frame = replace(frame, sampling=sampling or frame.sampling)
        reading = self._read(reader, question, passages, frame)
        for _ in reading:
            pass
        answer = self._answer(reading.result, question, tuple(passages), frame, {})
        answer.timings["total"] = perf_counter() - began  # type: ignore[index]
        return answer

    def assess(
        self, question: str, passages: Sequence[Passage], collection: str | None = None
    ) -> tuple[Answer, Signals | None, str]:
        """What the reader of a collection (by id) would say if it were sure of everything, the
        signals of its surest sentence (None where the passages support none), and the weights for
        which this holds."""
        question = self._checked(question)
        reader = self.readers.of(collection)
        frame = self._given(reader, question, passages)
        frame = replace(frame, settings={**frame.settings, "min_confidence": 0.0})
        reading = self._read(reader, question, passages, frame)
        for _ in reading:
            pass
        answer = self._answer(reading.result, question, tuple(passages), frame, {})
        return answer, reading.result.signals, calibrated_for(reader)

    def replay(self, who: Principal, answer_id: str, *, gone: Gone = somebody_waits) -> Replayed:
        """Compute a stored answer again from what was stored with it. Raises UnknownAnswer when it
        does not exist, may not be seen, or rests on passages that were purged, UnknownAdapter when
        the adapter that wrote it is gone, and Abandoned once `gone()`."""
        with self.store() as work:
            stored = answer_for(work, answer_id, who)
            kept = stored.replay
            seen = Filter(kept.generation, who.groups)
            passages = tuple(work.chunks.passages(stored.collection, kept.context, seen))
        if [p.chunk.id for p in passages] != list(kept.context):
            raise UnknownAnswer(
                f"answer {answer_id} cannot be replayed: passages it was given are no longer there"
            )
        reader = self.readers.named(kept.adapter)
        frame = self._frame(reader, passages, kept.generation, {})
        once = {"verifier": Lexical.identity, ORDER: best_first(len(passages))}
        settings = {**frame.settings, **once, **kept.settings}
        frame = replace(frame, sampling=kept.sampling, settings=settings)
        frame = replace(frame, searched=kept.searched, read=kept.read)
        reading = self._read(reader, kept.read or stored.question, passages, frame, gone)
        for _ in reading:
            pass
        again = self._answer(reading.result, stored.question, passages, frame, {})
        again = replace(again, collection=stored.collection, user=stored.user)
        same = again.text == stored.text and [_place(c) for c in again.citations] == [
            _place(c) for c in stored.citations
        ]
        return Replayed(stored, again, same, _changed(kept, again.replay))

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

    def _frame(
        self,
        reader: Generator,
        passages: Sequence[Passage],
        generation: int,
        tuned: Mapping[str, MetadataValue],
    ) -> Replay:
        """All that this answer will rest on, as it is stored with it."""
        limits = self.policy.limits(reader, tuned)
        return Replay(
            generation,
            reader.model,
            reader.adapter,
            reader.prompt_version,
            self.policy.sampling,
            tuple(p.chunk.id for p in passages),
            {
                **limits.as_settings(),
                "verifier": self.verifiers.now().identity,
                ORDER: best_last(min(len(passages), reader.most_passages)),
            },
            computed=reader.computed,
        )

    def _given(self, reader: Generator, question: str, passages: Sequence[Passage]) -> Replay:
        """As `_frame`, for passages that no search has put in order."""
        frame = self._frame(reader, passages, 0, {})
        near = nearest_last(self.embedder(), question, [shown(p) for p in passages])
        order = kept_order(near[-reader.most_passages :])
        return replace(frame, settings={**frame.settings, ORDER: order})

    def _read(
        self,
        reader: Generator,
        question: str,
        passages: Sequence[Passage],
        frame: Replay,
        gone: Gone = somebody_waits,
        keep: bool = False,
    ) -> Reading:
        numbers = reading_order(frame.settings[ORDER])
        read = [passages[number - 1] for number in numbers]
        pieces = reader.generate([shown(p) for p in read], question, frame.sampling, keep)
        pieces = before(wanted(pieces, gone), frame.sampling.stop)
        limits = Limits.from_settings(frame.settings)
        verifier = self.verifiers.named(str(frame.settings["verifier"]))
        refusal, boxes = reader.refusal, self.boxes
        return Reading(pieces, question, read, numbers, limits, refusal, boxes, verifier)

    def _answer(
        self,
        result: Result,
        question: str,
        passages: tuple[Passage, ...],
        frame: Replay,
        timings: Mapping[str, float],
    ) -> Answer:
        return Answer(
            id=uuid.uuid4().hex,
            collection="",
            question=question,
            text=result.text,
            verdict=result.verdict,
            confidence=result.confidence,
            citations=tuple(result.citations),
            passages=passages,
            timings={**timings, **result.timings},
            replay=frame,
            user="",
            created=datetime.now(UTC),
        )


def _usage(reader: Generator, question: str, passages: Sequence[Passage], result: Result) -> Usage:
    """A reader that was given no passages was not asked."""
    read = [question, *map(shown, passages)] if passages else []
    return Usage(sum(reader.token_counts(read)), result.tokens)


def _on_record(collection: Collection, answer: Answer) -> dict[str, MetadataValue]:
    """The audit entry of an answer; the hash shows whether the stored text was changed since."""
    return {
        "collection": collection.name,
        "verdict": answer.verdict.value,
        "generation": answer.replay.generation,
        "text_sha256": hashlib.sha256(answer.text.encode()).hexdigest(),
    }


def _changed(then: Replay, now: Replay) -> tuple[str, ...]:
    """What computed otherwise than it does now."""
    before, after = (
        {"model": each.model, "prompt version": each.prompt_version, **each.computed}
        for each in (then, now)
    )
    return tuple(
        f"{name} is {after.get(name, 'not recorded')}, was {before.get(name, 'not recorded')}"
        for name in before | after
        if before.get(name) != after.get(name)
    )


def _place(citation: Citation) -> tuple[int, int, str, int, int]:
    return (citation.sentence, citation.marker, citation.version, citation.start, citation.end)
