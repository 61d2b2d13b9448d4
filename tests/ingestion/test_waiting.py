"""A person's single upload goes before a bulk load, over the real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.broker import Broker
from ingestion.pipeline import run_job
from ingestion.queue import CeleryQueue
from ingestion.uploads import upload
from rag.bootstrap import Attest
from rag.domain import Job, JobState
from tests.ingestion.house import WHO, RememberingQueue, job_of, open_house
from tests.ingestion.house import make_collection as make
from tests.ingestion.workers import all_done, documents, quick_house, running, wait_for

pytestmark = pytest.mark.slow


def load(attest: Attest, queue: CeleryQueue | RememberingQueue, count: int) -> list[Job]:
    files = documents(count)
    return [upload(attest, queue, WHO, "handbook", *each, bulk=True) for each in files.items()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Attest]:
    attest = open_house(tmp_path / "data")
    make(attest)
    yield attest
    attest.close()


def test_one_upload_goes_before_a_bulk_load(tmp_path: Path, embedder: Path) -> None:
    with quick_house(tmp_path / "data", embedder) as attest, Broker(attest.settings):
        queue = CeleryQueue(attest.settings)
        load(attest, queue, 30)
        asked = upload(attest, queue, WHO, "handbook", "mine.md", b"# Mine\n\nI wait.\n")
        with running(attest):
            wait_for(lambda: all_done(attest), "all documents")
        assert job_of(attest, asked.id).generation == 1


def test_every_message_does_one_job_where_none_share(tmp_path: Path) -> None:
    house = open_house(tmp_path / "single", files_together=1)
    make(house)
    queue = RememberingQueue()
    bulk = load(house, queue, 2)
    mine = upload(house, queue, WHO, "handbook", "mine.md", b"# Mine\n\nI wait.\n")
    order = []
    for named in queue.sent:
        run_job(house, named, "worker", queue=queue)
        order.append([job_of(house, job.id).state for job in (mine, *bulk)])
    done, queued = JobState.DONE, JobState.QUEUED
    assert order[0] == [done, queued, queued]
    assert [states.count(done) for states in order] == [1, 2, 3]
    house.close()


def test_what_was_tried_does_not_stand_in_the_way(house: Attest) -> None:
    queue = RememberingQueue()
    (bulk,) = load(house, queue, 1)
    mine = upload(house, queue, WHO, "handbook", "mine.md", b"# Mine\n\nI wait.\n")
    with house.store() as work:
        work.jobs.lease(mine.id, "another", 60)
        work.jobs.release(mine.id, "another", "disk_full: no space left", counted=False)
        work.commit()
    run_job(house, bulk.id, "worker")
    assert job_of(house, bulk.id).state is JobState.DONE
    assert job_of(house, mine.id).state is JobState.QUEUED


def test_the_same_file_asked_for_by_a_person_is_bulk_no_more(house: Attest) -> None:
    queue = RememberingQueue()
    (first, second) = load(house, queue, 2)
    data = documents(2)[second.name]
    assert upload(house, queue, WHO, "handbook", second.name, data).id == second.id
    with house.store() as work:
        assert work.jobs.due() == [second.id, first.id]
