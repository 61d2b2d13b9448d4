"""Retrieval over the real SQLite store and the real embedded index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rag.domain import Condition, Filter, Hit, Leg, Right
from rag.errors import EmbedderChanged, EmptyQuestion
from rag.fuse import convex, rrf
from rag.index.embedded import LexicalName
from rag.ports import SearchIndex, Vectors
from rag.retrieve import Retrieved, retrieve
from rag.store.unit import open_store
from rag.wording import Places
from rag.words import Words
from tests.index.library import Library
from tests.servers import SqliteDatabases

FUSE = partial(convex, dense_weight=0.5)
STAFF = frozenset({"staff"})


@pytest.fixture
def library(sqlite: SqliteDatabases) -> Iterator[Library]:
    store = open_store(sqlite.new())
    library = Library(store, {"staff": Right.READ, "board": Right.READ})
    library.put("leave.md", "Staff have 25 days of leave a year.", metadata={"year": 2024})
    library.put("salary.md", "The board salary is secret.", readers=frozenset({"board"}))
    library.put("fees.md", "Invoice INV-2041 has a late fee.", metadata={"year": 2023})
    yield library
    store.close()


def ask(library: Library, question: str, **how: object) -> Retrieved:
    how = {"fuse": FUSE, "groups": STAFF} | how
    groups = how.pop("groups")
    return retrieve(
        library.store, library.index, library.embedder, library.collection, question, groups, **how
    )


def names(found: Retrieved) -> list[str]:
    return [passage.document_name for passage in found.passages]


@pytest.mark.parametrize("leg", list(Leg))
def test_each_leg_finds_the_passage_and_says_how(library: Library, leg: Leg) -> None:
    found = ask(library, "INV-2041 late fee", leg=leg)
    best = found.passages[0]
    assert best.document_name == "fees.md"
    assert best.score == best.scores[leg.value]
    how = {"dense", "lexical", "wording", "hybrid"} if leg is Leg.HYBRID else {leg}
    assert set(best.scores) == how
    scores = [passage.score for passage in found.passages]
    assert scores == sorted(scores, reverse=True)
    assert {"catch_up", "fetch"} <= set(found.timings)


def test_words_side_by_side_lift_what_the_legs_find_alike(library: Library) -> None:
    library.put(
        "near.md", "A late arrival costs nothing. The fee for it was dropped in the spring."
    )
    found = ask(library, "late fee").passages
    stand = {p.document_name: p.scores.get("wording", 0.0) for p in found}
    assert found[0].document_name == "fees.md"
    assert stand["fees.md"] > stand["near.md"] > 0


def test_rights_and_conditions(library: Library) -> None:
    assert "salary.md" not in names(ask(library, "board salary secret"))
    assert names(ask(library, "salary", groups=frozenset({"board"})))[0] == "salary.md"
    assert names(ask(library, "salary", groups=frozenset({"strangers"}))) == []
    assert names(ask(library, "salary", groups=frozenset())) == []
    only = (Condition("year", (2024,)),)
    assert names(ask(library, "late fee", conditions=only)) == ["leave.md"]
    of = frozenset({library.documents["leave.md"]})
    assert names(ask(library, "late fee", documents=of)) == ["leave.md"]


def test_a_replaced_and_a_deleted_document(library: Library) -> None:
    before = ask(library, "late fee")
    library.put("fees.md", "There is no late fee since May.")
    after = ask(library, "late fee")
    assert after.generation == before.generation + 1
    assert after.passages[0].chunk.text == "There is no late fee since May."
    again = ask(library, "late fee", generation=before.generation)
    texts = [passage.chunk.text for passage in again.passages]
    assert texts == [passage.chunk.text for passage in before.passages]
    library.delete("fees.md")
    assert "fees.md" not in names(ask(library, "late fee"))


def test_changed_rights_hold_at_the_next_question(library: Library) -> None:
    assert names(ask(library, "late fee"))[0] == "fees.md"
    library.set_readers("fees.md", frozenset({"board"}))
    assert "fees.md" not in names(ask(library, "late fee"))
    assert names(ask(library, "late fee", groups=frozenset({"board"})))[0] == "fees.md"


@pytest.mark.parametrize("lexical", ["tantivy", "rank_bm25"])
def test_an_index_built_anew_gives_the_same(library: Library, lexical: LexicalName) -> None:
    library.index = library.new_index(lexical)
    for n in range(12):
        library.put(f"{n % 5}.md", f"Rule {n}: invoice {n * 7} is paid within {n} days.")
        ask(library, "invoice")
    library.delete("2.md")
    grown = ask(library, "invoice 14 paid", fuse=rrf)
    library.index = library.new_index(lexical)
    rebuilt = ask(library, "invoice 14 paid", fuse=rrf)
    assert rebuilt.passages == grown.passages
    assert rebuilt.generation == grown.generation


def test_what_an_index_returns_by_mistake_is_not_shown(library: Library) -> None:
    """Rights are checked again in SQL."""
    leaky = library.new_index()
    leaky.catch_up()
    everybody = leaky._held.rows.mask
    leaky._held.rows.mask = lambda filter: everybody(  # type: ignore[method-assign]
        type(filter)(filter.generation, frozenset({"staff", "board"}))
    )
    library.index = leaky
    found = ask(library, "board salary secret")
    assert names(found)
    assert "salary.md" not in names(found)


def test_an_empty_question(library: Library) -> None:
    with pytest.raises(EmptyQuestion):
        ask(library, " \n")


def test_stop_words_alone_leave_it_to_the_dense_leg(library: Library) -> None:
    assert names(ask(library, "the of and", leg=Leg.LEXICAL)) == []
    assert len(names(ask(library, "the of and"))) == 2


def test_vectors_of_two_models_are_never_mixed(library: Library) -> None:
    class Embedder:
        identity, dimension, max_tokens = "other-model", 64, 64

        def count_tokens(self, text: str) -> int:
            return len(text.split())

        def embed(self, texts: list[str]) -> Vectors:
            return np.eye(64, dtype=np.float32)[: len(texts)]

    library.embedder = Embedder()
    with pytest.raises(EmbedderChanged, match="other-model"):
        ask(library, "late fee")
    assert names(ask(library, "late fee", leg=Leg.LEXICAL))[0] == "fees.md"


class Other:
    """An index in which the order of words is not known, as in a search engine on a server."""

    def __init__(self, index: SearchIndex) -> None:
        self.index = index

    def catch_up(self) -> int:
        return self.index.catch_up()

    def lexical(self, query: str, filter: Filter, k: int) -> list[Hit]:
        return self.index.lexical(query, filter, k)

    def dense(self, vector: np.ndarray, filter: Filter, k: int) -> list[Hit]:
        return self.index.dense(vector, filter, k)

    def places(self, asked: Sequence[str], chunks: Iterable[str]) -> Mapping[str, Places]:
        return {}


class Lying(Other):
    """It forgets the rights."""

    def lexical(self, query: str, filter: Filter, k: int) -> list[Hit]:
        return super().lexical(query, replace(filter, groups=frozenset({"board"})), k)

    def dense(self, vector: np.ndarray, filter: Filter, k: int) -> list[Hit]:
        return super().dense(vector, replace(filter, groups=frozenset({"board"})), k)


@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("leg", list(Leg))
def test_what_an_index_returns_by_mistake_does_not_crowd_out_the_rest(
    library: Library, leg: Leg, most: int | None
) -> None:
    for number in range(30):
        library.put(f"secret{number}.md", "late fee late fee", readers=frozenset({"board"}))
    library.index = Lying(library.index)
    found = ask(library, "late fee", leg=leg, candidates=3, most=most)
    assert names(found)[0] == "fees.md"
    assert not [name for name in names(found) if name.startswith(("secret", "salary"))]


@pytest.mark.parametrize("most", [None, 1, 2, 9])
def test_an_index_that_knows_no_words_gives_the_same(library: Library, most: int | None) -> None:
    library.put("terms.md", "A fee is a fee, late or not; the late fee is due in May.")
    other, knows = Other(library.index), library.index
    for question in ("late fee", "the fee of an invoice", "leave", "nothing of it", "of the"):
        library.index = knows
        found, every = ask(library, question, most=most), ask(library, question)
        assert found.passages == every.passages[:most]
        assert found.lists == every.lists
        library.index = other
        assert ask(library, question, most=most).passages == found.passages


def test_words_are_kept_between_questions_and_give_the_same(library: Library) -> None:
    library.index = Other(library.index)
    words = Words()
    for question in ("late fee", "leave a year", "late fee"):
        with_them = ask(library, question, words=words)
        assert with_them.passages == ask(library, question).passages
    assert {p.chunk.id for p in with_them.passages} <= words._held.keys()


def test_no_words_of_a_deleted_document_are_kept_after_the_next_question(library: Library) -> None:
    library.index = Other(library.index)
    words = Words()
    before = ask(library, "late fee", words=words)
    gone = {p.chunk.id for p in before.passages if p.document_name == "fees.md"}
    assert gone & words._held.keys()
    library.delete("fees.md")
    ask(library, "leave", words=words)
    assert not gone & words._held.keys()
    again = ask(library, "late fee", generation=before.generation, words=words)
    assert "fees.md" in names(again)
    assert not gone & words._held.keys(), "what is read of the past is not kept"


def test_words_of_few_chunks_only_are_kept(library: Library) -> None:
    library.index = Other(library.index)
    words = Words(most=2)
    library.put("late.md", "Who is late pays late fees.")
    for question in ("late fee", "leave", "late fee"):
        assert ask(library, question, words=words).passages == ask(library, question).passages
        assert len(words._held) <= 2
