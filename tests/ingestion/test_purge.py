"""What is deleted or was replaced long ago leaves every file, and nothing that is needed goes."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest
from filelock import FileLock
from sqlalchemy import text

from ingestion import purge as purging
from ingestion.purge import due, purge, purge_due
from ingestion.uploads import upload
from models.fake import CopyGenerator
from rag import search_engines
from rag.bootstrap import Attest
from rag.domain import LOCAL_GROUP, Answer, Filter
from rag.errors import Conflict, IndexUnavailable, UnknownAnswer, UnknownDocument
from rag.index.snapshot import newest_name
from rag.indexing import Builder
from rag.ports import Removed
from rag.store.doctor import examine
from rag.store.purging import SqlPurging
from rag.store.space import settle, shrink
from tests.index.backends import Fed
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    make_collection,
    open_house,
    work_off,
)

SECRET = "The lighthouse keeper Zebulon Quarrington earns nine thousand guilders."
NAMES = (b"Quarrington", b"quarrington")  # as written, and as the analyser keeps it
OTHER = "Invoices are paid within fourteen days of their receipt."


@pytest.fixture
def house(tmp_path: Path) -> Attest:
    attest = open_house(tmp_path / "data", replaced_seconds=600)
    attest.generator = CopyGenerator()
    make_collection(attest)
    return attest


def take_in(attest: Attest, name: str, words: str) -> str:
    queue = RememberingQueue()
    job = upload(attest, queue, WHO, "handbook", name, words.encode())
    work_off(attest, queue)
    return job.document


def delete(attest: Attest, document: str) -> None:
    with attest.store() as work:
        work.documents.delete(document)
        work.commit()


def ask(attest: Attest, question: str) -> Answer:
    return attest.answering.ask(WHO, "handbook", question)


def age(attest: Attest, seconds: float) -> None:
    """As if all that was committed had been so much earlier."""
    with sqlite3.connect(attest.settings.data / "attest.db") as connection:
        connection.execute(
            "UPDATE generations SET at = datetime(at, ?) || '.000000'", (f"-{seconds} seconds",)
        )
    connection.close()


def files_with(attest: Attest, *words: bytes) -> list[str]:
    """Those under the data folder that hold any of the words, whatever kind they are of."""
    return sorted(
        str(path.relative_to(attest.settings.data))
        for path in attest.settings.data.rglob("*")
        if path.is_file() and any(word in path.read_bytes() for word in words)
    )


def sound(attest: Attest) -> bool:
    return examine(attest.store, attest.blobs, read_blobs=True) == []


def found(attest: Attest, query: str) -> list[tuple[str, float]]:
    return [
        (passage.chunk.text, round(passage.score, 4))
        for passage in attest.answering.search(WHO, "handbook", query)
    ]


def test_a_deleted_document_is_in_no_file_afterwards(house: Attest) -> None:
    kept = take_in(house, "invoices.txt", OTHER)
    secret = take_in(house, "wages.txt", SECRET)
    answer = ask(house, "What does the lighthouse keeper Zebulon earn?")
    assert "attest.db" in "".join(files_with(house, *NAMES))
    delete(house, secret)
    would = due(house)
    purged = purge(house, "ann", thorough=True)
    assert purged.finished
    assert purged.settled
    assert purged.removed == would
    assert (would.documents, would.versions, would.chunks, would.vectors) == (1, 1, 1, 1)
    assert would.blobs >= 1
    assert files_with(house, *NAMES) == []
    assert due(house) == Removed()
    assert sound(house)
    with pytest.raises(UnknownDocument):
        house.answering.store().documents.get(secret)
    with house.store() as work:
        assert work.documents.get(kept).version
        with pytest.raises(UnknownAnswer, match=r"erased on .* with a document it rested on"):
            work.answers.get(answer.id)
        recorded = {entry.action: entry for entry in work.audit.entries()}
        assert recorded["purge document"].subject == secret
        assert recorded["purge"].detail["documents"] == 1
        assert work.audit.verify() is None


def test_an_answer_that_was_given_nothing_of_it_stays_word_for_word(house: Attest) -> None:
    take_in(house, "invoices.txt", OTHER)
    answer = ask(house, "When are invoices paid?")
    secret = take_in(house, "wages.txt", SECRET)
    delete(house, secret)
    assert purge(house, "ann").removed.answers == 0
    replayed = house.answering.replay(WHO, answer.id)
    assert replayed.same
    assert replayed.stored.text == answer.text


def test_what_was_replaced_stays_for_its_time_and_for_answers(house: Attest) -> None:
    """A version that a kept answer rests on can be replayed and opened however old it is."""
    document = take_in(house, "terms.txt", "Goods are returned within thirty days.")
    answer = ask(house, "When are goods returned?")
    take_in(house, "terms.txt", "Goods are returned within twenty days.")
    take_in(house, "terms.txt", "Goods are returned within ten days.")
    assert purge(house, "ann").removed == Removed()  # not old enough
    age(house, 601)
    would = due(house)
    removed = purge(house, "ann").removed
    assert removed == would
    assert (removed.versions, removed.chunks, removed.vectors) == (1, 1, 1)
    assert files_with(house, b"twenty days") == []
    with house.store() as work:
        versions = work.documents.versions(document)
    assert len(versions) == 2
    assert house.blobs.get(versions[0].text_blob) == b"Goods are returned within thirty days."
    assert house.answering.replay(WHO, answer.id).same
    assert sound(house)


def test_bytes_that_another_document_has_stay(house: Attest) -> None:
    first = take_in(house, "a.txt", SECRET)
    take_in(house, "b.txt", SECRET)
    delete(house, first)
    purge(house, "ann")
    assert found(house, "lighthouse keeper")
    assert sound(house)


def test_an_answer_that_only_names_a_copy_keeps_its_words(house: Attest) -> None:
    """Of two documents that say the same one is shown, and the other named beside it."""
    take_in(house, "a.txt", OTHER)
    take_in(house, "quarrington.txt", OTHER)
    answer = ask(house, "When are invoices paid?")
    shown = {passage.document for passage in answer.passages}
    named = {copy.document for passage in answer.passages for copy in passage.also}
    assert len(shown) == len(named) == 1
    delete(house, named.pop())
    assert purge(house, "ann").removed.answers == 0
    with house.store() as work:
        kept = work.answers.get(answer.id)
    assert kept.text == answer.text
    assert [passage.also for passage in kept.passages] == [()]


def test_a_deleted_collection_leaves_no_blob(house: Attest) -> None:
    take_in(house, "wages.txt", SECRET)
    with house.store() as work:
        work.collections.delete(work.collections.named("handbook").id)
        work.commit()
    purge(house, "ann", thorough=True)
    assert files_with(house, *NAMES) == []
    assert list(house.blobs.untouched(0)) == []


def test_an_upload_of_bytes_that_are_being_purged_is_kept(
    house: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the moment its bytes are stored and its job is written a purge removes them."""
    document = take_in(house, "wages.txt", SECRET)
    delete(house, document)
    put = house.blobs.put

    def put_and_purge(data: bytes) -> str:
        sha256 = put(data)
        monkeypatch.undo()
        purge(house, "ann")
        assert not house.blobs.has(sha256)
        return sha256

    monkeypatch.setattr(house.blobs, "put", put_and_purge)
    take_in(house, "wages.txt", SECRET)
    assert found(house, "lighthouse keeper")
    assert sound(house)


def test_a_blob_that_a_killed_upload_left_goes_after_a_day(house: Attest) -> None:
    sha256 = house.blobs.put(SECRET.encode())
    purge(house, "ann", thorough=True)
    assert house.blobs.has(sha256)
    path = next(house.settings.blobs.glob(f"*/*/{sha256}"))
    os.utime(path, (time.time() - 90_000,) * 2)
    assert [each.code for each in examine(house.store, house.blobs, read_blobs=True)] == [
        "blob_orphan"
    ]
    assert purge(house, "ann", thorough=True).removed.blobs == 1
    assert sound(house)


def test_a_failed_upload_can_still_be_tried_again(house: Attest) -> None:
    queue = RememberingQueue()
    job = upload(house, queue, WHO, "handbook", "wages.txt", SECRET.encode())
    with house.store() as work:
        work.jobs.lease(job.id, "w", 60)
        work.jobs.fail(job.id, "w", "no luck")
        work.commit()
    age(house, 10**7)
    purge(house, "ann", thorough=True)
    with house.store() as work:
        work.jobs.retry(job.id)
        work.commit()
    work_off(house, queue)
    assert found(house, "lighthouse keeper")


def test_a_turn_without_time_goes_on_at_the_next(house: Attest) -> None:
    for n in range(3):
        delete(house, take_in(house, f"{n}.txt", f"{SECRET} {n}"))
    assert not purge(house, "ann", seconds=0).finished
    assert due(house).documents == 3
    assert not purge_due(house)
    assert due(house) == Removed()


def test_two_at_once(house: Attest) -> None:
    with house.store.alone("purge", 0), pytest.raises(Conflict, match="another purge is running"):
        purge(house, "ann")


def snapshot(house: Attest) -> tuple[str, Path]:
    """Made of all that is there: the collection's id, and where it lies."""
    with house.store() as work:
        id = work.collections.named("handbook").id
        dimension = work.embeddings.current(id).dimension
    assert dimension is not None
    folder = house.settings.index_folder / id
    Builder(house.settings.database, id, folder, dimension)(0)
    return id, folder


def test_a_snapshot_is_made_anew_without_it(house: Attest) -> None:
    take_in(house, "invoices.txt", OTHER)
    secret = take_in(house, "wages.txt", SECRET)
    id, folder = snapshot(house)
    before = newest_name(folder)
    delete(house, secret)
    purge(house, "ann")
    assert newest_name(folder) > before
    assert files_with(house, *NAMES) == []
    with house.store() as work:
        at = work.collections.get(id).generation
    hits = house.index(id).lexical("lighthouse invoices", Filter(at, frozenset({LOCAL_GROUP})), 9)
    assert len(hits) == 1


def test_a_snapshot_that_another_process_keeps_from_being_made_is_said(
    house: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not waited for without end; the next purge makes it."""
    monkeypatch.setattr(search_engines, "_PATIENCE", 0.5)
    secret = take_in(house, "wages.txt", SECRET)
    _, folder = snapshot(house)
    delete(house, secret)
    with (
        FileLock(folder / "build.lock"),
        pytest.raises(IndexUnavailable, match="next purge tries again"),
    ):
        purge(house, "ann")
    purge(house, "ann")
    assert files_with(house, *NAMES) == []


def test_an_engine_on_servers_holds_nothing_of_it_afterwards(house: Attest, pgvector: Fed) -> None:
    house.search_engine = pgvector.engine
    take_in(house, "invoices.txt", OTHER)
    secret = take_in(house, "wages.txt", SECRET)
    assert len(found(house, "invoices lighthouse")) == 2
    with house.store() as work:
        id = work.collections.named("handbook").id
    build = pgvector.engine.held(id).build
    assert pgvector.engine.rows(id, build) == 2
    delete(house, secret)
    purge(house, "ann")
    assert pgvector.engine.rows(id, build) == 1
    assert [text for text, _ in found(house, "invoices lighthouse")] == [OTHER]
    house.index(id).forget()
    assert [text for text, _ in found(house, "invoices lighthouse")] == [OTHER]


def test_a_long_reader_is_said_and_the_next_purge_empties_the_log(
    house: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "_PATIENCE", 0.0)
    document = take_in(house, "wages.txt", SECRET)
    with house.store() as reading:
        assert reading.documents.get(document).name == "wages.txt"
        delete(house, document)
        assert not purge(house, "ann").settled
        assert files_with(house, *NAMES)
    assert purge(house, "ann").settled
    assert files_with(house, *NAMES) == []


def test_the_database_can_be_shrunk(house: Attest) -> None:
    delete(house, take_in(house, "long.txt", f"{OTHER} " * 5_000))
    purge(house, "ann")
    path = house.settings.data / "attest.db"
    before = path.stat().st_size
    shrink(house.store.engine)
    assert settle(house.store.engine)
    assert path.stat().st_size < before / 2
    assert sound(house)


@pytest.mark.parametrize("step", ["answers", "document", "replaced", "unused"])
def test_killed_after_any_step(house: Attest, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit of a purge may be its last."""
    take_in(house, "invoices.txt", OTHER)
    take_in(house, "terms.txt", "Goods are returned within thirty days.")
    take_in(house, "terms.txt", "Goods are returned within ten days.")
    secret = take_in(house, "wages.txt", SECRET)
    for question in ("What does the lighthouse keeper earn?", "What does Zebulon earn?"):
        ask(house, question)
    delete(house, secret)
    age(house, 601)
    before = found(house, "invoices goods lighthouse")

    class Killed(BaseException):
        pass

    done = getattr(SqlPurging, step)
    calls = iter(range(100))

    def killed(*given: object) -> object:
        if next(calls) == 1:
            raise Killed
        return done(*given)

    monkeypatch.setattr(purging, "ROWS", 1)
    monkeypatch.setattr(SqlPurging, step, killed)
    with pytest.raises(Killed):
        purge(house, "ann")
    monkeypatch.undo()
    assert sound(house)
    assert found(house, "invoices goods lighthouse") == before
    purge(house, "ann")
    assert found(house, "invoices goods lighthouse") == before
    assert due(house) == Removed()
    assert files_with(house, *NAMES, b"thirty days") == []


def test_the_doctor_names_what_waits_and_what_is_loose(house: Attest) -> None:
    document = take_in(house, "wages.txt", SECRET)
    delete(house, document)
    age(house, 90_000)
    with house.store.engine.begin() as connection:
        connection.execute(text("INSERT INTO vectors VALUES ('no chunk', 'e', x'00000000')"))
    codes = {each.code for each in examine(house.store, house.blobs)}
    assert codes == {"deleted_not_purged", "vector_orphan"}
    purge(house, "ann", thorough=True)
    assert sound(house)
