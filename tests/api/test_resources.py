"""What the routes do, through the typed client and the real app."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI

from rag.client import Client
from rag.domain import (
    LOCAL_USER,
    Answer,
    Condition,
    Found,
    JobState,
    Leg,
    Opinion,
    Right,
    Said,
    Verdict,
)
from rag.errors import (
    BadInput,
    BadName,
    Conflict,
    EmptyQuestion,
    LimitExceeded,
    NotFound,
    NotPermitted,
    NotSignedIn,
    QuestionTooLong,
    UnknownAnswer,
    UnknownCollection,
    UnknownDocument,
)
from tests.api.conftest import As
from tests.api.house import NAME, OPEN, PASSWORD, QUESTION, House, Sent

KIND = "multipart/form-data"


def test_health_and_who(local: Client) -> None:
    health = local.health()
    assert (health.status, health.sign_in, health.parts) == ("ok", "none", {"store": "ok"})
    assert local.me() == LOCAL_USER


def test_collections(local: Client) -> None:
    made = local.create_collection("prices", {"local": Right.MANAGE, "staff": Right.READ})
    assert local.collection("prices") == made
    assert {held.name for held in local.collections()} == {NAME, "prices"}
    with pytest.raises(Conflict):
        local.create_collection("prices")
    changed = local.set_rights("prices", {"local": Right.MANAGE})
    assert changed.rights == {"local": Right.MANAGE}
    local.delete_collection("prices")
    with pytest.raises(UnknownCollection):
        local.collection("prices")


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 500, "line\nbreak"])
def test_unusable_collection_names(local: Client, name: str) -> None:
    with pytest.raises((BadName, BadInput)):
        local.create_collection(name)


def test_a_collection_keeps_a_manager(local: Client) -> None:
    with pytest.raises(BadInput, match="manage"):
        local.set_rights(NAME, {"local": Right.READ})


def test_ask_gives_the_stored_answer(local: Client) -> None:
    answer = local.ask(NAME, QUESTION)
    assert answer.verdict is Verdict.ANSWERED
    assert answer.text.startswith("Employees have thirty days of paid leave.")
    assert answer.user == "local"
    for citation in answer.citations:
        assert local.version_text(citation.version)[citation.start : citation.end] == citation.quote
        assert local.around(citation, 10).quote == citation.quote
    assert local.answer(answer.id) == answer
    assert local.answers(NAME) == [answer]
    assert local.replay(answer.id).same


def test_the_stream_is_found_said_answer(local: Client) -> None:
    events = list(local.ask_stream(NAME, QUESTION))
    kinds = [type(event) for event in events]
    assert kinds == [Found, *[Said] * (len(events) - 2), Answer]
    answer = events[-1]
    assert isinstance(answer, Answer)
    said = [event.text for event in events if isinstance(event, Said)]
    assert answer.text == " ".join(said)
    assert local.answer(answer.id) == answer


def test_what_is_not_in_the_documents_is_refused(local: Client) -> None:
    answer = local.ask(NAME, "Which tyres does the zeppelin use?")
    assert answer.verdict is Verdict.REFUSED
    assert answer.citations == ()


@pytest.mark.parametrize("leg", list(Leg))
def test_search(local: Client, leg: Leg) -> None:
    found = local.search(NAME, "paid leave", leg, k=1)
    assert [passage.document_name for passage in found] == ["leave.md"]
    assert local.search(NAME, "paid leave", leg, conditions=[Condition("year", (1900,))]) == []


@pytest.mark.parametrize(
    ("question", "error"),
    [("", EmptyQuestion), ("  \n", EmptyQuestion), ("x" * 100_000, QuestionTooLong)],
)
def test_bad_questions(local: Client, question: str, error: type[Exception]) -> None:
    for ask in (local.ask, local.search, lambda *a: list(local.ask_stream(*a))):
        with pytest.raises(error):
            ask(NAME, question)  # type: ignore[operator]


def test_questions_in_other_scripts(local: Client) -> None:
    for question in ("有几天假期？", "Сколько дней отпуска?", "😀", "\u202eleave", "a\x00b"):
        assert local.ask(NAME, question).question


def test_an_unknown_collection(local: Client) -> None:
    for call in (local.library, local.jobs, local.answers, local.collection):
        with pytest.raises(UnknownCollection, match="nowhere"):
            call("nowhere")  # type: ignore[operator]
    with pytest.raises(UnknownCollection):
        local.upload("nowhere", "a.md", b"x")
    with pytest.raises(UnknownCollection):
        list(local.ask_stream("nowhere", "why?"))


def test_unknown_ids(local: Client) -> None:
    for call in (local.document, local.version, local.text, local.blocks, local.delete_document):
        with pytest.raises(UnknownDocument):
            call("none")  # type: ignore[operator]
    with pytest.raises(UnknownAnswer):
        local.answer("none")
    for other in (local.job, local.retry, local.run):
        with pytest.raises(NotFound):
            other("none")  # type: ignore[operator]


def test_an_upload_is_kept_and_sent(local: Client, queue: Sent) -> None:
    job = local.upload(NAME, "folder/new.md", b"# New words", ["staff"], {"year": 2026})
    assert (job.name, job.state) == ("folder/new.md", JobState.QUEUED)
    assert queue.jobs == [job.id]
    assert local.job(job.id) == job
    shelf = local.document(job.document)
    assert shelf.document.metadata == {"year": 2026}
    assert shelf.job == job


def test_an_upload_outlives_a_broker_that_is_down(local: Client, queue: Sent) -> None:
    queue.down = True
    job = local.upload(NAME, "new.md", b"words")
    assert local.job(job.id).state is JobState.QUEUED


@pytest.mark.parametrize("size", [4097, 300_000, 2_000_000])
def test_a_file_that_is_too_large(local: Client, size: int) -> None:
    with pytest.raises(LimitExceeded):
        local.upload(NAME, "large.bin", b"x" * size)
    assert "large.bin" not in {document.name for document in local.documents(NAME)}


@pytest.mark.parametrize("name", ["", "\x00", "a" * 5000, "line\nbreak"])
def test_unusable_document_names(local: Client, name: str) -> None:
    with pytest.raises(BadInput):
        local.upload(NAME, name, b"words")


def test_malformed_uploads(local: Client) -> None:
    path = f"/collections/{NAME}/documents"
    form = {"files": {"file": ("a.md", b"x")}}
    for sent in (
        {"content": b"no form at all"},
        {"data": {"name": "only a name"}},
        {**form, "data": {"options": "{not json"}},
        {**form, "data": {"options": '{"readers": "staff"}'}},
        {
            "content": b"--x\r\nbroken",
            "headers": {"content-type": "multipart/form-data; boundary=x"},
        },
        {"content": b"", "headers": {"content-type": KIND}},
    ):
        reply = local._http.post(path, **sent)
        assert reply.status_code in (400, 422), (sent, reply.text)
        assert reply.json()["error"] == "bad_input"


def test_delete_and_access(house: House, signed_in: As) -> None:
    mia = signed_in("mia")
    document = mia.set_access(house.open.id, ["managers"], {"year": 2025})
    assert document.readers == frozenset({"managers"})
    assert [p.document for p in mia.search(NAME, "paid leave", k=1)] == [house.open.id]
    generation = mia.delete_document(house.open.id)
    assert generation == mia.collection(NAME).generation
    assert house.open.id not in {p.document for p in mia.search(NAME, "paid leave")}
    with pytest.raises(UnknownDocument):
        mia.text(house.open.id)
    with pytest.raises(UnknownDocument):
        mia.version_text(str(house.open.version))


def test_text_blocks_words_extract(house: House, signed_in: As) -> None:
    rae = signed_in("rae")
    version = str(house.open.version)
    assert rae.text(house.open.id) == rae.version_text(version) == OPEN
    assert [OPEN[block.start : block.end] for block in rae.blocks(version)] == [OPEN]
    assert rae.words(version, 1) == []
    assert [held.id for held in rae.versions(house.open.id)] == [version]
    extract = rae.extract(version, 15, 26, around=5)
    assert (extract.quote, extract.text) == (OPEN[15:26], OPEN[10:31])
    for start, end in ((5, 4), (0, len(OPEN) + 1), (-1, 3)):
        with pytest.raises(BadInput):
            rae.extract(version, start, end)


def test_a_failed_job_is_tried_again(house: House, signed_in: As, queue: Sent) -> None:
    wim = signed_in("wim")
    assert wim.job(house.failed.id).error == "it is broken"
    assert wim.jobs(NAME, [JobState.FAILED]) == [house.failed]
    assert wim.retry(house.failed.id).state is JobState.QUEUED
    assert queue.jobs == [house.failed.id]


def test_a_job_is_cancelled_once(house: House, signed_in: As) -> None:
    wim = signed_in("wim")
    job = wim.upload(NAME, "new.md", b"# New words")
    cancelled = wim.cancel(job.id)
    assert (cancelled.state, cancelled.error) == (JobState.CANCELLED, "cancelled by wim")
    with pytest.raises(Conflict, match="nothing to cancel"):
        wim.cancel(job.id)
    again = wim.upload(NAME, "new.md", b"# New words")
    assert again.id != job.id
    assert again.state is JobState.QUEUED


def test_runs(house: House, signed_in: As) -> None:
    rae = signed_in("rae")
    (run,) = rae.runs()
    assert (run.id, run.report) == (house.run, {"n": 3})
    assert rae.run(run.id) == run
    assert rae.runs(kind="other") == []


def test_sign_in(signed_in: As) -> None:
    client = signed_in("rae")
    assert client.me().groups == frozenset({"readers"})
    for user, password in (("rae", "wrong"), ("nobody", PASSWORD), ("", ""), ("rae\x00", "x")):
        with pytest.raises(NotSignedIn, match="user or the password"):
            client.sign_in(user, password)


def test_users(signed_in: As) -> None:
    ada = signed_in("ada")
    ada.add_user("eve", PASSWORD, ["readers"])
    eve = signed_in("eve")
    assert [held.name for held in eve.collections()] == [NAME]
    with pytest.raises(Conflict):
        ada.add_user("eve", PASSWORD)
    with pytest.raises(BadName):
        ada.add_user("e ve", PASSWORD)
    ada.set_groups("eve", [])
    assert eve.collections() == []
    eve.set_password("eve", "another password")
    with pytest.raises(NotSignedIn):
        eve.me()
    eve.sign_in("eve", "another password")
    ada.disable_user("eve")
    with pytest.raises(NotSignedIn):
        eve.me()
    with pytest.raises(NotSignedIn):
        eve.sign_in("eve", "another password")
    assert {user.user: user.disabled for user in ada.users()}["eve"] is True


def test_keys(signed_in: As) -> None:
    rae, ada = signed_in("rae"), signed_in("ada")
    key = rae.add_key("script", ["read"])
    with_key = signed_in()
    with_key.token = key.token
    assert with_key.me().user == "rae"
    with pytest.raises(NotPermitted):
        with_key.add_key("more", ["read"])
    with pytest.raises(BadInput):
        rae.add_key("script", ["everything"])
    ada.revoke_key(key.id)
    with pytest.raises(NotSignedIn):
        with_key.me()


def test_what_was_done_is_on_record(house: House, signed_in: As) -> None:
    mia = signed_in("mia")
    mia.ask(NAME, QUESTION)
    mia.upload(NAME, "new.md", b"words")
    mia.set_access(house.open.id, None)
    mia.delete_document(house.open.id)
    mia.set_rights(NAME, {"managers": Right.MANAGE})
    with house.attest.store() as work:
        done = [(entry.user, entry.action) for entry in work.audit.entries()]
        assert work.audit.verify() is None
    for action in ("ask", "upload document", "set access", "delete document", "set rights"):
        assert ("mia", action) in done


def test_the_description_names_its_models(app: FastAPI) -> None:
    described = app.openapi()
    names = set(described["components"]["schemas"])
    assert {"Answer", "Citation", "Collection", "Job", "Passage", "Refusal", "Question"} <= names
    operations = [
        operation["operationId"]
        for methods in described["paths"].values()
        for operation in methods.values()
    ]
    assert len(operations) == len(set(operations))
    json.dumps(described)


def test_no_other_site_is_let_in(local: Client) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    assert local._http.options("/collections", headers=headers).status_code == 403
    reply = local._http.get("/health")
    assert "access-control-allow-origin" not in reply.headers
    assert local._http.get("/docs").status_code == 404


def test_feedback_replaces_what_was_said_before(house: House, signed_in: As) -> None:
    rae, mia = signed_in("rae"), signed_in("mia")
    answer = rae.ask(NAME, QUESTION)
    assert rae.feedback(answer.id) is None
    rae.give_feedback(answer.id, Opinion.RIGHT)
    said = rae.give_feedback(answer.id, Opinion.WRONG, " Thirty-one days. ")
    assert rae.feedback(answer.id) == said
    assert (said.user, said.verdict, said.correction) == ("rae", Opinion.WRONG, "Thirty-one days.")
    assert said.question == QUESTION
    assert said.passages == answer.replay.context
    assert said.cited == (answer.citations[0].chunk,)
    mine = mia.give_feedback(answer.id, Opinion.RIGHT)
    assert mia.feedback_of(NAME) == [said, mine]
    with house.attest.store() as work:
        assert [e.subject for e in work.audit.entries() if e.action == "feedback"] == [
            answer.id
        ] * 3


def test_feedback_that_cannot_be_kept(local: Client) -> None:
    answer = local.ask(NAME, QUESTION)
    with pytest.raises(BadInput, match="no correction"):
        local.give_feedback(answer.id, Opinion.RIGHT, "Ten days.")
    with pytest.raises(BadInput, match="2001 characters"):
        local.give_feedback(answer.id, Opinion.WRONG, "x" * 2001)
    with pytest.raises(UnknownAnswer):
        local.give_feedback("none", Opinion.RIGHT)
    assert local.feedback_of(NAME) == []


def test_feedback_hides_with_the_sources_of_its_answer(house: House, signed_in: As) -> None:
    mia = signed_in("mia")
    answer = mia.ask(NAME, "How much does the director earn a year?")
    assert any(p.document_name == "pay.md" for p in answer.passages)
    mia.give_feedback(answer.id, Opinion.RIGHT)
    assert len(mia.feedback_of(NAME)) == 1
    mia.set_access(house.secret.id, ["local"])
    assert mia.feedback_of(NAME) == []


def test_an_explanation_of_a_question_and_of_its_answer(local: Client) -> None:
    answer = local.ask(NAME, QUESTION)
    found, of_answer = local.explain(NAME, QUESTION), local.explanation(answer.id)
    (read,) = [each for each in found.candidates if each.marker == 1]
    assert read.passage.chunk.text == OPEN
    assert read.passage.scores["lexical"] == pytest.approx(sum(read.terms.values()), rel=1e-5)
    assert {"dense", "lexical", "hybrid", "rerank"} == set(read.ranks)
    assert of_answer.candidates == found.candidates
    assert (of_answer.answer, of_answer.same, of_answer.timings) == (
        answer.id,
        True,
        answer.timings,
    )
    none = local.explain(NAME, QUESTION, [Condition("year", (2024,))])
    assert (none.readable, none.meeting, none.candidates) == (2, 0, ())
    assert {each.passage.document_name for each in none.removed} == {"leave.md", "pay.md"}


def test_an_explanation_knows_its_readers_documents_only(signed_in: As) -> None:
    asked = "How much does the director earn?"
    found = {who: signed_in(who).explain(NAME, asked) for who in ("mia", "rae")}
    names = {
        who: {each.passage.document_name for each in told.candidates} for who, told in found.items()
    }
    assert names == {"mia": {"leave.md", "pay.md"}, "rae": {"leave.md"}}
    assert (found["mia"].readable, found["rae"].readable) == (2, 1)
    with pytest.raises(UnknownCollection):
        signed_in("sam").explain(NAME, asked)
    with pytest.raises(EmptyQuestion):
        signed_in("rae").explain(NAME, "  ")
