"""The Ask page over the real API."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import cast

import pytest
from streamlit.testing.v1 import AppTest

from rag.domain import Verdict
from rag.ports import Generator
from rag.wire import to_json
from tests.api.serving import Endless, posted
from tests.ui.conftest import SECONDS, House, Open, button, html, served, settled, words
from ui.place import of_citation

LEAVE = "Full-time staff have thirty days of paid leave. Leave is asked for in writing."
QUESTION = "How many days of paid leave do full-time staff have?"
LEASE = Path(__file__).parents[2] / "examples" / "documents" / "lease.pdf"


def asked(page: AppTest, question: str) -> AppTest:
    page.text_input(key="question").input(question)
    return settled(button(page, "Ask").click().run())


def test_a_full_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Open) -> None:
    with served(tmp_path / "data", answers_at_once=1, answers_waiting=0) as house:
        monkeypatch.setenv("ATTEST_API_URL", house.url)
        endless = Endless()
        house.attest.generator = cast(Generator, endless)
        house.client.create_collection("handbook")
        house.add("handbook", "leave.md", LEAVE)
        with posted(house.url, "/collections/handbook/ask", {"question": QUESTION}):
            assert endless.started.wait(SECONDS)
            page = asked(opened("ask"), QUESTION)
            (warning,) = page.warning
            told = warning.value.replace("\\", "")  # it is shown as it is, not as Markdown
            assert told == "Too many questions are waiting; ask again in 5 seconds."


@pytest.fixture
def handbook(house: House) -> House:
    house.client.create_collection("handbook")
    house.add("handbook", "leave.md", LEAVE)
    return house


def test_without_a_collection_it_says_what_to_do(house: House, opened: Open) -> None:
    assert "no collection yet" in words(opened("ask"))


def test_without_documents_it_says_so(house: House, opened: Open) -> None:
    house.client.create_collection("handbook")
    assert "holds no documents yet" in words(opened("ask"))


def test_an_answer_and_its_citation(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), QUESTION)
    (answer,) = handbook.client.answers("handbook")
    assert answer.verdict is Verdict.ANSWERED
    assert "Answered" in words(page)
    assert "thirty days of paid leave" in html(page)
    assert "<mark>" not in html(page)

    settled(page.button(key="chip-0-1").click().run())
    (citation,) = answer.citations
    assert f"<mark>{citation.quote}</mark>" in html(page)
    assert "Leave is asked for in writing." in html(page), "the words around the quote"
    assert "leave.md" in html(page)
    assert f"support {citation.support:.2f}" in words(page)

    settled(page.button(key="close-source").click().run())
    assert "<mark>" not in html(page)


def test_a_conversation_goes_on_until_a_new_one_begins(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), QUESTION)
    page = asked(page, "And how is it asked for?")
    follow, first = handbook.client.answers("handbook")
    assert follow.replay.searched.startswith(QUESTION)
    assert "Searched for: How many days of paid leave" in words(page)
    assert first.question in html(page), "the conversation so far"

    settled(page.button(key="new-conversation").click().run())
    asked(page, "And how is it asked for?")
    assert handbook.client.answers("handbook")[0].replay.searched == ""


def test_details_and_computing_again(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), QUESTION)
    (answer,) = handbook.client.answers("handbook")
    shown = {metric.label: metric.value for metric in page.metric}
    assert shown["Confidence"] == f"{answer.confidence:.2f}"
    assert shown["Citations"] == "1"
    steps = list(page.table[0].value["step"])
    assert steps[-1] == "total"
    assert {"generate", "verify"} <= set(steps)
    settled(button(page, "Compute again").click().run())
    assert "The same words and citations came out." in words(page)


def test_why_these_passages(handbook: House, opened: Open) -> None:
    handbook.add("handbook", "![x](b) <b>.txt", "Leave in the sense of a farewell is no leave.")
    page = asked(opened("ask"), QUESTION)
    (answer,) = handbook.client.answers("handbook")
    assert len(page.dataframe) == 0, "nothing is searched again before someone asks for it"
    settled(page.toggle(key=f"why-{answer.id}").set_value(True).run())
    rows = page.dataframe[0].value
    assert list(rows["read as"]) == ["1", "2"]
    assert list(rows["document"]) == [p.document_name for p in answer.passages]
    assert rows["lexical"][0].startswith("1 (")
    assert rows["reranked"][0].startswith("1")
    assert "thirty" not in rows["score by word"][0]
    assert "paid" in rows["score by word"][0]
    told = words(page).replace("\\", "")
    assert "Searched 2 passages that you may read, as of generation 2." in told
    assert "Not counted: How, of, do, have." in told
    steps = {row for table in page.table for row in table.value.get("milliseconds", [])}
    assert steps, "milliseconds per stage"


def test_why_after_the_rights_changed(handbook: House, opened: Open) -> None:
    handbook.add("handbook", "farewell.txt", "Leave in the sense of a farewell is no leave.")
    page = asked(opened("ask"), QUESTION)
    (answer,) = handbook.client.answers("handbook")
    shelf = {d.name: d for d in handbook.client.documents("handbook")}
    handbook.client.set_access(shelf["leave.md"].id, ["nobody here"])
    settled(page.toggle(key=f"why-{answer.id}").set_value(True).run())
    assert "There is no answer" in words(page).replace("\\", "")
    assert len(page.dataframe) == 0


def test_a_refusal_says_what_was_searched(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), "Which tyres does the bicycle come with?")
    (answer,) = handbook.client.answers("handbook")
    assert answer.verdict is Verdict.REFUSED
    assert "Not answered" in words(page)
    assert "Searched the collection handbook (generation 1)" in words(page)
    assert [each.value for each in page.subheader] == ["Nearest sources", "Earlier questions"]
    settled(page.button(key="passage-1").click().run())
    assert f"<mark>{LEAVE}</mark>" in html(page)


def test_questions_that_cannot_be_asked(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), "   ")
    assert "Write a question first." in words(page)
    asked(page, "x" * 100_000)
    assert "The question has 100000 characters" in words(page).replace("\\", "")
    assert handbook.client.answers("handbook") == []


def test_earlier_questions_come_back(handbook: House, opened: Open) -> None:
    asked(opened("ask"), QUESTION)
    page = opened("ask")
    (earlier,) = handbook.client.answers("handbook")
    assert "thirty days" not in html(page)
    settled(page.button(key=f"earlier-{earlier.id}").click().run())
    assert "thirty days" in html(page)


def test_another_collection_clears_the_desk(handbook: House, opened: Open) -> None:
    handbook.client.create_collection("prices")
    page = asked(opened("ask"), QUESTION)
    settled(page.selectbox[0].set_value("prices").run())
    assert "thirty days" not in html(page)
    assert "holds no documents yet" in words(page)


def test_a_question_left_behind_is_asked_again(handbook: House, opened: Open) -> None:
    """What a visitor who looked at another page meanwhile finds on return."""
    page = opened("ask")
    page.session_state["desk"].pending = QUESTION
    settled(page.run())
    assert "thirty days" in html(page)
    assert len(handbook.client.answers("handbook")) == 1


def test_what_documents_hold_stays_text(house: House, opened: Open) -> None:
    hostile = "Staff have <img src=x onerror=alert(1)> nine </p></mark> days ![a](b) of leave."
    name = "![x](http:evil) <b>.txt"
    house.client.create_collection("handbook")
    house.add("handbook", name, hostile)
    page = asked(opened("ask"), "How many days of leave do staff have? <script>")
    settled(page.button(key="chip-0-1").click().run())
    shown = html(page)
    assert "<img" not in shown
    assert "<script" not in shown
    assert "&lt;img src=x onerror=alert(1)&gt; nine &lt;/p&gt;" in shown
    assert "<b>" not in shown
    assert "![x]" not in page.button(key="chip-0-1").help


def test_a_page_shows_the_boxes(house: House, opened: Open) -> None:
    house.client.create_collection("handbook")
    job = house.add("handbook", "lease.pdf", LEASE.read_bytes())
    assert job.error == ""
    page = asked(opened("ask"), "How much interest does the Tenant owe if the rent is late?")
    settled(page.button(key="chip-0-1").click().run())
    settled(page.button_group(key="shown-as").set_value("Page").run())
    (answer,) = house.client.answers("handbook")
    pages = of_citation(answer.citations[0]).pages
    assert pages
    assert [each.captions for each in page.image] == [[f"Page {number}"] for number in pages]


def test_a_document_without_pages_is_shown_with_its_structure(
    handbook: House, opened: Open
) -> None:
    page = asked(opened("ask"), QUESTION)
    settled(page.button(key="chip-0-1").click().run())
    settled(page.button_group(key="shown-as").set_value("Document").run())
    (answer,) = handbook.client.answers("handbook")
    _, found, shown = html(page).partition('<article class="attest-document"')
    assert found
    marked = unescape("".join(re.findall("<mark>(.*?)</mark>", shown, re.DOTALL)))
    assert "".join(marked.split()) == "".join(answer.citations[0].quote.split())


def test_a_document_deleted_meanwhile(handbook: House, opened: Open) -> None:
    page = asked(opened("ask"), QUESTION)
    (document,) = handbook.client.documents("handbook")
    handbook.client.delete_document(document.id)
    settled(page.button(key="chip-0-1").click().run())
    assert "no longer in the library" in words(page)


def test_an_api_that_is_away(house: House, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTEST_API_URL", "http://127.0.0.1:9")
    told = words(opened()).replace("\\", "")
    assert "cannot be reached" in told
    assert "attest up" in told


def test_the_whole_app_opens_on_ask(handbook: House, opened: Open) -> None:
    page = opened()
    assert [each.value for each in page.title] == ["Ask"]
    assert "thirty days" in html(asked(page, QUESTION))
    assert to_json(handbook.client.answers("handbook")[0].verdict) == "answered"
