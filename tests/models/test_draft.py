from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.draft import Lookup

IDS = st.lists(st.integers(0, 5), max_size=12)


def test_the_longest_common_end_decides() -> None:
    lookup = Lookup([[7, 2, 9, 9], [1, 2, 3, 4, 5], [2, 8]])
    assert list(lookup.guess([1, 2], 3)) == [3, 4, 5]
    assert lookup.copied == 1
    assert list(lookup.guess([0, 2], 1)) == [3]  # of equals, where it copied last
    assert list(Lookup([[7, 2, 9], [1, 2, 3]]).guess([0, 2], 2)) == [9]  # else the first


def test_one_word_that_stands_in_several_places_gives_one_guess() -> None:
    lookup = Lookup([[7, 2, 9, 9], [1, 2, 3, 4, 5]])
    assert list(lookup.guess([2], 3)) == [9]
    assert list(lookup.guess([1], 3)) == [2, 3, 4]


def test_what_occurs_nowhere_and_a_passage_s_end_give_nothing() -> None:
    lookup = Lookup([[1, 2]])
    assert not lookup.guess([], 3)
    assert not lookup.guess([5], 3)
    assert not lookup.guess([1, 2], 3)
    assert lookup.copied == 0


@given(st.lists(IDS, max_size=4), IDS, st.integers(0, 4))
def test_a_guess_stands_in_a_passage_after_the_last_token(
    passages: list[list[int]], written: list[int], most: int
) -> None:
    lookup = Lookup(passages)
    guess = list(lookup.guess(written, most))
    assert len(guess) <= most
    if guess:
        own = passages[lookup.copied or 0]
        wanted = [written[-1], *guess]
        assert any(own[i : i + len(wanted)] == wanted for i in range(len(own)))
