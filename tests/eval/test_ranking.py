"""Ranked retrieval against a plain second implementation and by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scorers.retrieval import mrr_at, ndcg_at, recall_at

IDS = [f"d{i}" for i in range(12)]
RANKED = st.permutations(IDS).flatmap(lambda p: st.integers(0, 12).map(lambda n: list(p)[:n]))
GRADES = st.dictionaries(st.sampled_from(IDS), st.integers(0, 3))


def plain_ndcg(ranked: list[str], grades: dict[str, int], k: int) -> float | None:
    """The definition, written out step by step."""

    def discounted(order: list[str]) -> float:
        total = 0.0
        for place in range(k):
            if place < len(order):
                total += grades.get(order[place], 0) / math.log(place + 2, 2)
        return total

    best = discounted(sorted(grades, key=lambda id: grades[id], reverse=True))
    return None if best == 0 else discounted(ranked) / best


def plain_recall(ranked: list[str], grades: dict[str, int], k: int) -> float | None:
    relevant = [id for id in grades if grades[id] >= 1]
    found = [id for id in relevant if id in ranked and ranked.index(id) < k]
    return None if not relevant else len(found) / len(relevant)


def plain_mrr(ranked: list[str], grades: dict[str, int], k: int) -> float | None:
    if max(grades.values(), default=0) == 0:
        return None
    for place, id in enumerate(ranked):
        if place < k and grades.get(id, 0) >= 1:
            return 1 / (place + 1)
    return 0.0


@given(RANKED, GRADES, st.integers(1, 15))
def test_agreement_with_a_plain_implementation(
    ranked: list[str], grades: dict[str, int], k: int
) -> None:
    for ours, plain in (
        (ndcg_at, plain_ndcg),
        (recall_at, plain_recall),
        (mrr_at, plain_mrr),
    ):
        mine, theirs = ours(ranked, grades, k), plain(ranked, grades, k)
        assert mine == (None if theirs is None else pytest.approx(theirs))
        assert mine is None or 0 <= mine <= 1 + 1e-12


def test_by_hand() -> None:
    grades = {"a": 3, "b": 2, "c": 1}
    # DCG = 2/1 + 0 + 3/2 = 3.5; ideal = 3 + 2/log2(3) + 1/2
    assert ndcg_at(["b", "x", "a"], grades, 10) == pytest.approx(3.5 / (3.5 + 2 / math.log2(3)))
    assert recall_at(["b", "x", "a"], grades, 2) == pytest.approx(1 / 3)
    assert mrr_at(["x", "b", "a"], grades, 10) == 0.5


def test_no_hits_are_zero_and_no_relevant_item_is_unscored() -> None:
    assert (ndcg_at([], {"a": 1}, 10), recall_at([], {"a": 1}, 10)) == (0.0, 0.0)
    assert mrr_at([], {"a": 1}, 10) == 0.0
    assert ndcg_at(["a"], {"a": 0}, 10) is None
    assert recall_at(["a"], {}, 10) is None
    assert mrr_at(["a"], {}, 10) is None
