"""One job: published once, whatever happens on the way."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingestion.limits import Limits
from ingestion.pipeline import run_job
from ingestion.prepare import version_of
from ingestion.sandbox import Outcome, run_sandboxed
from ingestion.uploads import upload
from models.fake import HashEmbedder
from rag.bootstrap import Attest
from rag.domain import JobState
from rag.errors import DiskFull
from rag.ports import Vectors
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    indexed_names,
    job_of,
    make_collection,
    open_house,
    work_off,
)
from tests.ingestion.making import pdf, prose

GUIDE = b"# Leave\n\nEmployees have 27 days of paid leave a year.\n\n# Pay\n\nOn the 25th.\n"


@pytest.fixture
def attest(tmp_path: Path) -> Iterator[Attest]:
    opened = open_house(tmp_path / "data", lease_seconds=1.0, max_attempts=2)
    make_collection(opened)
    yield opened
    opened.close()


@pytest.fixture
def queue() -> RememberingQueue:
    return RememberingQueue()


def test_from_bytes_to_a_generation(attest: Attest, queue: RememberingQueue) -> None:
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    work_off(attest, queue)
    done = job_of(attest, job.id)
    assert (done.state, done.generation, done.progress) == (JobState.DONE, 1, 1.0)
    assert done.version == version_of(job)
    with attest.store() as work:
        version = work.documents.version(done.version)
        text = attest.blobs.get(version.text_blob).decode()
        blocks = work.documents.blocks(done.version)
        delta = work.chunks.since(done.collection, 0)
        actions = [entry.action for entry in work.audit.entries()]
    assert version.title == "Leave"
    assert text[blocks[0].start : blocks[0].end] == "Leave"
    assert len(delta.born) == version.chunks > 0
    assert "27 days of paid leave" in delta.born[0].text
    assert "publish version" in actions


def test_the_log_says_where_the_time_went(
    attest: Attest, queue: RememberingQueue, caplog: pytest.LogCaptureFixture
) -> None:
    upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    with caplog.at_level("INFO", logger="ingestion.publish"):
        work_off(attest, queue)
    (line,) = [record.getMessage() for record in caplog.records]
    told = line.partition("generation 1; seconds: ")[2].split(", ")
    assert [each.split()[0] for each in told] == [
        "parsing",
        "examining",
        "chunking",
        "embedding",
        "committing",
    ]
    assert all(float(each.split()[1]) >= 0 for each in told)


def test_pdf_layout_is_stored(attest: Attest, queue: RememberingQueue) -> None:
    job = upload(attest, queue, WHO, "handbook", "a.pdf", pdf(prose(["Pay comes on time."])))
    work_off(attest, queue)
    version = job_of(attest, job.id).version
    assert version is not None
    (box,) = attest.boxes(version, 0, 3)
    assert box.page == 1


def test_the_same_bytes_are_one_version(attest: Attest, queue: RememberingQueue) -> None:
    first = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    assert upload(attest, queue, WHO, "handbook", "guide.md", GUIDE).id == first.id
    work_off(attest, queue)
    again = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    assert (again.state, again.version) == (JobState.DONE, job_of(attest, first.id).version)
    assert queue.sent == []


def test_delivered_twice_is_done_once(attest: Attest, queue: RememberingQueue) -> None:
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    workers = [
        threading.Thread(target=run_job, args=(attest, job.id, f"worker {n}")) for n in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    run_job(attest, job.id, "worker late")
    assert job_of(attest, job.id).generation == 1
    assert job_of(attest, job.id).attempts == 1
    assert indexed_names(attest) == ["guide.md"]


def test_new_bytes_replace_in_one_generation(attest: Attest, queue: RememberingQueue) -> None:
    upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    work_off(attest, queue)
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE.replace(b"27", b"30"))
    work_off(attest, queue)
    with attest.store() as work:
        delta = work.chunks.since(job.collection, 1)
        assert delta.generation == 2
        live = [row.text for row in delta.born if row.born == 2]
        assert {died for _, died in delta.died} == {2}
    assert any("30 days" in text for text in live)
    assert not any("27 days" in text for text in live)


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.txt", b"  \n ", "empty_document: "),
        ("a.pdf", b"%PDF-1.4 cut", "unreadable_document: "),
        ("a.docx", b"\x00\x01\x02" * 100, "unsupported_type: "),
        ("a.pdf", pdf([]), "empty_document: "),
    ],
)
def test_bad_files_fail_with_a_reason(
    attest: Attest, queue: RememberingQueue, name: str, data: bytes, error: str
) -> None:
    job = upload(attest, queue, WHO, "handbook", name, data)
    work_off(attest, queue)
    failed = job_of(attest, job.id)
    assert failed.state is JobState.FAILED
    assert failed.error.startswith(error)


def test_a_bad_replacement_leaves_the_old_version(attest: Attest, queue: RememberingQueue) -> None:
    upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    work_off(attest, queue)
    upload(attest, queue, WHO, "handbook", "guide.md", b"\x7fELF" + bytes(500))
    work_off(attest, queue)
    assert indexed_names(attest) == ["guide.md"]


def test_a_full_disk_puts_the_job_back(
    attest: Attest, queue: RememberingQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)

    def full(data: bytes) -> str:
        raise DiskFull("no space left")

    monkeypatch.setattr("ingestion.publish.PATIENCE", (0.01,))
    with monkeypatch.context() as patched:
        patched.setattr(attest.blobs, "put", full)
        work_off(attest, queue)
        for _ in range(5):  # however long it lasts, it is not the document's fault
            run_job(attest, job.id, "w")
    waiting = job_of(attest, job.id)
    assert (waiting.state, waiting.error) == (JobState.QUEUED, "disk_full: no space left")
    run_job(attest, job.id, "next")
    assert job_of(attest, job.id).state is JobState.DONE


def test_a_surprise_is_raised_and_the_job_goes_back(
    attest: Attest, queue: RememberingQueue
) -> None:
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)

    def broken(data: bytes, name: str, limits: Limits) -> Outcome:
        raise ZeroDivisionError("oops")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            run_job(attest, job.id, "w", broken)
    run_job(attest, job.id, "w", broken)
    poisoned = job_of(attest, job.id)
    assert poisoned.state is JobState.POISONED
    assert "oops" in poisoned.error


class SlowEmbedder(HashEmbedder):
    """Takes longer than the lease; tells when it has begun."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.begun = threading.Event()

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.begun.set()
        time.sleep(self.seconds)
        return super().embed(texts)


def test_the_lease_outlives_a_long_step(attest: Attest, queue: RememberingQueue) -> None:
    attest.embedder = slow = SlowEmbedder(3.0)
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    worker = threading.Thread(target=run_job, args=(attest, job.id, "slow"))
    worker.start()
    assert slow.begun.wait(60)
    time.sleep(2.0)  # twice the lease
    with attest.store() as work:
        assert work.jobs.due() == []
        running = work.jobs.get(job.id)
    assert (running.state, running.step) == (JobState.RUNNING, "embedding")
    run_job(attest, job.id, "other")
    worker.join()
    done = job_of(attest, job.id)
    assert (done.state, done.attempts, done.generation) == (JobState.DONE, 1, 1)


def test_a_document_deleted_meanwhile_is_not_published(
    attest: Attest, queue: RememberingQueue
) -> None:
    attest.embedder = slow = SlowEmbedder(2.0)
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    worker = threading.Thread(target=run_job, args=(attest, job.id, "slow"))
    worker.start()
    assert slow.begun.wait(60)
    with attest.store() as work:
        work.documents.delete(job.document)
        work.commit()
    worker.join()
    assert job_of(attest, job.id).state is JobState.FAILED
    assert indexed_names(attest) == []


def test_an_embedder_that_the_settings_no_longer_name_fails_the_job(
    attest: Attest, queue: RememberingQueue
) -> None:
    upload(attest, queue, WHO, "handbook", "a.txt", b"Hello there.")
    work_off(attest, queue)
    attest.embedder = HashEmbedder(dimension=32)
    job = upload(attest, queue, WHO, "handbook", "b.txt", b"Hello again.")
    work_off(attest, queue)
    assert job_of(attest, job.id).error.startswith(
        "model_error: the collection was embedded by hash"
    )


KILLED = """
import os, signal, sys
from pathlib import Path
from ingestion.pipeline import run_job
from tests.ingestion.house import open_house
attest = open_house(Path(sys.argv[1]), lease_seconds=1.0, max_attempts=2)
class Killer(type(attest.embedder)):
    def embed(self, texts):
        os.kill(os.getpid(), signal.SIGKILL)
attest.embedder = Killer()
run_job(attest, sys.argv[2], "killed")
"""


def killed_worker(attest: Attest, job: str) -> None:
    """A worker dies in the middle of the job, and its lease runs out."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(attest.settings.data), job],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -9
    until = time.monotonic() + 30
    while job not in _due(attest) and time.monotonic() < until:
        time.sleep(0.1)


def test_a_document_that_kills_its_worker_is_poisoned(
    attest: Attest, queue: RememberingQueue
) -> None:
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    killed_worker(attest, job.id)
    alone = []

    def killed_alone(job: str, worker: str) -> str:
        alone.append(job)
        return "was killed by SIGSEGV"

    for _ in range(2):
        run_job(attest, job.id, "watcher", run_sandboxed, queue, killed_alone)
    poisoned = job_of(attest, job.id)
    assert (poisoned.state, poisoned.attempts) == (JobState.POISONED, 2)
    assert poisoned.error.endswith("its process, in which it ran alone, was killed by SIGSEGV")
    assert (alone, _due(attest)) == ([job.id], [])
    with attest.store() as work:
        work.jobs.retry(job.id)
        work.commit()
    run_job(attest, job.id, "next", run_sandboxed)
    assert indexed_names(attest) == ["guide.md"]


def test_workers_killed_by_others_do_not_poison_a_document(
    attest: Attest, queue: RememberingQueue
) -> None:
    job = upload(attest, queue, WHO, "handbook", "guide.md", GUIDE)
    for _ in range(attest.settings.max_attempts + 1):
        killed_worker(attest, job.id)
    run_job(attest, job.id, "next")
    done = job_of(attest, job.id)
    assert (done.state, done.attempts) == (JobState.DONE, 4)


def _due(attest: Attest) -> list[str]:
    with attest.store() as work:
        return work.jobs.due()
