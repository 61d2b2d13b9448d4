"""Questions that rules make of sentences: natural ones, with exact answers, and none of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.tuning_data.pairs import pairs

SENTENCES = {
    "The Travel Desk is a team that books flights and trains.": (
        "What is the Travel Desk?",
        "a team that books flights and trains",
    ),
    "The goal of the pilot is to shorten the review.": (
        "What is the goal of the pilot?",
        "to shorten the review",
    ),
    "Your supervisor is responsible for approving leave.": (
        "What is your supervisor responsible for?",
        "approving leave",
    ),
    "The General Services Administration (GSA) runs the building.": (
        "What does GSA stand for?",
        "General Services Administration",
    ),
    "The security review takes two to three weeks.": (
        "How long does the security review take?",
        "two to three weeks",
    ),
    "You can request up to 240 hours of advanced sick leave.": (
        "How many hours of advanced sick leave can you request?",
        "up to 240",
    ),
    "A password must have at least 14 characters.": (
        "How many characters must a password have?",
        "at least 14",
    ),
    "The parking permit costs $45 a month.": (
        "How much does the parking permit cost?",
        "$45 a month",
    ),
    "18F was officially launched within GSA on March 19, 2014.": (
        "When was 18F launched within GSA?",
        "March 19, 2014",
    ),
    "The safety committee meets every two weeks in room 4.": (
        "How often does the safety committee meet?",
        "every two weeks",
    ),
    "Expense claims are due by the fifth of the month.": (
        "When are Expense claims due?",
        "by the fifth of the month",
    ),
    "If your badge is lost, call the security desk at once.": (
        "What should you do if your badge is lost?",
        "call the security desk at once",
    ),
    "- To request a parking permit, fill out form 50.": (
        "How do you request a parking permit?",
        "fill out form 50",
    ),
    "The health unit is located in the basement.": (
        "Where is the health unit located?",
        "in the basement",
    ),
}
SILENT = [
    "It is a form that nobody reads.",
    "This is the office in which they work.",
    "The form is a duty.",  # which form?
    "One of the reasons is the weather.",
    "If you have any questions, ask in the channel.",
    "If you need this form, use the one above.",
    "The office is open.",
    "See the list below:",
    "In 2022, TTS considers $75/hour as a starting point.",
    "Build and maintain relationships with partners.",
]


@pytest.mark.parametrize("sentence", SENTENCES)
def test_a_question_and_its_answer(sentence: str) -> None:
    text = f"Nothing asks about words before.\n\n{sentence} Nor about words behind."
    (pair,) = pairs(text)
    assert (pair.question, text[pair.start : pair.end]) == SENTENCES[sentence]


@pytest.mark.parametrize("sentence", SILENT)
def test_sentences_that_say_too_little(sentence: str) -> None:
    assert pairs(sentence) == []


def test_a_word_keeps_the_case_that_the_passage_gives_it() -> None:
    (pair,) = pairs("Expense claims are due by Friday.\nSend your expense claims early.")
    assert pair.question == "When are expense claims due?"


def test_a_heading_that_asks() -> None:
    heading = "What are the core hours of the office?"
    text = f"{heading}\n\nThe core hours of the office run from ten to three. Ask before you leave."
    found = [pair for pair in pairs(text, ["Work", heading]) if pair.rule == "heading"]
    (pair,) = found
    assert pair.question == heading
    assert text[pair.start : pair.end] == "The core hours of the office run from ten to three."
    assert [p for p in pairs(text, [heading, "Other"]) if p.rule == "heading"] == []


def test_what_a_passage_answers_twice_is_left_out() -> None:
    twice = "The Travel Desk is a team.\nThe Travel Desk is the first stop."
    assert pairs(twice) == []
    again = "The health unit is located in the basement. Boxes are kept in the basement."
    assert [p for p in pairs(again) if "health unit" in p.question] == []


@given(
    st.lists(
        st.one_of(st.sampled_from([*SENTENCES, *SILENT]), st.text(max_size=60)),
        max_size=8,
    ),
    st.sampled_from([" ", "\n", "\n\n- "]),
)
def test_every_answer_is_a_span_that_occurs_once(lines: list[str], between: str) -> None:
    text = between.join(lines)
    found = pairs(text, lines[:1])
    for pair in found:
        answer = text[pair.start : pair.end]
        assert answer.strip() == answer != ""
        assert text.count(answer) == 1
        assert pair.question.endswith("?")
    assert len({pair.question.lower() for pair in found}) == len(found)
