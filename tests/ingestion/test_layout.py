"""Layout blobs and the boxes of a span."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.domain import Box, Word
from rag.errors import Corrupt
from rag.layout import boxes_for, dump_layout, layout_of, load_layout


def line(start: int, page: int, y: float, *lengths: int) -> list[Word]:
    words, x = [], 50.0
    for length in lengths:
        box = Box(page, x, y, x + 5.0 * length, y + 10.0)
        words.append(Word(start, start + length, box))
        start, x = start + length + 1, x + 5.0 * length + 3.0
    return words


def test_boxes_merge_per_line_and_page() -> None:
    layout = layout_of(line(0, 1, 100, 4, 4) + line(10, 1, 112, 5, 3) + line(20, 2, 40, 6))
    assert boxes_for(layout, 0, 26) == (
        Box(1, 50, 100, 93, 110),
        Box(1, 50, 112, 93, 122),
        Box(2, 50, 40, 80, 50),
    )
    assert boxes_for(layout, 5, 12) == (Box(1, 73, 100, 93, 110), Box(1, 50, 112, 75, 122))
    assert boxes_for(layout, 4, 5) == ()  # the blank between two words


def test_columns_are_not_bridged() -> None:
    left, right = Box(1, 50, 100, 80, 110), Box(1, 320, 100, 350, 110)
    layout = layout_of([Word(0, 4, left), Word(5, 9, right)])
    assert boxes_for(layout, 0, 9) == (left, right)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3), st.integers(1, 99)), max_size=40))
def test_round_trip(sizes: list[tuple[int, int, int]]) -> None:
    words, at = [], 0
    for length, gap, page in sizes:
        words.append(Word(at, at + length, Box(page, 0.5, 1.25, 2.0, 3.0)))
        at += length + gap
    layout = load_layout(dump_layout(layout_of(words)))
    assert list(layout.words()) == words
    for word in words:
        assert word in list(layout.within(word.start, word.end))


@pytest.mark.parametrize("cut", [0, 5, 12, 30, -1])
def test_a_cut_blob_is_corrupt(cut: int) -> None:
    blob = dump_layout(layout_of(line(0, 1, 100, 4, 4, 6, 7)))
    with pytest.raises(Corrupt):
        load_layout(blob[:cut])
