from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.domain import Chunk, Passage, chunk_id
from rag.pack import pack


def passage(text: str, start: int = 0, version: str = "v", end: int | None = None) -> Passage:
    end = start + len(text) if end is None else end
    chunk = Chunk(chunk_id(version, start, end), version, start, end, text)
    return Passage(chunk, "d", "d.md", "D", 1.0)


def words(text: str) -> int:
    return len(text.split())


ONE = passage("one two three", 0)
TWO = passage("four five", 100)
THREE = passage("six", 200)


def test_the_best_that_fit_in_order() -> None:
    assert pack([ONE, TWO, THREE], 6, words).passages == (ONE, TWO, THREE)
    assert pack([ONE, TWO, THREE], 5, words).passages == (ONE, TWO)
    assert pack([ONE, TWO, THREE], 4, words).passages == (ONE, THREE)
    assert pack([ONE, TWO, THREE], 0, words).passages == ()
    assert pack([], 10, words).passages == ()


def test_overhead_and_limit() -> None:
    assert pack([ONE, TWO, THREE], 9, words, overhead=2).passages == (ONE, TWO)
    assert pack([ONE, TWO, THREE], 99, words, limit=2).passages == (ONE, TWO)


def test_the_same_words_in_another_document_are_said_once() -> None:
    again = passage("One  two\nTHREE", 0, version="w")
    assert pack([ONE, again, TWO], 99, words).passages == (ONE, TWO)


def test_overlapping_spans() -> None:
    half = passage("two three four", 4)
    edge = passage("ree four five six seven", 10)
    other_version = passage("two three four", 4, version="w")
    assert pack([ONE, half], 99, words).passages == (ONE,)
    assert pack([ONE, edge], 99, words).passages == (ONE, edge)
    assert pack([ONE, other_version], 99, words).passages == (ONE, other_version)
    assert pack([ONE, passage("two", 4)], 99, words).passages == (ONE,), "inside the other"


def test_a_passage_without_words_is_left_out() -> None:
    assert pack([passage(" \n", 5), ONE], 99, words).passages == (ONE,)


passages = st.builds(
    passage,
    st.lists(st.sampled_from(("a", "b", "c")), min_size=1, max_size=6).map(" ".join),
    st.integers(0, 30),
    st.sampled_from(("v", "w")),
)


@given(st.lists(passages, max_size=12), st.integers(0, 20), st.integers(0, 3), st.integers(0, 6))
def test_never_over_budget_limit_or_out_of_order(
    given_passages: list[Passage], budget: int, overhead: int, limit: int
) -> None:
    chosen = pack(given_passages, budget, words, limit=limit, overhead=overhead).passages
    assert sum(words(p.chunk.text) + overhead for p in chosen) <= budget
    assert len(chosen) <= limit
    places = [next(i for i, p in enumerate(given_passages) if p is c) for c in chosen]
    assert places == sorted(set(places))
    assert len({p.chunk.text for p in chosen}) == len(chosen)
