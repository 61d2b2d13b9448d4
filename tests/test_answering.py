"""The one page over the real store and index; only the models are the shipped fakes."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from models.fake import CopyGenerator, HashEmbedder
from models.piece import Piece
from models.sampling import Settings
from rag.bootstrap import Attest, open_attest
from rag.domain import (
    LOCAL_USER,
    Answer,
    Block,
    BlockKind,
    Chunk,
    Condition,
    Found,
    Leg,
    Passage,
    Principal,
    Right,
    Said,
    Sampling,
    Turn,
    Usage,
    Verdict,
    chunk_id,
)
from rag.errors import Abandoned, EmptyQuestion, QuestionTooLong, UnknownAnswer, UnknownCollection
from rag.ports import Publication
from rag.settings import load_settings

FILES = {
    "leave.md": "Full-time staff have 28 days of paid leave.\nInterns have 12 days of paid leave.",
    "meals.md": "Meals on business travel are paid up to 45 euros a day.",
    "doors.md": "The doors are locked at 20:00 every evening.",
}


class Says(CopyGenerator):
    """Writes a fixed draft, whatever it is asked."""

    def __init__(self, draft: str, logprob: float = -0.1) -> None:
        super().__init__()
        self._draft, self._logprob = draft, logprob

    def generate(
        self, passages: Sequence[str], question: str, sampling: object, keep: bool = True
    ) -> Generator[Piece]:
        for token in re.findall(r" ?\w+| ?[^\w ]", self._draft):  # a marker comes as [, 1 and ]
            yield Piece(token, 1, self._logprob)


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = open_attest(load_settings(tmp_path / "data"))
    opened.embedder = HashEmbedder()
    opened.generator = CopyGenerator()
    with opened.store() as work:
        collection = work.collections.create("house", {"local": Right.MANAGE})
        work.commit()
    for name, text in FILES.items():
        add(opened, collection.id, name, text)
    yield opened
    opened.close()


def add(
    attest: Attest, collection: str, name: str, text: str, readers: frozenset[str] | None = None
) -> int:
    blob = attest.blobs.put(text.encode())
    with attest.store() as work:
        job = work.documents.accept(collection, name, blob, len(text), readers)
        assert work.jobs.lease(job.id, "test", 60)
        version = f"v-{name}-{blob[:8]}"
        spans = [(0, text.find("\n"))] if "\n" in text else []
        spans.append((text.find("\n") + 1, len(text)))
        chunks = [Chunk(chunk_id(version, a, b), version, a, b, text[a:b]) for a, b in spans]
        made = Publication(
            version=version,
            media_type="text/plain",
            title=name,
            size=len(text),
            pages=None,
            text_blob=blob,
            layout_blob=None,
            metadata={},
            blocks=[Block(BlockKind.PARAGRAPH, a, b) for a, b in spans],
            chunks=chunks,
            indexed=[c.text for c in chunks],
            vectors=attest.embedder.embed([c.text for c in chunks]),
            embedder=attest.embedder.identity,
        )
        generation = work.documents.publish(job.id, "test", made)
        work.commit()
    return generation


def ask(attest: Attest, question: str, who: Principal = LOCAL_USER) -> Answer:
    return attest.answering.ask(who, "house", question)


def test_every_sentence_is_cited_by_the_exact_words(attest: Attest) -> None:
    answer = ask(attest, "How many days of paid leave do full-time staff have?")
    assert answer.verdict is Verdict.ANSWERED
    (citation,) = answer.citations
    assert citation.document_name == "leave.md"
    assert FILES["leave.md"][citation.start : citation.end] == citation.quote
    assert "28 days" in citation.quote
    assert answer.text.endswith(f"[{citation.marker}]")
    assert answer.passages[citation.marker - 1].chunk.id == citation.chunk
    assert {"embed", "dense", "lexical", "generate", "total"} <= answer.timings.keys()


def test_a_question_that_follows_on_another_is_answered_in_its_light(attest: Attest) -> None:
    first = ask(attest, "How many days of paid leave do full-time staff have?")
    said = [Turn(first.question, first.text)]
    answer = attest.answering.ask(LOCAL_USER, "house", "And interns?", history=said)
    assert "paid leave" in answer.text, "of which the question itself says nothing"
    assert answer.question == "And interns?"
    assert answer.replay.searched.splitlines()[0] == first.question
    assert answer.replay.read.splitlines()[0] == f"user: {first.question}"
    with attest.store() as work:
        assert work.answers.get(answer.id) == answer
    assert attest.answering.replay(LOCAL_USER, answer.id).same


def test_another_subject_is_not_dragged_back(attest: Attest) -> None:
    question = "At what time are the doors locked in the evening?"
    history = [Turn("How many days of paid leave do full-time staff have?", "28 days [1].")]
    answer = attest.answering.ask(LOCAL_USER, "house", question, history=history)
    assert answer.replay.context == ask(attest, question).replay.context
    assert (answer.replay.searched, answer.replay.read) == ("", "")


def test_copies_are_read_once_and_named(attest: Attest) -> None:
    with attest.store() as work:
        collection = work.collections.named("house").id
    add(attest, collection, "doors-old.md", FILES["doors.md"])
    answer = ask(attest, "When are the doors locked?")
    held = [p for p in answer.passages if "doors are locked" in p.chunk.text]
    assert len(held) == 1
    (copy,) = held[0].also
    assert {held[0].document_name, copy.document_name} == {"doors.md", "doors-old.md"}


def test_the_stream_shows_sources_then_verified_sentences_then_the_answer(attest: Attest) -> None:
    events = list(attest.answering.stream(LOCAL_USER, "house", "When are the doors locked?"))
    assert [type(e) for e in events] == [Found, Said, Answer]
    assert events[1].text == events[2].text  # type: ignore[union-attr]


def test_an_unsupported_sentence_is_never_shown(attest: Attest) -> None:
    attest.generator = Says("The doors are locked at 22:00 [1].")
    events = list(attest.answering.stream(LOCAL_USER, "house", "When are the doors locked?"))
    assert not [e for e in events if isinstance(e, Said)]
    answer = events[-1]
    assert isinstance(answer, Answer)
    assert answer.verdict is Verdict.REFUSED
    assert "22:00" not in answer.text
    assert answer.passages, "a refusal names the nearest sources"
    assert answer.citations == ()


def test_what_is_supported_of_a_draft_is_partial(attest: Attest) -> None:
    attest.generator = Says("The doors are locked at 20:00 [1]. The alarm is set by Weber [1].")
    answer = ask(attest, "When are the doors locked?")
    assert answer.verdict is Verdict.PARTIAL
    assert answer.text == "The doors are locked at 20:00 [1]"


def test_a_full_stop_may_stand_before_the_marker(attest: Attest) -> None:
    attest.generator = Says("The doors are locked at 20:00 every evening. [1]")
    answer = ask(attest, "When are the doors locked?")
    assert answer.verdict is Verdict.ANSWERED
    assert answer.text == "The doors are locked at 20:00 every evening. [1]"


def test_a_sentence_without_a_marker_is_checked_against_the_next_one(attest: Attest) -> None:
    attest.generator = Says("The doors are locked. They are locked at 20:00 every evening. [1]")
    answer = ask(attest, "When are the doors locked?")
    assert answer.text == ("The doors are locked. [1] They are locked at 20:00 every evening. [1]")


def test_a_sentence_that_the_next_marker_does_not_support_is_dropped(attest: Attest) -> None:
    attest.generator = Says("The pool is closed. The doors are locked at 20:00 every evening. [1]")
    answer = ask(attest, "When are the doors locked?")
    assert answer.verdict is Verdict.PARTIAL
    assert answer.text == "The doors are locked at 20:00 every evening. [1]"


def test_an_unmarked_sentence_is_not_shown(attest: Attest) -> None:
    attest.generator = Says("The doors are locked at 20:00.")
    assert ask(attest, "When are the doors locked?").verdict is Verdict.REFUSED


def test_an_unsure_draft_is_refused(attest: Attest) -> None:
    attest.generator = Says("The doors are locked at 20:00 [1].", logprob=-3.0)
    assert ask(attest, "When are the doors locked?").verdict is Verdict.REFUSED


def test_a_stored_answer_can_be_replayed_after_its_source_was_replaced(attest: Attest) -> None:
    before = ask(attest, "When are the doors locked?")
    add(attest, before.collection, "doors.md", "The doors are locked at 21:30 every evening.")
    after = ask(attest, "When are the doors locked?")
    assert "21:30" in after.text
    replayed = attest.answering.replay(LOCAL_USER, before.id)
    assert replayed.same
    assert "20:00" in replayed.again.text
    with pytest.raises(UnknownAnswer):
        attest.answering.replay(LOCAL_USER, "nothing")


def test_a_deleted_document_cannot_be_seen_by_the_next_question(attest: Attest) -> None:
    with attest.store() as work:
        collection = work.collections.named("house")
        work.documents.delete(work.documents.named(collection.id, "doors.md").id)
        work.commit()
    answer = ask(attest, "When are the doors locked every evening?")
    assert "20:00" not in answer.text
    assert "doors.md" not in {p.document_name for p in answer.passages}


def test_a_document_for_others_is_not_there(attest: Attest) -> None:
    with attest.store() as work:
        collection = work.collections.named("house")
        work.collections.set_rights(
            collection.id, {"local": Right.MANAGE, "board": Right.READ, "staff": Right.READ}
        )
        work.commit()
    text = "The severance fund holds 900 euros."
    add(attest, collection.id, "secret.md", text, frozenset({"board"}))
    board, staff = (Principal(g, frozenset({g})) for g in ("board", "staff"))
    question = "How much does the severance fund hold?"
    assert "900" in ask(attest, question, board).text
    for leg in Leg:
        seen = attest.answering.search(staff, "house", question, leg=leg)
        assert "secret.md" not in {p.document_name for p in seen}
    with pytest.raises(UnknownCollection):
        ask(attest, question, Principal("stranger", frozenset({"elsewhere"})))


def test_bad_questions_say_what_is_wrong(attest: Attest) -> None:
    with pytest.raises(EmptyQuestion):
        ask(attest, "  \n ")
    with pytest.raises(QuestionTooLong, match="100000 characters"):
        ask(attest, "a" * 100_000)
    with pytest.raises(UnknownCollection):
        attest.answering.ask(LOCAL_USER, "nowhere", "When?")


def test_a_question_in_another_language_ends_in_an_answer_or_a_refusal(attest: Attest) -> None:
    assert ask(attest, "ドアは何時に閉まりますか").verdict in set(Verdict)


def test_reading_given_passages_stores_nothing(attest: Attest) -> None:
    passages = attest.answering.search(LOCAL_USER, "house", "doors locked evening")
    answer = attest.answering.read("When are the doors locked?", passages, Sampling(max_tokens=40))
    assert "20:00" in answer.text
    with pytest.raises(UnknownAnswer):
        attest.answering.replay(LOCAL_USER, answer.id)


def test_a_question_brings_its_own_sampling(attest: Attest) -> None:
    asked = Sampling(max_tokens=20, temperature=0.5, top_p=0.9, seed=7, stop=("evening",))
    attest.generator = Says("The doors are locked at 20:00 [1]. Every evening they are so [1].")
    question = "When are the doors locked?"
    answer = attest.answering.ask(LOCAL_USER, "house", question, sampling=asked)
    assert answer.text == "The doors are locked at 20:00 [1]", "it ends before the stop sequence"
    with attest.store() as work:
        assert work.answers.get(answer.id).replay.sampling == asked
    assert attest.answering.replay(LOCAL_USER, answer.id).same
    longer = Sampling(max_tokens=100_000)
    answer = attest.answering.ask(LOCAL_USER, "house", question, sampling=longer)
    assert answer.replay.sampling.max_tokens == attest.settings.max_answer_tokens


def test_tokens_are_counted(attest: Attest) -> None:
    answer = ask(attest, "When are the doors locked?")
    assert answer.usage is not None
    assert answer.usage.completion == len(answer.text.split())  # words are the stand-in's tokens
    read = sum(len(p.chunk.text.split()) for p in answer.passages)
    assert answer.usage.prompt >= read + 5  # words of the question
    nothing = attest.answering.ask(
        LOCAL_USER, "house", "When?", conditions=[Condition("year", (1900,))]
    )
    assert nothing.usage == Usage(0, 0), "without passages the reader is not asked"


def test_the_time_in_the_queue_is_kept(attest: Attest) -> None:
    *_, answer = attest.answering.stream(LOCAL_USER, "house", "When?", waited=100.0)
    assert isinstance(answer, Answer)
    assert answer.timings["queue"] == 100.0
    assert answer.timings["total"] > 100.0
    with attest.store() as work:
        assert work.answers.get(answer.id).timings == answer.timings
    assert "queue" not in ask(attest, "When?").timings


def test_an_answer_nobody_waits_for_is_not_kept(attest: Attest) -> None:
    gone = False
    events = attest.answering.stream(LOCAL_USER, "house", "When locked?", gone=lambda: gone)
    assert isinstance(next(events), Found)
    gone = True
    with pytest.raises(Abandoned):
        next(events)
    with attest.store() as work:
        house = work.collections.named("house")
        assert work.answers.recent(house.id, LOCAL_USER.user, 10) == []


class Listens(CopyGenerator):
    """Keeps what it was given to read, and can number two passages."""

    most_passages = 2

    def __init__(self) -> None:
        super().__init__()
        self.read: list[list[str]] = []

    def generate(
        self, passages: Sequence[str], question: str, sampling: Settings, keep: bool = True
    ) -> Generator[Piece]:
        self.read.append(list(passages))
        yield from super().generate(passages, question, sampling, keep)


def test_the_best_passage_is_numbered_first_and_read_last(attest: Attest) -> None:
    attest.generator = listens = Listens()
    answer = ask(attest, "When are the doors locked in the evening?")
    (read,) = listens.read
    assert len(read) == len(answer.passages) == 2, "no more are shown than can be read"
    assert [text.splitlines()[-1] for text in reversed(read)] == [
        passage.chunk.text for passage in answer.passages
    ]
    (citation,) = answer.citations
    assert citation.marker == 1
    assert answer.text.endswith("[1]")
    assert answer.passages[0].chunk.id == citation.chunk
    assert attest.answering.replay(LOCAL_USER, answer.id).same


def test_an_answer_from_before_the_order_was_kept_is_replayed_best_first(attest: Attest) -> None:
    attest.generator = listens = Listens()
    answer = ask(attest, "When are the doors locked in the evening?")
    settings = {k: v for k, v in answer.replay.settings.items() if k != "order"}
    old = replace(answer, id="old", replay=replace(answer.replay, settings=settings))
    with attest.store() as work:
        work.answers.add(old)
        work.commit()
    assert attest.answering.replay(LOCAL_USER, "old").same
    assert listens.read[1] == listens.read[0][::-1]


def test_given_passages_beyond_what_can_be_numbered_are_not_read(attest: Attest) -> None:
    attest.generator = listens = Listens()
    passages = attest.answering.search(LOCAL_USER, "house", "doors locked evening")
    assert len(passages) > 2
    attest.answering.read("When are the doors locked?", passages)
    (read,) = listens.read
    assert len(read) == 2
    assert read[-1].endswith(FILES["doors.md"]), "the nearest, wherever it stood"


def test_given_passages_are_read_alike_in_any_order(attest: Attest) -> None:
    attest.generator = listens = Listens()
    passages = attest.answering.search(LOCAL_USER, "house", "doors locked evening")
    one = attest.answering.read("When are the doors locked?", passages)
    other = attest.answering.read("When are the doors locked?", passages[::-1])
    assert listens.read[0] == listens.read[1]
    assert one.citations[0].chunk == other.citations[0].chunk
    for answer in (one, other):
        (cited,) = answer.citations
        assert answer.passages[cited.marker - 1].chunk.id == cited.chunk


def test_no_passages_is_a_refusal(attest: Attest) -> None:
    assert attest.answering.read("When?", []).verdict is Verdict.REFUSED


class Backwards:
    """Puts the worst first."""

    identity = "backwards"

    def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        return passages[::-1]


def test_a_search_shows_what_an_answer_would_read_in_the_same_order(attest: Attest) -> None:
    question = "How many days of paid leave do interns have?"
    plain = attest.answering.search(LOCAL_USER, "house", question)
    dense = attest.answering.search(LOCAL_USER, "house", question, leg=Leg.DENSE)
    del attest.answering
    attest.reranker = Backwards()  # type: ignore[assignment]
    again = attest.answering.search(LOCAL_USER, "house", question)
    assert again == plain[::-1] != plain
    assert attest.answering.search(LOCAL_USER, "house", question, k=1) == again[:1]
    assert attest.answering.search(LOCAL_USER, "house", question, leg=Leg.DENSE) == dense
    (shown,) = (
        e for e in attest.answering.stream(LOCAL_USER, "house", question) if type(e) is Found
    )
    assert [p.chunk.id for p in shown.passages] == [p.chunk.id for p in again]
