from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.analyse import analyse
from rag.wording import BESIDE, CLOSE, HELD, NEAR, Wording, wording

QUESTION = "What does a late fee cost?"


def standing(question: str, *texts: str) -> list[float]:
    held = {name: analyse(text) for name, text in zip("abcdef", texts, strict=False)}
    return list(wording(question, held).standing.values())


def test_by_hand() -> None:
    late_fee_cost, turned, twice = standing(
        QUESTION, "The late fees cost a lot.", "Fees are late, they cost.", "Late fee, late fee."
    )
    # Of three texts: late and fee in all, cost in two; the pair late fee in two, fee cost in one.
    everywhere, two, one = 0.1335 / 2.0794, 0.4700 / 2.0794, 0.9808 / 2.0794
    whole = 2 * everywhere + two
    assert late_fee_cost == pytest.approx(
        HELD + CLOSE + NEAR + BESIDE * (two / 2.2 + one / 2.2) / 2, abs=1e-3
    )
    assert turned == pytest.approx(HELD + CLOSE + NEAR, abs=1e-3), "near, but not side by side"
    share = 2 * everywhere / whole
    assert twice == pytest.approx(
        (HELD + CLOSE) * share + NEAR / 2 + BESIDE * (two * 2 / 3.2) / 2, abs=1e-3
    )


def test_words_that_stand_together_count_more_than_words_that_are_strewn() -> None:
    between = "nothing here speaks about such matters anywhere " * 4
    together, strewn = standing(
        "parental leave policy",
        f"parental and other policy about leave {between}",
        f"parental {between} leave {between} policy",
    )
    assert together == pytest.approx(HELD + CLOSE + NEAR)
    assert strewn < HELD + 0.7 * CLOSE


def test_stop_words_between_do_not_part_a_pair() -> None:
    near, turned = standing("leave of absence", "a leave for an absence", "absence, leave")
    assert near > turned == pytest.approx(HELD + CLOSE + NEAR)


def test_what_is_covered_is_what_the_best_candidate_holds() -> None:
    texts = {"a": "A late arrival.", "b": "The fee is late.", "c": "Nothing of it."}
    held = {name: analyse(text) for name, text in texts.items()}
    rare = 1.0 + 0.9808 / 2.0794 + 0.4700 / 2.0794  # cost in none, fee in one, late in two
    assert wording(QUESTION, held).covered == pytest.approx(1 - 1 / rare, abs=1e-3)
    assert wording("late fee", held).covered == 1
    assert wording("quarantine", held).covered == 0


@pytest.mark.parametrize("question", ["fee", "fee fee"])
def test_without_a_pair_only_the_words_themselves_count(question: str) -> None:
    assert standing(question, "fee fee", "") == [pytest.approx(HELD + CLOSE), 0.0]


def test_without_words_or_candidates_nothing_is_said() -> None:
    assert wording("of the", {"a": ["word"]}) == wording(QUESTION, {}) == Wording()


@given(st.text("ab ", max_size=12), st.lists(st.text("ab ", max_size=20), max_size=5))
def test_between_none_and_all(question: str, texts: list[str]) -> None:
    held = {name: text.split() for name, text in zip("abcde", texts, strict=False)}
    found = wording(question, held)
    assert all(0 <= score < HELD + CLOSE + NEAR + BESIDE for score in found.standing.values())
    assert 0 <= found.covered <= 1 + 1e-9


@given(st.lists(st.sampled_from("abcxyz"), min_size=1, max_size=60))
def test_the_closest_window_is_that_of_a_count_at_every_place(words: list[str]) -> None:
    """Against the plain way: every window of sixteen words, counted by itself."""
    asked = "a b c"
    from rag.wording import _closest, _places

    rarity = {"a": 0.5, "b": 0.25, "c": 0.125}
    windows = [words[at : at + 16] for at in range(len(words))]
    plain = max(sum(rarity[w] for w in {*window} & {*asked.split()}) for window in windows)
    assert _closest(_places({*asked.split()}, words), rarity) == pytest.approx(plain)
