"""A data folder with its truth in SQLite, a collection, and a queue that only remembers."""

from __future__ import annotations

from pathlib import Path

from ingestion.pipeline import run_job
from models.fake import HashEmbedder
from rag.bootstrap import Attest, open_attest
from rag.domain import LOCAL_GROUP, LOCAL_USER, Job, Right
from rag.settings import Settings


class RememberingQueue:
    """The queue port without a broker."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def send(self, job: str) -> None:
        self.sent.append(job)


def open_house(folder: Path, **settings: object) -> Attest:
    attest = open_attest(Settings.model_validate({"data": folder, **settings}))
    attest.embedder = HashEmbedder()
    return attest


def make_collection(attest: Attest, name: str = "handbook") -> None:
    with attest.store() as work:
        work.collections.create(name, {LOCAL_GROUP: Right.MANAGE})
        work.commit()


def work_off(attest: Attest, queue: RememberingQueue) -> None:
    while queue.sent:
        run_job(attest, queue.sent.pop(0), "test-worker")


def job_of(attest: Attest, id: str) -> Job:
    with attest.store() as work:
        return work.jobs.get(id)


def indexed_names(attest: Attest, name: str = "handbook") -> list[str]:
    """The name of every live document, once for each live version's set of chunks."""
    with attest.store() as work:
        collection = work.collections.named(name)
        delta = work.chunks.since(collection.id, 0)
        live = {row.document for row in delta.born if row.died is None}
        ended = {number for number, _ in delta.died}
        spans = [
            (row.document, row.chunk)
            for row in delta.born
            if row.died is None and row.row not in ended
        ]
        assert len(spans) == len(set(spans)), "a chunk is indexed twice"
        return sorted(work.documents.get(document).name for document in live)


WHO = LOCAL_USER
