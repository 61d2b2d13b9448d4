"""The embedded index: PERMITTED, SNAPSHOT and DERIVED, on histories of every kind."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import get_args

import faiss
import numpy as np
import pytest
import tantivy
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.domain import Condition, Filter, Hit, Leg
from rag.errors import Corrupt, IndexUnavailable, ModelError
from rag.index.embedded import LEXICALS, EmbeddedIndex, LexicalName
from rag.index.mask import Mask
from rag.index.terms import terms
from rag.ports import SearchIndex
from tests.index.histories import filters, steps, texts, told, vectors
from tests.index.truth import DIMENSION, New, Truth, unit

LEXICAL_NAMES: tuple[LexicalName, ...] = get_args(LexicalName)
EVERYBODY = frozenset({"hr"})


def index_of(truth: Truth, lexical: LexicalName = "tantivy") -> EmbeddedIndex:
    return EmbeddedIndex(truth.store, "c", DIMENSION, lexical)


def hits(scored: list[tuple[int, float]], truth: Truth, leg: Leg) -> list[Hit]:
    return [Hit(truth.rows[at].chunk, score, i, leg) for i, (at, score) in enumerate(scored, 1)]


def brute_lexical(truth: Truth, name: LexicalName, query: str, filter: Filter, k: int) -> list[Hit]:
    """Score every row there is, keep the permitted, then cut."""
    lexical = LEXICALS[name]()
    lexical.add([terms(row) for row in truth.rows])
    lexical.show()
    every = lexical.search(analyse(query), Mask(np.ones(len(truth.rows), bool)), len(truth.rows))
    allowed = set(truth.permitted(filter))
    scored = list(zip(every.positions.tolist(), every.scores.tolist(), strict=True))
    kept = [(at, score) for at, score in scored if at in allowed]
    return hits(sorted(kept, key=lambda pair: (-pair[1], pair[0]))[:k], truth, Leg.LEXICAL)


def brute_dense(truth: Truth, vector: np.ndarray, filter: Filter, k: int) -> list[Hit]:
    """A flat FAISS index of the permitted rows alone."""
    allowed = truth.permitted(filter)
    if not allowed:
        return []
    flat = faiss.IndexFlatIP(DIMENSION)
    flat.add(np.stack([truth.rows[at].vector for at in allowed]))
    scores, found = flat.search(vector.reshape(1, -1), len(allowed))
    scored = [(allowed[i], float(s)) for i, s in zip(found[0], scores[0], strict=True)]
    return hits(sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k], truth, Leg.DENSE)


def test_it_is_a_search_index() -> None:
    index: SearchIndex = index_of(Truth())
    assert index.catch_up() == 0
    assert index.lexical("invoice", Filter(0, EVERYBODY), 5) == []
    assert index.dense(unit((1, 0, 0, 0)), Filter(0, EVERYBODY), 5) == []


@pytest.mark.parametrize("name", LEXICAL_NAMES)
def test_a_word_of_the_headings_counts_more_than_one_of_the_text(name: LexicalName) -> None:
    truth = Truth()
    truth.commit(
        [New("invoice paid late"), New("paid late", headings="invoice")]
        + [New("fee rare") for _ in range(8)]
    )
    index = index_of(truth, name)
    found = index.lexical("invoice", Filter(index.catch_up(), EVERYBODY), 2)
    assert [hit.chunk for hit in found] == ["c1", "c0"]


@pytest.mark.parametrize("name", LEXICAL_NAMES)
@settings(max_examples=60, deadline=None)
@given(history=steps(), filter=filters, query=texts, k=st.integers(0, 12))
def test_the_lexical_leg_permits_before_it_cuts(
    name: LexicalName, history: list, filter: Filter, query: str, k: int
) -> None:
    truth = told(history)
    index = index_of(truth, name)
    index.catch_up()
    found = index.lexical(query, filter, k)
    assert found == brute_lexical(truth, name, query, filter, k)


@settings(max_examples=100, deadline=None)
@given(history=steps(), filter=filters, question=vectors, k=st.integers(0, 12))
def test_the_dense_leg_equals_flat_faiss_over_the_permitted_rows(
    history: list, filter: Filter, question: tuple[int, ...], k: int
) -> None:
    truth = told(history)
    index = index_of(truth, "rank_bm25")
    index.catch_up()
    found = index.dense(unit(question), filter, k)
    assert found == brute_dense(truth, unit(question), filter, k)


@pytest.mark.parametrize("name", LEXICAL_NAMES)
@settings(max_examples=40, deadline=None)
@given(history=steps(), filter=filters, query=texts, question=vectors)
def test_a_rebuilt_index_is_the_grown_one(
    name: LexicalName, history: list, filter: Filter, query: str, question: tuple[int, ...]
) -> None:
    truth = Truth()
    grown = index_of(truth, name)
    for born, ended in history:
        truth.commit(born, ended)
        assert grown.catch_up() == truth.generation
    rebuilt = index_of(truth, name)
    rebuilt.catch_up()
    lexical, dense = grown.lexical(query, filter, 9), grown.dense(unit(question), filter, 9)
    assert rebuilt.lexical(query, filter, 9) == lexical
    assert rebuilt.dense(unit(question), filter, 9) == dense
    grown.forget()
    assert grown.generation == 0
    filter = replace(filter, generation=max(1, filter.generation))  # makes it catch up by itself
    lexical = rebuilt.lexical(query, filter, 9)
    dense = rebuilt.dense(unit(question), filter, 9)
    assert grown.lexical(query, filter, 9) == lexical
    assert grown.dense(unit(question), filter, 9) == dense


def chunks(found: list[Hit]) -> list[str]:
    return [hit.chunk for hit in found]


def test_an_old_generation_stays_as_it_was() -> None:
    truth = Truth()
    index = index_of(truth)
    truth.commit([New("old invoice", document="a"), New("other invoice", document="b")])
    first = index.catch_up()
    before = chunks(index.lexical("invoice", Filter(first, EVERYBODY), 9))
    truth.commit([New("new invoice", document="a")], ended=[0])
    second = index.catch_up()
    assert chunks(index.lexical("invoice", Filter(first, EVERYBODY), 9)) == before == ["c0", "c1"]
    assert chunks(index.lexical("invoice", Filter(second, EVERYBODY), 9)) == ["c1", "c2"]
    question = unit((1, 0, 0, 0))
    assert chunks(index.dense(question, Filter(first, EVERYBODY), 9)) == ["c0", "c1"]
    assert chunks(index.dense(question, Filter(second, EVERYBODY), 9)) == ["c1", "c2"]
    assert index.dense(question, Filter(0, EVERYBODY), 9) == []


def test_it_reads_only_what_is_new_and_catches_up_by_itself() -> None:
    truth = Truth()
    index = index_of(truth)
    truth.commit([New("invoice")])
    assert chunks(index.lexical("invoice", Filter(1, EVERYBODY), 9)) == ["c0"]
    truth.commit([New("invoice")])
    index.catch_up()
    index.catch_up()
    assert truth.reads == [1]


def test_a_generation_that_is_not_there_yet_reads_the_newest() -> None:
    truth = Truth()
    index = index_of(truth)
    assert index.lexical("invoice", Filter(9, EVERYBODY), 9) == []
    truth.commit([New("invoice")])
    assert chunks(index.lexical("invoice", Filter(9, EVERYBODY), 9)) == ["c0"]


def test_a_store_put_back_to_a_backup_is_read_anew() -> None:
    truth = Truth()
    index = index_of(truth)
    truth.commit([New("invoice")])
    truth.commit([New("lost invoice")])
    assert index.catch_up() == 2
    truth.rows, truth.generation = truth.rows[:1], 1
    assert index.catch_up() == 1
    assert chunks(index.lexical("invoice", Filter(1, EVERYBODY), 9)) == ["c0"]


def test_no_group_means_no_row() -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("invoice", readers=frozenset())])
    index = index_of(truth)
    newest = index.catch_up()
    assert index.lexical("invoice", Filter(newest, frozenset()), 9) == []
    assert index.dense(unit((1, 0, 0, 0)), Filter(newest, frozenset()), 9) == []
    assert chunks(index.lexical("invoice", Filter(newest, EVERYBODY), 9)) == ["c0"]


def test_rows_without_a_metadata_key_do_not_meet_its_condition() -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    truth.commit([New("invoice", metadata=(("year", 2024),))])
    index = index_of(truth)
    newest = index.catch_up()
    asked = Filter(newest, EVERYBODY, (Condition("year", (2024, 2025)),))
    assert chunks(index.lexical("invoice", asked, 9)) == ["c1"]


@pytest.mark.parametrize("name", LEXICAL_NAMES)
@pytest.mark.parametrize("query", ["", " \n", "the of and", "?!", "nowhere"])
def test_queries_without_a_known_token_find_nothing(name: LexicalName, query: str) -> None:
    truth = Truth()
    truth.commit([New("the invoice of the year"), New("")])
    index = index_of(truth, name)
    assert index.lexical(query, Filter(index.catch_up(), EVERYBODY), 9) == []


@pytest.mark.parametrize("name", LEXICAL_NAMES)
def test_a_very_long_query(name: LexicalName) -> None:
    truth = Truth()
    truth.commit([New("invoice paid"), New("other")])
    index = index_of(truth, name)
    newest = index.catch_up()
    many = " ".join(f"w{n}" for n in range(3000))
    query = ("invoice " + "x" * 40_000 + " " + many).ljust(100_000, "é")
    assert chunks(index.lexical(query, Filter(newest, EVERYBODY), 9)) == ["c0"]


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        ((1.0, 0.0), "shape"),
        ((float("nan"), 0, 0, 0), "finite"),
        ((0, 0, 0, 0), "length 0"),
        ((3, 0, 0, 0), "length 3"),
    ],
)
def test_vectors_that_are_none(vector: tuple[float, ...], says: str) -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    index = index_of(truth)
    newest = index.catch_up()
    bad = np.array(vector, np.float32)
    with pytest.raises(ModelError, match=says):
        index.dense(bad, Filter(newest, EVERYBODY), 9)
    truth.commit([New("broken")])
    broken = truth.rows[-1]
    object.__setattr__(broken, "vector", bad)
    with pytest.raises(Corrupt, match=f"c1.*{says}"):
        index.catch_up()
    object.__setattr__(broken, "vector", unit((1, 0, 0, 0)))  # mended, as `attest doctor` would
    assert index.catch_up() == 2
    assert chunks(index.dense(unit((1, 0, 0, 0)), Filter(2, EVERYBODY), 9)) == ["c0", "c1"]


def test_a_row_that_ends_without_a_beginning_is_corrupt() -> None:
    truth = Truth()
    truth.commit([New("invoice"), New("fee")])
    index = index_of(truth)
    index.catch_up()
    truth.commit(ended=[1])
    object.__setattr__(truth.rows[1], "row", 99)
    with pytest.raises(Corrupt, match="99"):
        index.catch_up()


def test_a_dead_writer_is_an_error_and_the_next_question_mends_it() -> None:
    truth = Truth()
    truth.commit([New("invoice")])
    index = index_of(truth)
    index.catch_up()
    kill(index._held.lexical._writer)  # type: ignore[attr-defined]
    truth.commit([New("second invoice")])
    with pytest.raises(IndexUnavailable, match="built again"):
        index.catch_up()
    assert index.catch_up() == 2
    assert chunks(index.lexical("invoice", Filter(2, EVERYBODY), 9)) == ["c0", "c1"]


def kill(writer: tantivy.IndexWriter) -> None:
    """The real way it dies: a value of another type than the schema's."""
    document = tantivy.Document()
    document.add_text("position", "first")
    writer.add_document(document)
    with pytest.raises(ValueError, match="killed"):  # noqa: PT012 - its thread dies some time later
        while True:
            writer.add_document(document)
            time.sleep(0.01)


def test_readers_never_see_half_a_change() -> None:
    """Every generation replaces the two rows of one document; a reader sees two of one kind."""
    truth = Truth()
    truth.commit([New("invoice"), New("invoice")])
    index = index_of(truth)
    index.catch_up()
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            filter = Filter(index.catch_up(), EVERYBODY)
            lexical = {
                truth.rows[int(h.chunk[1:])].born for h in index.lexical("invoice", filter, 9)
            }
            dense = {
                truth.rows[int(h.chunk[1:])].born
                for h in index.dense(unit((1, 0, 0, 0)), filter, 9)
            }
            if lexical != dense or len(lexical) != 1:
                wrong.append((filter.generation, lexical, dense))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for step in range(25):
        truth.commit([New("invoice"), New("invoice")], ended=[2 * step, 2 * step + 1])
    done.set()
    for reader in readers:
        reader.join()
    assert not wrong
