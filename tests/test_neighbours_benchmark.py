"""Which chunks share a place in the prompt, and whether a place holds the evidence."""

from __future__ import annotations

from benchmarks.chunking import Text
from benchmarks.neighbours import holds, joined, pulled
from rag.domain import Chunk, chunk_id

TEXT = "one two. three four. five six. seven eight."
SPANS = ((0, 8), (9, 20), (21, 30), (31, 43))


def rows() -> list[tuple[str, Chunk]]:
    """Three documents of four chunks each: rows 0 to 3, 4 to 7, 8 to 11."""
    return [
        (name, Chunk(chunk_id(name, start, end), name, start, end, TEXT[start:end]))
        for name in ("a", "b", "c")
        for start, end in SPANS
    ]


def test_neighbours_share_a_place() -> None:
    assert joined(9, rows(), [1, 5, 2, 8]) == [[1, 2], [5], [8]]
    assert joined(9, rows(), [3, 4]) == [[3], [4]], "of two documents"


def test_one_between_two_places_joins_them_where_all_may() -> None:
    assert joined(3, rows(), [0, 2, 5, 1]) == [[0, 1, 2], [5]]
    assert joined(2, rows(), [0, 2, 5, 1]) == [[0, 1], [2], [5]]


def test_it_ends_at_the_first_that_needs_a_sixth_place() -> None:
    alone = [0, 2, 4, 6, 8]
    assert joined(2, rows(), [*alone, 1, 10, 3]) == [[0, 1], [2], [4], [6], [8]]


def test_the_best_ones_neighbours_are_its_own_document_s() -> None:
    assert pulled(rows(), [4, 0, 2, 8, 10])[0] == [4, 5]
    assert pulled(rows(), [11, 0, 2, 4, 6])[0] == [11, 10]


def test_evidence_over_a_boundary_is_held_by_both_together() -> None:
    documents = {name: Text("", TEXT) for name in "abc"}
    evidence = [("b", 4, 14)]
    assert not holds(documents, rows(), [[4], [5]], evidence)
    assert holds(documents, rows(), [[5, 4]], evidence)
    assert not holds(documents, rows(), [[0, 1]], evidence), "of another document"
    assert not holds(documents, rows(), [[4, 6]], [("b", 4, 25)]), "the middle is missing"
