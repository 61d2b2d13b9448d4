from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.domain import Hit, Leg
from rag.fuse import convex, rrf
from rag.wording import Wording


def hits(leg: Leg, *scored: tuple[str, float]) -> list[Hit]:
    return [Hit(chunk, score, rank, leg) for rank, (chunk, score) in enumerate(scored, 1)]


DENSE = hits(Leg.DENSE, ("a", 0.9), ("b", 0.7), ("c", 0.5))
LEXICAL = hits(Leg.LEXICAL, ("b", 12.0), ("d", 6.0), ("a", 2.0))


def scores(found: list[Hit]) -> dict[str, float]:
    return {hit.chunk: hit.score for hit in found}


def test_convex_by_hand() -> None:
    found = convex(DENSE, LEXICAL, 0.6)
    assert scores(found) == pytest.approx(
        {
            "a": 0.6 + 0.4 * 2 / 12,
            "b": 0.6 * 7 / 9 + 0.4,
            "c": 0.6 * 5 / 9,
            "d": 0.6 * 5 / 9
            + 0.4 * 6 / 12,  # the dense list ends before it, so at most as near as c
        }
    )
    assert [(h.chunk, h.rank) for h in found] == [("b", 1), ("a", 2), ("d", 3), ("c", 4)]
    assert {hit.leg for hit in found} == {Leg.HYBRID}


def test_rrf_by_hand() -> None:
    found = rrf(DENSE, LEXICAL)
    assert scores(found) == pytest.approx(
        {"a": 1 / 61 + 1 / 63, "b": 1 / 62 + 1 / 61, "c": 1 / 63, "d": 1 / 62}
    )
    assert [hit.chunk for hit in found] == ["b", "a", "d", "c"]


def test_how_the_words_stand_counts_with_the_words() -> None:
    stand = Wording(1.0, {"d": 0.4, "b": 0.1, "elsewhere": 0.9})
    plain, lifted = scores(convex(DENSE, LEXICAL, 0.6)), scores(convex(DENSE, LEXICAL, 0.6, stand))
    assert lifted == pytest.approx({**plain, "d": plain["d"] + 0.16, "b": plain["b"] + 0.04})
    assert scores(convex(DENSE, LEXICAL, 1, stand)) == scores(convex(DENSE, LEXICAL, 1))
    assert rrf(DENSE, LEXICAL, stand) == rrf(DENSE, LEXICAL)


def test_words_that_no_candidate_holds_take_trust_from_the_lexical_leg() -> None:
    plain, half = convex(DENSE, LEXICAL, 0.6), convex(DENSE, LEXICAL, 0.6, Wording(covered=0.5))
    assert scores(plain)["d"] - scores(half)["d"] == pytest.approx(0.2 * 6 / 12)
    assert scores(half)["c"] == scores(plain)["c"]


def test_the_ends_of_the_weight_are_the_legs() -> None:
    assert [h.chunk for h in convex(DENSE, LEXICAL, 1)][:2] == ["a", "b"]
    assert [h.chunk for h in convex(DENSE, LEXICAL, 0)][:2] == ["b", "d"]


def test_one_empty_leg_leaves_the_other_in_order() -> None:
    for fused in (convex(DENSE, [], 0.3), rrf(DENSE, [])):
        assert [hit.chunk for hit in fused] == ["a", "b", "c"]
    assert convex([], [], 0.5) == rrf([], []) == []


def test_the_best_of_a_leg_counts_fully() -> None:
    assert scores(convex(hits(Leg.DENSE, ("a", 0.4)), [], 0.5)) == {"a": 0.5}
    assert scores(convex(hits(Leg.DENSE, ("a", 0.0)), [], 0.5)) == {"a": 0.5}


def test_a_leg_that_goes_below_zero_is_moved_up() -> None:
    below = hits(Leg.DENSE, ("a", 0.2), ("b", 0.0), ("c", -0.2))
    assert scores(convex(below, [], 1)) == pytest.approx({"a": 1, "b": 0.5, "c": 0})
    assert scores(convex(hits(Leg.DENSE, ("a", -1), ("b", -1)), [], 1)) == {"a": 1, "b": 1}


def test_ties_go_to_the_better_rank_then_the_chunk_id() -> None:
    one = hits(Leg.DENSE, ("z", 1.0), ("m", 0.0))
    other = hits(Leg.LEXICAL, ("b", 1.0), ("c", 0.0))
    assert [hit.chunk for hit in convex(one, other, 0.5)] == ["b", "z", "c", "m"]


@pytest.mark.parametrize("weight", [-0.1, 1.1, float("nan")])
def test_a_weight_out_of_range(weight: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        convex(DENSE, LEXICAL, weight)


lists = st.dictionaries(st.sampled_from("abcdefgh"), st.floats(-50, 50), max_size=8).map(
    lambda found: sorted(found.items(), key=lambda pair: -pair[1])
)


@given(lists, lists, st.floats(0, 1))
def test_every_chunk_once_in_order_and_within_bounds(
    dense: list[tuple[str, float]], lexical: list[tuple[str, float]], weight: float
) -> None:
    legs = hits(Leg.DENSE, *dense), hits(Leg.LEXICAL, *lexical)
    for found in (convex(*legs, weight), rrf(*legs)):
        assert sorted(hit.chunk for hit in found) == sorted({*dict(dense), *dict(lexical)})
        assert [hit.rank for hit in found] == list(range(1, len(found) + 1))
        assert all(a.score >= b.score for a, b in pairwise(found))
    assert all(-1e-9 <= hit.score <= 1 + 1e-9 for hit in convex(*legs, weight))


@given(lists, lists, st.floats(0, 1), st.floats(0.1, 9))
def test_convex_does_not_depend_on_a_legs_scale(
    dense: list[tuple[str, float]],
    lexical: list[tuple[str, float]],
    weight: float,
    factor: float,
) -> None:
    scaled = [(chunk, factor * score) for chunk, score in lexical]
    plain = convex(hits(Leg.DENSE, *dense), hits(Leg.LEXICAL, *lexical), weight)
    other = convex(hits(Leg.DENSE, *dense), hits(Leg.LEXICAL, *scaled), weight)
    if max((abs(score) for _, score in lexical), default=0) > 1e-6:
        assert scores(other) == pytest.approx(scores(plain), abs=1e-6)
