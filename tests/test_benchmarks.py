"""The handbook benchmark's own checks can fail: each finds what was broken on purpose."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from benchmarks.asking import Question, ask
from benchmarks.exactly_once import by_api, by_sql
from benchmarks.handbook import NEEDED, questions
from ingestion.uploads import upload
from rag.api.app import make_app
from rag.bootstrap import Attest
from rag.client import Client
from rag.domain import Answer, Verdict
from tests.api.house import opened, settings_in
from tests.ingestion.house import WHO, RememberingQueue, make_collection, work_off

PAGES = {
    "leave.md": b"# Leave\n\nEmployees have thirty days of paid leave.\n\n# Pay\n\nOn the 25th.\n",
    "empty.md": b"  \n",
    "travel.md": b"# Travel\n\nTrains are booked by the office.\n",
}
QUESTION = Question("How many days of paid leave do employees have?", ("leave.md",), ("thirty",))


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    attest, queue = opened(settings_in(tmp_path / "data")), RememberingQueue()
    make_collection(attest)
    for name, data in PAGES.items():
        upload(attest, queue, WHO, "handbook", name, data)
    work_off(attest, queue)
    yield attest
    attest.close()


@pytest.fixture
def client(attest: Attest) -> Iterator[Client]:
    app = make_app(attest, RememberingQueue())
    with TestClient(app, "http://127.0.0.1", client=("127.0.0.1", 50000)) as http:
        yield Client("http://127.0.0.1", http=http)


def test_sound_pages_have_nothing_wrong(attest: Attest, client: Client) -> None:
    assert by_api(client, "handbook", PAGES) == []
    assert by_sql(attest.settings.database, client.collection("handbook").id, PAGES) == []


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM chunks WHERE row = 1", "leave.md: 0 chunk rows (0 of its life) where"),
        ("UPDATE versions SET died = 9 WHERE born = 1", "0 live versions, expected 1"),
        ("UPDATE jobs SET state = 'queued' WHERE name = 'leave.md'", "1 versions, expected 0"),
        ("DELETE FROM jobs WHERE name = 'travel.md'", "travel.md: 0 jobs"),
        ("INSERT INTO generations SELECT collection, 9, change, document, at FROM generations "
         "WHERE number = 1", "2 generations, expected 1"),
        ("UPDATE documents SET name = 'other.md' WHERE name = 'leave.md'", "lacks leave.md"),
    ],
)  # fmt: skip
def test_counting_in_the_database(
    attest: Attest, client: Client, statement: str, said: str
) -> None:
    collection = client.collection("handbook").id
    database = sqlite3.connect(attest.settings.data / "attest.db")
    with database:
        assert database.execute(statement).rowcount
    database.close()
    assert said in "\n".join(by_sql(attest.settings.database, collection, PAGES))


def test_a_second_edition_is_counted_too(attest: Attest, client: Client) -> None:
    queue = RememberingQueue()
    upload(attest, queue, WHO, "handbook", "leave.md", b"# Leave\n\nForty days of paid leave.\n")
    work_off(attest, queue)
    collection, database = client.collection("handbook").id, attest.settings.database
    assert by_sql(database, collection, [*PAGES, "leave.md"]) == []
    assert by_sql(database, collection, PAGES) == ["leave.md: 2 jobs, expected 1"]


def test_counting_over_the_api(attest: Attest, client: Client) -> None:
    queue = RememberingQueue()
    upload(attest, queue, WHO, "handbook", "late.md", b"# Late\n\nNobody works it off.\n")
    upload(attest, queue, WHO, "handbook", "leave.md", b"\x7fELF" + bytes(500))
    work_off(attest, RememberingQueue())
    wrong = "\n".join(by_api(client, "handbook", [*PAGES, "lost.md"]))
    assert "the library lacks lost.md" in wrong
    assert "late.md: its job is queued" in wrong
    assert "the library holds one late.md too many" in wrong


def test_a_sound_answer_breaks_no_promise(client: Client) -> None:
    asked = ask(client, "handbook", QUESTION)
    assert (asked.answer.verdict, asked.rank, asked.broken) == (Verdict.ANSWERED, 1, ())
    assert asked.right
    assert not replace(asked, question=replace(QUESTION, contains=("forty",))).right
    assert ask(client, "handbook", replace(QUESTION, pages=("other.md",))).rank is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quote": "Employees have ninety days of paid leave."}, "is not what stands at"),
        ({"end": 9999}, "reaches beyond its passage"),
        ({"marker": 7}, "is no passage of the prompt"),
        ({"sentence": 1}, "holds citations for []"),
        ({"version": "0" * 32}, "names another chunk than passage 1"),
    ],
)
def test_a_broken_citation_is_found(
    client: Client, monkeypatch: pytest.MonkeyPatch, change: dict[str, object], said: str
) -> None:
    version = ask(client, "handbook", QUESTION).answer.citations[0].version
    texts = client.version_text(version)
    stream = client.ask_stream

    def lying(*asked: str) -> Iterator[object]:
        for event in stream(*asked):
            if isinstance(event, Answer):
                (citation,) = event.citations
                event = replace(event, citations=(replace(citation, **change),))
            yield event

    monkeypatch.setattr(client, "ask_stream", lying)
    monkeypatch.setattr(client, "version_text", lambda version: texts)
    broken = "\n".join(ask(client, "handbook", QUESTION).broken)
    assert said in broken
    assert "the stored answer is another than the shown one" in broken


def test_the_questions_can_be_read() -> None:
    asked = questions()
    assert len(asked) == 20 > NEEDED
    assert len({each.question for each in asked}) == 20
    assert all(each.pages and each.contains for each in asked)
