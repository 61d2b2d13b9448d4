"""One suite over every lexical adapter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rag.index.embedded import LEXICALS
from rag.index.lexical import Lexical
from rag.index.mask import Mask
from rag.index.ranked import Ranked

Make = Callable[[], Lexical]


@pytest.fixture(params=sorted(LEXICALS))
def make(request: pytest.FixtureRequest) -> Make:
    return LEXICALS[request.param]


def filled(make: Make, *batches: Sequence[str]) -> Lexical:
    lexical = make()
    for batch in batches:
        lexical.add([row.split() for row in batch])
    lexical.show()
    return lexical


def mask(rows: int, *allowed: int) -> Mask:
    bits = np.zeros(rows, bool)
    bits[list(allowed)] = True
    return Mask(bits)


def every(rows: int) -> Mask:
    return mask(rows, *range(rows))


def pairs(ranked: Ranked) -> list[tuple[int, float]]:
    return list(zip(ranked.positions.tolist(), ranked.scores.tolist(), strict=True))


ROWS = ("cat dog", "dog dog dog", "bird", "cat", "", "fish bird ant", "ant", "bee")


def test_an_empty_index_finds_nothing(make: Make) -> None:
    assert pairs(make().search(["cat"], every(0), 5)) == []
    assert pairs(filled(make, []).search(["cat"], every(0), 5)) == []
    assert pairs(filled(make, ["", ""]).search(["cat"], every(2), 5)) == []


def test_rows_with_a_token_are_found_best_first(make: Make) -> None:
    found = filled(make, ROWS).search(["dog", "cat"], every(8), 9)
    assert set(found.positions.tolist()) == {0, 1, 3}
    assert found.positions[0] == 0, "both words in a short row"
    assert list(found.scores) == sorted(found.scores, reverse=True)


def test_unknown_tokens_and_no_tokens(make: Make) -> None:
    lexical = filled(make, ROWS)
    assert pairs(lexical.search([], every(8), 5)) == []
    assert pairs(lexical.search(["elk"], every(8), 5)) == []
    one = lexical.search(["cat"], every(8), 5)
    assert pairs(lexical.search(["cat", "elk"], every(8), 5)) == pairs(one)


def test_a_repeated_token_counts_again(make: Make) -> None:
    lexical = filled(make, ROWS)
    once, twice = (lexical.search(["cat"] * n, every(8), 5) for n in (1, 2))
    assert twice.positions.tolist() == once.positions.tolist()
    assert twice.scores == pytest.approx(2 * once.scores, rel=1e-6)


def test_k_beyond_the_rows_and_below_one(make: Make) -> None:
    lexical = filled(make, ROWS)
    assert len(lexical.search(["dog"], every(8), 1000)) == 2
    assert len(lexical.search(["dog"], every(8), 0)) == 0


def test_ties_go_to_the_earlier_row(make: Make) -> None:
    lexical = filled(make, ["a b"] * 3, ["a b"] * 40, ["c"] * 200)
    found = lexical.search(["a"], every(243), 5)
    assert found.positions.tolist() == [0, 1, 2, 3, 4]
    late = mask(243, *range(30, 43))
    assert lexical.search(["a"], late, 3).positions.tolist() == [30, 31, 32]


def test_rows_are_seen_from_show_on(make: Make) -> None:
    lexical = filled(make, ROWS)
    lexical.add([["cat"]])
    assert set(lexical.search(["cat"], every(8), 9).positions.tolist()) == {0, 3}
    lexical.show()
    assert set(lexical.search(["cat"], every(9), 9).positions.tolist()) == {0, 3, 8}


def test_a_mask_older_than_the_rows_leaves_the_new_out(make: Make) -> None:
    lexical = filled(make, ROWS, ["cat cat"])
    assert set(lexical.search(["cat"], every(8), 9).positions.tolist()) == {0, 3}


def test_tokens_are_taken_as_they_are(make: Make) -> None:
    odd = ["Straße", "inv-2041", "東京", "a" * 256, "AND", "c++", 'q"', "tokens:x", "é"]
    lexical = filled(make, odd, ["plain"] * 20)
    for position, token in enumerate(odd):
        assert lexical.search([token], every(29), 5).positions.tolist() == [position]


words = st.sampled_from("abcdefg")
bags = st.lists(words, max_size=8).map(" ".join)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(sorted(LEXICALS)),
    st.lists(st.lists(bags, max_size=12), min_size=1, max_size=5),
    st.lists(words, max_size=6),
    st.integers(0, 40),
    st.data(),
)
def test_masks_cut_before_top_k_and_batches_do_not_matter(
    name: str, batches: list[list[str]], query: list[str], k: int, data: st.DataObject
) -> None:
    make = LEXICALS[name]
    rows = [row for batch in batches for row in batch]
    allowed = data.draw(st.sets(st.sampled_from(range(len(rows))))) if rows else set()
    all_hits = pairs(filled(make, rows).search(query, every(len(rows)), len(rows)))
    wanted = sorted((hit for hit in all_hits if hit[0] in allowed), key=lambda h: (-h[1], h[0]))
    shuffled = data.draw(st.permutations(query))
    found = filled(make, *batches).search(shuffled, mask(len(rows), *allowed), k)
    assert pairs(found) == wanted[:k]
    holding = {at for at, row in enumerate(rows) if set(row.split()) & set(query)}
    assert {at for at, _ in all_hits} == holding
