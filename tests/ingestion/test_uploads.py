"""Taking files in: rights, names, sizes; a broker that is down loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.queue import CeleryQueue
from ingestion.uploads import checked_name, upload
from rag.bootstrap import Attest
from rag.domain import JobState, Principal, Right
from rag.errors import (
    BadName,
    BrokerUnavailable,
    EmptyDocument,
    LimitExceeded,
    NotPermitted,
    UnknownCollection,
)
from tests.ingestion.house import WHO, RememberingQueue, job_of, make_collection, open_house


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = open_house(tmp_path / "data", max_upload_bytes=1000)
    make_collection(opened)
    yield opened
    opened.close()


@pytest.mark.parametrize("name", ["a.md", "folder/sub folder/ä.pdf", "x" * 400, ".hidden", "a..b"])
def test_good_names(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "  ",
        "../secret",
        "a/../../b",
        "/etc/passwd",
        "a//b",
        "a/./b",
        "a\\b",
        "C:/x",
        "nul\0l",
        "new\nline",
        "x" * 401,
        "\ud800.txt",
        " a.txt",
        "folder/",
    ],
)
def test_bad_names(attest: Attest, name: str) -> None:
    with pytest.raises(BadName):
        upload(attest, RememberingQueue(), WHO, "handbook", name, b"text")


def test_an_upload_is_stored_recorded_and_then_sent(attest: Attest) -> None:
    queue = RememberingQueue()
    job = upload(attest, queue, WHO, "handbook", "a.txt", b"Hello there.", metadata={"year": 2026})
    assert job.state is JobState.QUEUED
    assert queue.sent == [job.id]
    assert attest.blobs.get(job.sha256) == b"Hello there."
    with attest.store() as work:
        (entry,) = [e for e in work.audit.entries() if e.action == "upload document"]
    assert (entry.user, entry.subject) == (WHO.user, job.document)


def test_bad_uploads_leave_nothing(attest: Attest) -> None:
    queue = RememberingQueue()
    with pytest.raises(EmptyDocument, match="0 bytes"):
        upload(attest, queue, WHO, "handbook", "a.txt", b"")
    with pytest.raises(LimitExceeded, match="1,000"):
        upload(attest, queue, WHO, "handbook", "a.txt", b"x" * 1001)
    with pytest.raises(UnknownCollection):
        upload(attest, queue, WHO, "nowhere", "a.txt", b"x")
    with attest.store() as work:
        assert work.documents.all(work.collections.named("handbook").id) == []
    assert queue.sent == []


def test_rights(attest: Attest) -> None:
    with attest.store() as work:
        id = work.collections.named("handbook").id
        work.collections.set_rights(id, {"readers": Right.READ})
        work.commit()
    reader, stranger = Principal("r", frozenset({"readers"})), Principal("s", frozenset({"x"}))
    with pytest.raises(NotPermitted):
        upload(attest, RememberingQueue(), reader, "handbook", "a.txt", b"x")
    with pytest.raises(UnknownCollection):
        upload(attest, RememberingQueue(), stranger, "handbook", "a.txt", b"x")


def test_a_broker_that_is_down_loses_nothing(attest: Attest) -> None:
    queue = CeleryQueue(attest.settings)
    with pytest.raises(BrokerUnavailable, match="attest up"):
        queue.check()
    job = upload(attest, queue, WHO, "handbook", "a.txt", b"Hello there.")
    assert job_of(attest, job.id).state is JobState.QUEUED
    with attest.store() as work:
        assert work.jobs.due() == [job.id]


def test_an_unreachable_broker_is_named(tmp_path: Path) -> None:
    attest = open_house(tmp_path / "data", broker_url="redis://127.0.0.1:1/0")
    queue = CeleryQueue(attest.settings)
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        queue.check()
    with pytest.raises(BrokerUnavailable, match="does not answer"):
        queue.send("some job")
    attest.close()
