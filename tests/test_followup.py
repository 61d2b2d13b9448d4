from __future__ import annotations

import pytest

from models.training.records import with_history
from rag.domain import Turn
from rag.followup import SAID, leans, resolve

LEAVE = Turn(
    "How many days of leave do full-time staff have?", "Staff have 25 days [1]. It is paid [2]."
)


@pytest.mark.parametrize(
    "question",
    [
        "And for interns?",
        "What about part-time staff?",
        "Does it expire?",
        "Why?",
        "Yes, please.",
        "Who approves that request?",
    ],
)
def test_what_leans_on_the_conversation_is_searched_with_it(question: str) -> None:
    assert leans(question)
    found = resolve(question, [LEAVE], 4000)
    assert found.searched.splitlines() == [
        LEAVE.question,
        "Staff have 25 days. It is paid.",
        question,
    ]


@pytest.mark.parametrize(
    "question",
    [
        "How often should a supervisor meet with each person of the team?",
        "On which floor is the New York office of the agency?",
        "When does comp time lapse if I do not take it within a year?",
    ],
)
def test_what_stands_alone_is_left_alone(question: str) -> None:
    found = resolve(question, [LEAVE], 4000)
    assert (found.searched, found.read) == (question, question)


def test_without_a_conversation_there_is_nothing_to_lean_on() -> None:
    for history in ([], [Turn("  ", "Hello!")]):
        assert resolve("And for interns?", history, 4000).searched == "And for interns?"


def test_the_subject_is_carried_over_a_chain() -> None:
    chain = [LEAVE, Turn("And part-timers?", "Half of that [1].")]
    lines = resolve("And interns?", chain, 4000).searched.splitlines()
    assert lines == [LEAVE.question, "And part-timers?", "Half of that.", "And interns?"]
    changed = [LEAVE, Turn("Which form do I use to report a stolen laptop computer?", "")]
    lines = resolve("And online?", changed, 4000).searched.splitlines()
    assert lines == [changed[1].question, "And online?"], "the older subject is over"


def test_the_reader_sees_what_it_was_trained_on() -> None:
    chain = [Turn("Old?", "Old."), LEAVE, Turn("And part-timers?", "")]
    found = resolve("And interns?", chain, 4000).read
    lines = [
        f"user: {LEAVE.question}",
        "agent: Staff have 25 days. It is paid.",
        "user: And part-timers?",
    ]
    assert found == with_history("And interns?", lines)


def test_long_conversations_are_cut_from_the_oldest_end() -> None:
    long = Turn("What is said of leave in the handbook of this house?", "word " * 500)
    assert len(resolve("And then?", [long], 4000).searched.split()) < SAID + 20
    short = Turn("Is it paid in full by the house?", "Yes.")
    found = resolve("And then?", [long, short], 70)
    assert found.searched == "Is it paid in full by the house?\nYes.\nAnd then?"
    assert found.read == "user: Is it paid in full by the house?\nagent: Yes.\nAnd then?"
