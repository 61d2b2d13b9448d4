"""The sample questions are about the sample documents, as ingestion reads them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ingestion.limits import Limits
from ingestion.parse import parse

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCUMENTS = sorted((EXAMPLES / "documents").iterdir())
QUESTIONS: list[dict[str, Any]] = [
    json.loads(line) for line in (EXAMPLES / "questions.jsonl").read_text("utf-8").splitlines()
]


@cache
def text_of(name: str) -> str:
    """Whitespace joined: a PDF breaks lines where it likes."""
    path = EXAMPLES / "documents" / name
    return " ".join(parse(path.read_bytes(), name, Limits()).text.split())


def test_documents_are_of_five_formats_and_of_a_readable_length() -> None:
    assert {path.suffix for path in DOCUMENTS} == {".md", ".html", ".docx", ".pdf", ".txt"}
    words = sum(len(text_of(path.name).split()) for path in DOCUMENTS)
    assert 1_500 <= words <= 4_000


def test_a_third_of_the_questions_have_no_answer() -> None:
    assert len(QUESTIONS) >= 24
    assert sum(not question["answerable"] for question in QUESTIONS) * 3 == len(QUESTIONS)
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["question"])
def test_a_question_fits_its_document(question: dict[str, Any]) -> None:
    assert set(question) == {"question", "document", "contains", "answerable", "answer"}
    if question["answerable"]:
        text = text_of(question["document"])
        assert question["contains"]
        assert [words for words in question["contains"] if words not in text] == []
        assert question["answer"]
    else:
        assert (question["document"], question["contains"], question["answer"]) == (None, [], None)


def test_demo_asks_what_the_documents_hold_and_one_thing_they_do_not() -> None:
    from examples import demo

    known = {question["question"]: question["answerable"] for question in QUESTIONS}
    assert set(demo.QUESTIONS) <= set(known)
    assert [known[question] for question in demo.QUESTIONS].count(False) == 1
