"""What the embedded index promises beyond the contract: every bit of a score, and to be mended."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import faiss
import numpy as np
import pytest
import tantivy
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.domain import Filter, Hit, Leg
from rag.errors import IndexUnavailable
from rag.index.embedded import LEXICALS, EmbeddedIndex, LexicalName
from rag.index.mask import Mask
from rag.index.terms import terms
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
    """Its threads end, and whatever is asked of it afterwards is an error."""
    writer.wait_merging_threads()
