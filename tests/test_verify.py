from __future__ import annotations

import pytest

from rag.verify import check, check_answer, support

LEAVE = (
    "Handbook > Leave\nFull-time staff have 28 days of paid annual leave a year. Unused days are "
    "carried over until 31 March. Ms Okafor approves leave. Interns are not paid for travel."
)


@pytest.mark.parametrize(
    "sentence",
    [
        "28 days",
        "Full-time staff have 28 days of paid annual leave.",
        "Unused days may be carried over until 31 March",
        "Okafor approves leave.",
        "Interns are not paid for travel.",
    ],
)
def test_what_the_passage_says_is_supported(sentence: str) -> None:
    assert support(LEAVE, sentence) >= 0.75


@pytest.mark.parametrize(
    ("sentence", "veto"),
    [
        ("Full-time staff have 25 days of paid annual leave.", "25"),
        ("Unused days are carried over until 30 March.", "30"),
        ("The leave is approved by Weber.", "Weber"),
        ("Interns are paid for travel.", "negation"),
        ("Full-time staff have no 28 days of paid annual leave a year.", "negation"),
    ],
)
def test_wrong_numbers_names_and_negations_are_vetoed(sentence: str, veto: str) -> None:
    found = check(LEAVE, sentence)
    assert found.score == 0
    assert veto in found.vetoes


def test_numbers_match_in_other_notations() -> None:
    assert support("The fee is 1,250.00 euros a month.", "The fee is 1250 euros.") == 1


def test_another_topic_is_not_supported() -> None:
    assert support(LEAVE, "bicycles may be stored in the cellar") < 0.3


@pytest.mark.parametrize("sentence", ["", "   ", "...", "the of and"])
def test_nothing_said_is_not_supported(sentence: str) -> None:
    assert support(LEAVE, sentence) == 0


def test_a_bare_yes_rests_on_the_questions_words() -> None:
    asked = "Do full-time staff have paid annual leave?"
    assert check_answer(LEAVE, "Yes.", asked).score >= 0.75
    assert check_answer("Passwords have 14 characters.", "Yes.", asked).score < 0.3


def test_the_reason_after_a_yes_is_what_counts() -> None:
    assert check_answer(LEAVE, "Yes, 28 days.", "Is there leave?").score == 1
    assert check_answer(LEAVE, "Yes, 30 days.", "Is there leave?").score == 0
