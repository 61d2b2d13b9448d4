"""What is told of a search, over the real store and index; the models are the shipped fakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fake import CopyGenerator, HashEmbedder
from rag.analyse import analyse
from rag.bootstrap import Attest, open_attest
from rag.domain import (
    Candidate,
    Condition,
    Explanation,
    LeftOut,
    Leg,
    Passage,
    Principal,
    Right,
)
from rag.errors import EmptyQuestion, UnknownAnswer, UnknownCollection
from rag.explain import terms
from rag.settings import load_settings
from tests.index.library import Library

STAFF = Principal("rae", frozenset({"staff"}))
BOARD = Principal("mia", frozenset({"staff", "board"}))
STRANGER = Principal("sam", frozenset({"strangers"}))
QUESTION = "Is a late fee due on invoice INV-2041, and how high is the fee?"


@dataclass
class House:
    attest: Attest
    library: Library

    def explain(
        self, question: str = QUESTION, who: Principal = STAFF, *conditions: Condition
    ) -> Explanation:
        return self.attest.answering.explain(who, "library", question, conditions=conditions)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path / "data") as made:
        yield made


@contextmanager
def opened(folder: Path, **parts: object) -> Iterator[House]:
    """Three documents in four chunks, two passages a prompt; `parts` replace those of Attest."""
    attest = open_attest(load_settings(folder, candidates=6, passages=2))
    for name, part in {"generator": CopyGenerator(), **parts}.items():
        setattr(attest, name, part)
    attest.embedder = HashEmbedder(64)
    library = Library(attest.store, {"staff": Right.READ, "board": Right.READ})
    again = "A late fee is due after thirty days."
    invoice = "Invoice INV-2041 has a late fee of nine euros."
    library.put("fees.md", invoice, again, metadata={"year": 2023})
    library.put("leave.md", "Staff have 25 days of leave a year.", metadata={"year": 2024})
    library.put("copy.md", again, metadata={"year": 2024})
    yield House(attest, library)
    attest.close()


def by_text(found: Explanation) -> dict[str, Candidate]:
    return {f"{c.passage.document_name}: {c.passage.chunk.text}": c for c in found.candidates}


def test_places_are_those_of_the_searches(house: House) -> None:
    found = house.explain()
    assert found.lists == ("dense", "lexical", "hybrid", "rerank")
    for leg in Leg:
        hits = house.attest.answering.search(STAFF, "library", QUESTION, leg=leg)
        told = {c.passage.chunk.id: c for c in found.candidates if leg.value in c.ranks}
        assert [told[p.chunk.id].ranks[leg.value] for p in hits] == list(range(1, len(hits) + 1))
        assert [told[p.chunk.id].passage.scores[leg.value] for p in hits] == [p.score for p in hits]
    assert [c.ranks["rerank"] for c in found.candidates] == [1, 2, 3, 4]
    assert {"embed", "catch_up", "dense", "lexical", "fuse", "fetch", "rerank", "pack"} <= set(
        found.timings
    )


def test_markers_are_those_of_the_answer(house: House) -> None:
    answer = house.attest.answering.ask(STAFF, "library", QUESTION)
    found = house.explain()
    read = {c.marker: c.passage.chunk.id for c in found.candidates if c.marker}
    assert read == {n: p.chunk.id for n, p in enumerate(answer.passages, 1)}
    assert all((c.marker is None) is (c.left_out is not None) for c in found.candidates)


def test_what_each_word_adds_comes_to_the_score(house: House) -> None:
    found = [c for c in house.explain().candidates if "lexical" in c.ranks]
    assert len(found) == 3
    for candidate in found:
        scored = candidate.passage.scores["lexical"]
        assert sum(candidate.terms.values()) == pytest.approx(scored, rel=1e-5)
    (best,) = [c for c in found if c.ranks["lexical"] == 1]
    assert set(best.terms) == {"late", "fee", "invoice", "INV-2041"}


def test_words_as_they_are_counted() -> None:
    said = {term.text: term for term in terms(QUESTION)}
    assert said["INV-2041"].tokens == ("inv", "2041", "inv-2041")
    assert said["fee"].times == 2
    assert said["Is"].tokens == () == said["the"].tokens
    assert "," not in "".join(said)
    assert terms("? -- !") == ()


@given(st.text(max_size=60))
def test_the_words_count_as_the_whole_does(question: str) -> None:
    counted = Counter(t for term in terms(question) for t in term.tokens * term.times)
    assert counted == Counter(analyse(question))


def test_why_passages_are_left_out(tmp_path: Path, house: House) -> None:
    assert LeftOut.LIMIT in {c.left_out for c in house.explain().candidates}
    same = house.explain("Is a late fee due after thirty days?").candidates[:2]
    assert [c.left_out for c in same] == [None, LeftOut.REPEAT]
    with opened(tmp_path / "cramped", generator=CopyGenerator(context_tokens=500)) as cramped:
        reasons = [c.left_out for c in cramped.explain().candidates]
    assert reasons == [None, LeftOut.BUDGET, LeftOut.BUDGET, LeftOut.BUDGET]


class Shortest:
    """A reranker of another mind, that gives up the longest."""

    def rerank(self, question: str, passages: Sequence[Passage]) -> Sequence[Passage]:
        ordered = sorted(passages, key=lambda p: len(p.chunk.text))[:-1]
        return [
            replace(p, score=-n, scores={**p.scores, "rerank": -n}) for n, p in enumerate(ordered)
        ]


def test_another_order_shows_by_itself(tmp_path: Path) -> None:
    with opened(tmp_path / "data", reranker=Shortest()) as house:
        found = house.explain().candidates
    assert [c.ranks.get("rerank") for c in found] == [1, 2, 3, None]
    assert [c.passage.scores.get("rerank") for c in found] == [0, -1, -2, None]
    assert found[-1].left_out is LeftOut.RERANKED
    assert found[-1].ranks["hybrid"] == 1
    assert "hybrid" in found[-1].passage.scores


def test_what_conditions_remove(house: House) -> None:
    assert (house.explain().readable, house.explain().meeting) == (4, 4)
    assert house.explain().removed == ()
    condition = Condition("year", (2024,))
    found = house.explain(QUESTION, STAFF, condition)
    assert (found.readable, found.meeting, found.conditions) == (4, 2, (condition,))
    assert {c.passage.document_name for c in found.candidates} == {"leave.md", "copy.md"}
    free = by_text(house.explain())
    assert [(r.rank, r.passage.document_name, r.unmet) for r in found.removed] == [
        (c.ranks["hybrid"], "fees.md", (condition,))
        for c in free.values()
        if c.passage.document_name == "fees.md"
    ]
    none = house.explain(QUESTION, STAFF, condition, Condition("kind", ("law",)))
    assert (none.meeting, none.candidates) == (0, ())
    assert {len(each.unmet) for each in none.removed} == {1, 2}


CONDITIONS: list[tuple[Condition, ...]] = [(), (Condition("year", (2023,)),)]


@pytest.mark.parametrize("conditions", CONDITIONS, ids=["all", "some"])
def test_a_document_one_may_not_read_is_not_there(
    house: House, conditions: tuple[Condition, ...]
) -> None:
    """PERMITTED: as if it were deleted, number for number; ended rows count in BM25's statistics
    for as long as an index lives, as those of others do."""
    house.library.put(
        "secret.md",
        "Invoice INV-2041: how high the late fee is, the fee being due.",
        readers=frozenset({"board"}),
        metadata={"year": 2024},
    )
    seen = house.explain(QUESTION, BOARD, *conditions)
    names = {c.passage.document_name for c in (*seen.candidates, *seen.removed)}
    assert "secret.md" in names
    hidden = house.explain(QUESTION, STAFF, *conditions)
    house.library.delete("secret.md")
    without = house.explain(QUESTION, STAFF, *conditions)
    assert hidden == replace(without, generation=hidden.generation, timings=hidden.timings)
    assert hidden.readable == seen.readable - 1


@pytest.mark.parametrize("conditions", CONDITIONS, ids=["all", "some"])
def test_it_might_never_have_been(
    tmp_path: Path, house: House, conditions: tuple[Condition, ...]
) -> None:
    """As over a collection that never had it, but for the weight that BM25 gives to words."""
    with opened(tmp_path / "never") as never:
        without = told(never.explain(QUESTION, STAFF, *conditions))
    house.library.put("secret.md", QUESTION, readers=frozenset({"board"}), metadata={"year": 2024})
    assert told(house.explain(QUESTION, STAFF, *conditions)) == without


def told(found: Explanation) -> object:
    """All that is said but BM25's scores, ids, the generation and the time."""
    places = [
        (c.passage.chunk.text, c.ranks, c.passage.scores.get("dense"), set(c.terms), c.marker)
        for c in found.candidates
    ]
    removed = [(r.passage.chunk.text, r.rank, r.unmet) for r in found.removed]
    return found.terms, places, [c.left_out for c in found.candidates], removed, found.meeting


def test_who_may_not_ask(house: House) -> None:
    with pytest.raises(UnknownCollection):
        house.explain(QUESTION, STRANGER)
    with pytest.raises(EmptyQuestion):
        house.explain(" ")


def test_a_stored_answer(house: House) -> None:
    answering = house.attest.answering
    condition = Condition("year", (2023, 2025))
    answer = answering.ask(STAFF, "library", QUESTION, conditions=[condition])
    house.library.put("more.md", QUESTION, metadata={"year": 2023})
    found = answering.explain_answer(STAFF, answer.id)
    assert (found.answer, found.same) == (answer.id, True)
    assert (found.generation, found.timings) == (answer.replay.generation, answer.timings)
    assert found.conditions == (condition,)
    assert "more.md" not in {c.passage.document_name for c in found.candidates}
    with pytest.raises(UnknownAnswer):
        answering.explain_answer(STRANGER, answer.id)


def test_a_stored_answer_after_a_change(house: House) -> None:
    answer = house.attest.answering.ask(STAFF, "library", QUESTION)
    answering = house.attest.answering
    fewer = replace(answering.choosing, policy=replace(answering.policy, passages=1))
    found = replace(answering, choosing=fewer).explain_answer(STAFF, answer.id)
    assert not found.same
    assert len([c for c in found.candidates if c.marker]) == 1
