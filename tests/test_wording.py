from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.wording import Wording, wording

QUESTION = "What does a late fee cost?"


def beside(question: str, *texts: str) -> list[float]:
    return list(wording(question, dict(zip("abcdef", texts, strict=False))).beside.values())


def test_side_by_side_by_hand() -> None:
    first, second, third = beside(
        QUESTION, "The late fees cost a lot.", "Fees are late, they cost.", "Late fee, late fee."
    )
    rare, common = 0.9808 / 2.0794, 0.4700 / 2.0794  # of three texts, held by one and by two
    assert first == pytest.approx((common / 2.2 + rare / 2.2) / 2, abs=1e-3)
    assert second == 0, "the words are there, but not side by side"
    assert third == pytest.approx((common * 2 / 3.2) / 2, abs=1e-3)


def test_stop_words_between_do_not_part_a_pair() -> None:
    near, turned = beside("leave of absence", "a leave for an absence", "absence, leave")
    assert near > turned == 0


def test_what_is_covered_is_what_the_best_candidate_holds() -> None:
    texts = {"a": "A late arrival.", "b": "The fee is late.", "c": "Nothing of it."}
    rare = 1.0 + 0.9808 / 2.0794 + 0.4700 / 2.0794  # cost in none, fee in one, late in two
    assert wording(QUESTION, texts).covered == pytest.approx(1 - 1 / rare, abs=1e-3)
    assert wording("late fee", texts).covered == 1
    assert wording("quarantine", texts).covered == 0


@pytest.mark.parametrize("question", ["fee", "fee fee"])
def test_without_a_pair_nothing_stands_side_by_side(question: str) -> None:
    assert beside(question, "fee fee", "") == [0.0, 0.0]


def test_without_words_or_candidates_nothing_is_said() -> None:
    assert wording("of the", {"a": "of the"}) == wording(QUESTION, {}) == Wording()


@given(st.text("ab ", max_size=12), st.lists(st.text("ab ", max_size=20), max_size=5))
def test_between_none_and_all(question: str, texts: list[str]) -> None:
    found = wording(question, dict(zip("abcde", texts, strict=False)))
    assert all(0 <= score < 1 for score in found.beside.values())
    assert 0 <= found.covered <= 1 + 1e-9
