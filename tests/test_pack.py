from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.domain import Chunk, Elsewhere, Passage, chunk_id
from rag.pack import pack


def passage(text: str, start: int = 0, version: str = "v", end: int | None = None) -> Passage:
    """Of the document named like the version; far from others unless `start` says so."""
    end = start + len(text) if end is None else end
    chunk = Chunk(chunk_id(version, start, end), version, start, end, text)
    return Passage(chunk, version, f"{version}.md", "D", 1.0)


def words(text: str) -> int:
    return len(text.split())


ONE = passage("one two three", 0)
TWO = passage("four five", 1000)
THREE = passage("six", 2000)


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
    one, two = pack([ONE, again, TWO], 99, words).passages
    assert (one.chunk, two) == (ONE.chunk, TWO)
    assert one.also == (Elsewhere("w", "w.md", again.chunk.id),)


def test_overlapping_spans() -> None:
    half = passage("two three four", 4)
    edge = passage("ree four five six seven", 10)
    other_version = passage("two three four", 4, version="w")
    assert pack([ONE, half], 99, words).passages == (ONE,), "the same document is not named again"
    assert pack([ONE, edge], 99, words).passages == (ONE, edge)
    assert pack([ONE, other_version], 99, words).passages == (ONE, other_version)
    assert pack([ONE, passage("two", 4)], 99, words).passages == (ONE,), "inside the other"


def test_a_passage_without_words_is_left_out() -> None:
    assert pack([passage(" \n", 5), ONE], 99, words).passages == (ONE,)


LEAVE = (
    "Staff have {n} days of paid leave a year. Leave is asked for in writing, two weeks ahead, "
    "from the person who plans the work, who {may} refuse it in the busy months of the year."
)
OURS = passage(LEAVE.format(n=25, may="may"), version="ours")


def test_copies_with_another_boilerplate_are_folded_and_named() -> None:
    foot = passage(f"{OURS.chunk.text}\nPage 3 of 25. Internal.", version="foot")
    head = passage(f"Human resources\n{OURS.chunk.text.upper()}", version="head")
    again = passage(f"{OURS.chunk.text} Internal.", 5000, version="head")
    far = passage("Nothing else.", version="far")
    one, other = pack([OURS, head, far, again], 9999, words).passages
    assert [copy.document_name for copy in one.also] == ["head.md"], "each document once"
    assert (one.chunk, other) == (OURS.chunk, far)
    assert len(pack([OURS, foot], 9999, words).passages) == 2, "3 stands in the other only"
    assert pack([foot, OURS], 9999, words).passages[0].also[0].document_name == "ours.md"


def test_what_differs_in_a_number_or_a_not_is_kept() -> None:
    for changed in (LEAVE.format(n=30, may="may"), LEAVE.format(n=25, may="may not")):
        other = passage(changed, version="theirs")
        assert pack([OURS, other], 9999, words).passages == (OURS, other)


def test_copies_below_the_limit_are_still_named() -> None:
    copy = passage(OURS.chunk.text, version="copy")
    (one,) = pack([OURS, TWO, copy], 9999, words, limit=1).passages
    assert [other.document_name for other in one.also] == ["copy.md"]


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
    ids = [p.chunk.id for p in given_passages]
    places = [ids.index(p.chunk.id) for p in chosen]
    assert places == sorted(set(places))
    assert len({p.chunk.text for p in chosen}) == len(chosen)
