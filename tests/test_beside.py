from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.beside import beside

QUESTION = "What does a late fee cost?"


def test_by_hand() -> None:
    texts = ["The late fees cost a lot.", "Fees are late, they cost.", "Late fee, late fee."]
    first, second, third = beside(QUESTION, texts)
    rare, common = 0.9808 / 2.0794, 0.4700 / 2.0794
    assert first == pytest.approx((common / 2.2 + rare / 2.2) / 2, abs=1e-3)
    assert second == 0, "the words are there, but not side by side"
    assert third == pytest.approx((common * 2 / 3.2) / 2, abs=1e-3)


def test_stop_words_between_do_not_part_a_pair() -> None:
    assert beside("leave of absence", ["a leave for an absence", "absence, leave"])[0] > 0
    assert beside("leave of absence", ["a leave for an absence", "absence, leave"])[1] == 0


@pytest.mark.parametrize("question", ["", "fee", "of the", "fee fee"])
def test_without_a_pair_nothing_is_said(question: str) -> None:
    assert beside(question, ["fee fee", ""]) == [0.0, 0.0]
    assert beside(QUESTION, []) == []


@given(st.text("ab ", max_size=12), st.lists(st.text("ab ", max_size=20), max_size=5))
def test_between_none_and_all(question: str, texts: list[str]) -> None:
    found = beside(question, texts)
    assert len(found) == len(texts)
    assert all(0 <= score < 1 for score in found)
