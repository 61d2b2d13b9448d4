"""Records from a collection's documents and from what users said, over a real store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eval.tuning_data import from_documents, from_feedback, lineage
from models.prompt import REFUSAL
from models.training.records import Record
from rag.domain import (
    NOT_HELD,
    Answer,
    Citation,
    Feedback,
    Filter,
    Opinion,
    Passage,
    Replay,
    Sampling,
    Source,
    Verdict,
)
from rag.errors import UnknownCollection
from rag.store.migrate import upgrade
from rag.store.unit import SqlStore, open_store
from tests.store.samples import collection, ingest

DESK = "The Travel Desk is a team that books flights. The health unit is located in the basement."
LEAVE = "Full-time staff have thirty days of paid leave. The leave review takes two weeks."
NARROWED = "The Pay Board is a committee that sets the salaries."


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    url = f"sqlite:///{tmp_path / 'attest.db'}"
    upgrade(url)
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def handbook(store: SqlStore) -> str:
    into = collection(store)
    ingest(store, into, "desk.txt", [DESK])
    ingest(store, into, "leave.txt", [LEAVE, "The Travel Desk is a place on the first floor."])
    ingest(store, into, "pay.txt", [NARROWED], readers=frozenset({"staff"}))
    return into


def questions(records: list[Record]) -> dict[str, str]:
    return {record.question: record.target for record in records}


# --- documents ---------------------------------------------------------------------------------


def test_pairs_of_a_collection(store: SqlStore, handbook: str) -> None:
    with store() as work:
        records = from_documents(work, handbook, seed=1)
        (leave,) = [d for d in work.documents.all(handbook) if d.name == "leave.txt"]
    assert questions(records) == {
        "Where is the health unit located?": "in the basement",
        "How long does the leave review take?": "two weeks",
    }, "neither what two passages answer differently, nor what only some may read"
    review = records[-1]
    (passage,) = review.passages
    assert review.doc == leave.id
    assert review.gold == (passage.id,)
    assert review.answers[0] in passage.text
    assert passage.shown == f"Title of {leave.version} > Part\n{LEAVE}"
    assert Source(leave.id, str(leave.version)) in lineage(records)
    assert len(lineage(records)) == 2


def test_only_what_is_live(store: SqlStore, handbook: str) -> None:
    with store() as work:
        (desk,) = [d for d in work.documents.all(handbook) if d.name == "desk.txt"]
        work.documents.delete(desk.id)
        work.commit()
    ingest(store, handbook, "leave.txt", ["The badge review takes three days."])
    with store() as work:
        assert questions(from_documents(work, handbook)) == {
            "How long does the badge review take?": "three days"
        }


def test_the_same_seed_draws_the_same(store: SqlStore) -> None:
    into = collection(store)
    named = [f"The {name} Review takes {n} days." for n, name in enumerate("ABCDEFGHIJ", 2)]
    ingest(store, into, "reviews.txt", [" ".join(named)])
    with store() as work:
        first, again = from_documents(work, into, 7), from_documents(work, into, 7)
        others = [from_documents(work, into, seed) for seed in range(5)]
    assert first == again
    assert len(first) == 4
    assert len({tuple(questions(records)) for records in others}) > 1


def test_no_form_of_question_drowns_the_others(store: SqlStore) -> None:
    into = collection(store)
    reviews = [
        f"The {a}{b} Review takes {i + 2} days." for i, a in enumerate("AB") for b in "CDEFGH"
    ]
    ingest(store, into, "many.txt", [*reviews, DESK])
    with store() as work:
        found = questions(from_documents(work, into))
    assert sum(q.startswith("How long") for q in found) == 1
    assert len(found) == 3


def test_an_unknown_collection(store: SqlStore) -> None:
    with store() as work:
        for build in (from_documents, from_feedback):
            with pytest.raises(UnknownCollection):
                build(work, "none")


# --- feedback ----------------------------------------------------------------------------------


def answered(
    store: SqlStore, into: str, id: str, text: str, cited: str = "", *, narrowed: bool = False
) -> Answer:
    """An answer over every live passage of the collection, citing those that hold `cited`."""
    with store() as work:
        rows = work.chunks.since(into, 0).born
        rows = [row for row in rows if row.died is None and (narrowed or row.readers is None)]
        permitted = Filter(work.collections.get(into).generation, frozenset({"local", "staff"}))
        found = work.chunks.passages(into, [row.chunk for row in rows], permitted)
    made = Answer(
        id=id,
        collection=into,
        question=f"Question of {id}?",
        text=text,
        verdict=Verdict.ANSWERED if cited else Verdict.REFUSED,
        confidence=0.9,
        citations=tuple(
            citation(n, p) for n, p in enumerate(found, 1) if cited and cited in p.chunk.text
        ),
        passages=tuple(found),
        timings={},
        replay=Replay(1, "m", "none", "p1", Sampling(), tuple(p.chunk.id for p in found)),
        user="ann",
        created=datetime(2026, 1, 1, tzinfo=UTC),
    )
    with store() as work:
        work.answers.add(made)
        work.commit()
    return made


def citation(marker: int, passage: Passage) -> Citation:
    chunk = passage.chunk
    return Citation(
        0, marker, chunk.id, passage.document, passage.document_name, chunk.version,
        chunk.start, chunk.end, chunk.text, 1.0,
    )  # fmt: skip


def said(
    store: SqlStore, answer: Answer, verdict: Opinion, correction: str = "", user: str = "ann"
) -> Feedback:
    made = Feedback(
        id=f"{answer.id}-{user}",
        answer=answer.id,
        collection=answer.collection,
        user=user,
        question=answer.question,
        verdict=verdict,
        correction=correction,
        passages=answer.replay.context,
        cited=tuple(c.chunk for c in answer.citations),
        created=datetime(2026, 1, 2, tzinfo=UTC),
    )
    with store() as work:
        work.feedback.give(made)
        work.commit()
    return made


def built(store: SqlStore, into: str) -> dict[str, Record]:
    with store() as work:
        records = from_feedback(work, into)
    return {record.id.removeprefix("feedback:"): record for record in records}


def test_a_refusal_reads_the_same_to_people_and_to_the_reader() -> None:
    assert NOT_HELD == REFUSAL


def test_what_feedback_teaches(store: SqlStore, handbook: str) -> None:
    good = answered(store, handbook, "good", "Thirty days of paid leave [2].", "thirty days")
    bad = answered(store, handbook, "bad", "Nine weeks [2].", "thirty days")
    free = answered(store, handbook, "free", "Nine weeks [2].", "thirty days")
    refused = answered(store, handbook, "refused", NOT_HELD)
    invented = answered(store, handbook, "invented", "A hut [1].", "Travel Desk")
    said(store, good, Opinion.RIGHT)
    said(store, bad, Opinion.WRONG, "two  weeks.")
    said(store, free, Opinion.WRONG, "The review of leave takes two weeks.")
    said(store, refused, Opinion.RIGHT)
    said(store, invented, Opinion.WRONG, "not in the documents")
    records = built(store, handbook)
    assert list(records) == ["good-ann", "bad-ann", "free-ann", "refused-ann", "invented-ann"]
    assert (records["good-ann"].target, records["good-ann"].kind) == (
        "Thirty days of paid leave.",
        "span",
    )
    assert records["bad-ann"].target == "two weeks."
    assert records["free-ann"].kind == "free"
    for id in ("good-ann", "bad-ann", "free-ann"):
        record = records[id]
        assert record.gold == (record.passages[0].id,)
        assert record.passages[0].text == LEAVE
        assert len(record.passages) == 3
        assert record.doc in record.passages[0].id
    for id in ("refused-ann", "invented-ann"):
        assert not records[id].answerable
        assert records[id].gold == records[id].answers == ()
    assert len(lineage(records.values())) == 2


def test_what_feedback_does_not_teach(store: SqlStore, handbook: str) -> None:
    wrong = answered(store, handbook, "wrong", "Nine weeks [2].", "thirty days")
    elsewhere = answered(store, handbook, "elsewhere", "Nine weeks [2].", "thirty days")
    secret = answered(store, handbook, "secret", "The Pay Board [4].", "Pay Board", narrowed=True)
    said(store, wrong, Opinion.WRONG)
    said(store, elsewhere, Opinion.WRONG, "Ask the bishop of Ghent.")
    said(store, secret, Opinion.RIGHT)
    assert built(store, handbook) == {}


def test_the_last_opinion_on_a_question_counts(store: SqlStore, handbook: str) -> None:
    first = answered(store, handbook, "a", "Thirty days of paid leave [2].", "thirty days")
    later = answered(store, handbook, "b", "Two weeks [2].", "two weeks")
    with store() as work:
        work.answers.add(replace(later, id="c", question=first.question.upper()))
        work.commit()
    said(store, first, Opinion.RIGHT)
    said(store, replace(later, id="c", question=first.question.upper()), Opinion.RIGHT)
    assert list(built(store, handbook)) == ["c-ann"]


def test_a_right_answer_goes_with_its_passage(store: SqlStore, handbook: str) -> None:
    good = answered(store, handbook, "good", "Thirty days of paid leave [2].", "thirty days")
    said(store, good, Opinion.RIGHT)
    ingest(store, handbook, "leave.txt", ["Another text altogether."])
    assert built(store, handbook) == {}
