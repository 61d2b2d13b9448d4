"""What a reader says of an answer on the Ask page."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from rag.domain import NOT_HELD, Opinion, Verdict
from tests.ui.conftest import House, Open, button, settled, words
from tests.ui.test_ask import LEAVE, QUESTION, asked


@pytest.fixture
def handbook(house: House) -> House:
    house.client.create_collection("handbook")
    house.add("handbook", "leave.md", LEAVE)
    return house


def pressed(page: AppTest, text: str) -> AppTest:
    return settled(button(page, text).click().run())


def test_an_answer_that_is_right(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), QUESTION)
    assert "Thank you." not in words(page)
    pressed(page, "Right")
    assert "You said that this is right." in words(page)
    (said,) = handbook.client.feedback_of("handbook")
    assert (said.question, said.verdict) == (QUESTION, Opinion.RIGHT)


def test_an_answer_that_is_wrong_and_what_would_be_right(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), QUESTION)
    (answer,) = handbook.client.answers("handbook")
    pressed(page, "Wrong")
    assert "You said that this is wrong." in words(page)
    page.text_area(key=f"correction-text-{answer.id}").input("thirty days of paid leave")
    pressed(page, "Send")
    assert "Your answer is kept beside this one." in words(page)
    said = handbook.client.feedback(answer.id)
    assert said is not None
    assert (said.verdict, said.correction) == (Opinion.WRONG, "thirty days of paid leave")

    page.checkbox(key=f"not-held-{answer.id}").check()
    pressed(page, "Send")
    assert "the documents do not hold the answer." in words(page)
    pressed(page, "Right")
    assert [each.label for each in page.text_area] == []
    (said,) = handbook.client.feedback_of("handbook")
    assert (said.verdict, said.correction) == (Opinion.RIGHT, "")


def test_what_was_said_is_there_again(handbook: House, opened: Open) -> None:
    answer = handbook.client.ask("handbook", QUESTION)
    handbook.client.give_feedback(answer.id, Opinion.WRONG, NOT_HELD)
    page = opened("ask")
    settled(page.button(key=f"earlier-{answer.id}").click().run())
    assert "the documents do not hold the answer." in words(page)
    assert page.checkbox(key=f"not-held-{answer.id}").value is True


def test_a_refusal_is_corrected_by_an_answer(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), "Which tyres does the bicycle come with?")
    (answer,) = handbook.client.answers("handbook")
    assert answer.verdict is Verdict.REFUSED
    pressed(page, "Wrong")
    assert len(page.checkbox) == 0
    page.text_area(key=f"correction-text-{answer.id}").input("Wide ones.")
    pressed(page, "Send")
    said = handbook.client.feedback(answer.id)
    assert said is not None
    assert said.correction == "Wide ones."
