from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rag.cite import attribute, quote
from rag.domain import Chunk, Passage
from rag.verify import Lexical

TEXT = (
    "Full-time staff have 28 days of paid leave. Part-time staff have 14 days of paid leave.\n"
    "The notice period is 14 days in the first month. Afterwards it is three months."
)


def chunk(text: str = TEXT, start: int = 100) -> Chunk:
    return Chunk("c" + str(start), "v1", start, start + len(text), text)


def passage(text: str, number: int) -> Passage:
    return Passage(chunk(text, 1000 * number), f"d{number}", f"{number}.md", "", 1.0)


def test_a_short_answer_is_quoted_from_the_sentence_the_question_is_about() -> None:
    found = quote("14 days", chunk(), "How long is the notice period in the first month?")
    assert found.text == "The notice period is 14 days in the first month."
    found = quote("14 days", chunk(), "How much paid leave do part-time staff have?")
    assert found.text == "Part-time staff have 14 days of paid leave."


def test_a_quote_is_the_slice_of_the_version() -> None:
    found = quote("three months", chunk(), "How long is the notice period?")
    assert (chunk().text)[found.start - 100 : found.end - 100] == found.text


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=40))
def test_any_quote_slices_exactly(text: str, sentence: str, question: str) -> None:
    found = quote(sentence, chunk(text, 7), question)
    assert text[found.start - 7 : found.end - 7] == found.text


def test_a_marker_that_supports_is_kept() -> None:
    passages = [passage("Meals: 45 euros a day.", 1), passage("Leave: 28 days.", 2)]
    (cited,) = attribute("28 days", [2], passages, "How much leave?", 0.6, Lexical())
    assert (cited.marker, cited.quote.text, cited.support) == (2, "Leave: 28 days.", 1.0)


def test_a_wrong_number_is_put_right_when_only_one_passage_can_be_meant() -> None:
    passages = [passage("Meals: 45 euros a day.", 1), passage("Leave: 28 days.", 2)]
    (cited,) = attribute("28 days", [1], passages, "How much leave?", 0.6, Lexical())
    assert cited.marker == 2


def test_nothing_is_put_right_by_guessing() -> None:
    passages = [passage("Tea.", 1), passage("Leave: 28 days.", 2), passage("Notice: 28 days.", 3)]
    assert attribute("28 days", [1], passages, "How much leave?", 0.6, Lexical()) == []


def test_an_unsupported_sentence_has_no_citation() -> None:
    passages = [passage("Meals: 45 euros a day.", 1), passage("Leave: 28 days.", 2)]
    assert attribute("30 days", [2], passages, "How much leave?", 0.6, Lexical()) == []
