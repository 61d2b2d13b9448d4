"""Files of a bulk load share the batches of the encoder and a transaction, and nothing else."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ingestion.limits import Limits
from ingestion.pipeline import run_job
from ingestion.reader import Reader
from ingestion.sandbox import Outcome
from ingestion.uploads import upload
from models.fake import HashEmbedder
from rag.bootstrap import Attest
from rag.changes import cancel_job
from rag.domain import Job, JobState
from rag.ports import Vectors
from tests.ingestion.house import (
    WHO,
    RememberingQueue,
    indexed_names,
    job_of,
    make_collection,
    open_house,
)
from tests.ingestion.workers import documents

DONE, QUEUED, FAILED = JobState.DONE, JobState.QUEUED, JobState.FAILED


class Counting(HashEmbedder):
    """Remembers how many texts each call had; cannot embed a text with a word of `bad`."""

    def __init__(self, bad: str = "") -> None:
        super().__init__()
        self.calls: list[int] = []
        self.bad = bad

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.calls.append(len(texts))
        if self.bad and any(self.bad in text for text in texts):
            raise RuntimeError("out of memory")
        return super().embed(texts)


@pytest.fixture
def attest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Attest]:
    monkeypatch.setattr("ingestion.attempt.WAIT", 600.0)  # however busy the machine is
    house = open_house(tmp_path / "data", files_together=8, lease_seconds=1.0)
    make_collection(house)
    yield house
    house.close()


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    reading = Reader()
    yield reading
    reading.close()


def load(attest: Attest, files: dict[str, bytes]) -> list[Job]:
    queue = RememberingQueue()
    return [upload(attest, queue, WHO, "handbook", *each, bulk=True) for each in files.items()]


def states(attest: Attest, jobs: Sequence[Job]) -> list[JobState]:
    return [job_of(attest, job.id).state for job in jobs]


def test_one_message_embeds_many_at_once(attest: Attest, reader: Reader) -> None:
    attest.embedder = embedder = Counting()
    jobs = load(attest, documents(10))
    run_job(attest, jobs[0].id, "worker", reader)
    assert states(attest, jobs) == [DONE] * 8 + [QUEUED] * 2
    assert [job_of(attest, job.id).generation for job in jobs[:8]] == list(range(1, 9))
    assert len(embedder.calls) == 1
    run_job(attest, jobs[0].id, "worker", reader)  # its own message did others: what waits is done
    assert states(attest, jobs) == [DONE] * 10
    assert indexed_names(attest) == sorted(documents(10))
    with attest.store() as work:
        born = work.chunks.since(work.collections.named("handbook").id, 0).born
    expected = HashEmbedder().embed([row.text for row in born])
    assert all((row.vector == own).all() for row, own in zip(born, expected, strict=True))


def test_a_bad_file_fails_by_itself(attest: Attest, reader: Reader) -> None:
    files = documents(3)
    files = {"broken.pdf": b"%PDF-1.7 nothing", **files, "none.pdf": b"%PDF-1.7 either"}
    jobs = load(attest, files)
    run_job(attest, jobs[1].id, "worker", reader)
    assert states(attest, jobs) == [FAILED, DONE, DONE, DONE, FAILED]
    assert indexed_names(attest) == sorted(documents(3))


def test_what_cannot_be_embedded_holds_up_no_other(attest: Attest, reader: Reader) -> None:
    attest.embedder = embedder = Counting(bad="Cursed")
    jobs = load(attest, {**documents(2), "cursed.md": b"# Cursed\n\nRead me not.\n"})
    with pytest.raises(RuntimeError, match="out of memory"):
        run_job(attest, jobs[0].id, "worker", reader)
    assert states(attest, jobs) == [DONE, DONE, QUEUED]
    cursed = job_of(attest, jobs[2].id)
    assert (cursed.attempts, cursed.error) == (1, "RuntimeError: out of memory")
    embedder.bad = ""
    run_job(attest, cursed.id, "worker", reader)
    assert states(attest, jobs) == [DONE] * 3


def test_what_cannot_be_published_holds_up_no_other(attest: Attest, reader: Reader) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "A file inside, whose name is taken.")
    with attest.store() as work:  # by a document from elsewhere
        into = work.collections.named("handbook").id
        work.documents.accept(into, "bad.zip/a.txt", "0" * 64, 1)
        work.commit()
    with attest.store() as work:
        (taken,) = work.jobs.all(into)
        work.jobs.cancel(taken.id, WHO.user)
        work.commit()
    jobs = load(attest, {"bad.zip": packed.getvalue(), **documents(3)})
    run_job(attest, jobs[1].id, "worker", reader)
    assert states(attest, jobs) == [FAILED, DONE, DONE, DONE]
    assert "did not come from" in job_of(attest, jobs[0].id).error
    assert indexed_names(attest) == sorted(documents(3))
    with attest.store() as work:
        assert [e.action for e in work.audit.entries()].count("publish version") == 3


def test_somebody_who_waits_ends_the_gathering(attest: Attest, reader: Reader) -> None:
    jobs = load(attest, documents(5))
    mine: list[Job] = []

    def read(data: bytes, name: str, limits: Limits) -> Outcome:
        if name.endswith("001.md"):
            mine.append(upload(attest, RememberingQueue(), WHO, "handbook", "mine.md", b"I wait."))
            time.sleep(0.3)  # it looks for that four times a second
        return reader(data, name, limits)

    run_job(attest, jobs[0].id, "worker", read)
    assert states(attest, jobs) == [DONE] * 2 + [QUEUED] * 3
    assert [job_of(attest, job.id).attempts for job in jobs] == [1, 1, 0, 0, 0]
    run_job(attest, jobs[2].id, "worker", reader)
    assert job_of(attest, mine[0].id).generation == 3


def test_a_job_called_off_in_a_batch_is_not_published(attest: Attest, reader: Reader) -> None:
    jobs = load(attest, documents(3))
    abandoned: list[str] = []

    def read(data: bytes, name: str, limits: Limits) -> Outcome:
        if name.endswith("002.md"):
            cancel_job(attest.store, WHO, jobs[0].id)
            time.sleep(1.0)  # the heart beats
        return reader(data, name, limits)

    run_job(attest, jobs[0].id, "worker", read, abandon=lambda: abandoned.append("x"))
    assert states(attest, jobs) == [JobState.CANCELLED, DONE, DONE]
    assert abandoned == [], "the reading of another document was given up"


def test_all_leases_outlive_a_long_batch(attest: Attest, reader: Reader) -> None:
    begun = threading.Event()

    class Slow(HashEmbedder):
        def embed(self, texts: Sequence[str]) -> Vectors:
            begun.set()
            time.sleep(3.0)
            return super().embed(texts)

    attest.embedder = Slow()
    jobs = load(attest, documents(3))
    worker = threading.Thread(target=run_job, args=(attest, jobs[0].id, "slow", reader))
    worker.start()
    assert begun.wait(120)
    time.sleep(2.0)  # twice the lease
    with attest.store() as work:
        assert work.jobs.due() == []
    worker.join()
    assert [job_of(attest, job.id).attempts for job in jobs] == [1] * 3
    assert states(attest, jobs) == [DONE] * 3


KILLED = """
import os, signal, sys
from pathlib import Path
from ingestion import attempt, pipeline
from ingestion.reader import Reader
from models.fake import HashEmbedder
from rag.store.audit import SqlAudit
from tests.ingestion.house import open_house
attest = open_house(Path(sys.argv[1]), lease_seconds=1.0, files_together=8)
def killed(self, *arguments):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(*{"embedding": (HashEmbedder, "embed"), "committing": (SqlAudit, "add_all")}[sys.argv[3]],
        killed)
attempt.WAIT = 600.0
pipeline.run_job(attest, sys.argv[2], "killed", Reader())
"""


@pytest.mark.parametrize("step", ["embedding", "committing"])
def test_a_worker_killed_with_a_batch_loses_none_of_it(
    attest: Attest, reader: Reader, step: str
) -> None:
    jobs = load(attest, documents(4))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(attest.settings.data), jobs[0].id, step],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -9
    assert states(attest, jobs) == [JobState.RUNNING] * 4
    assert indexed_names(attest) == []
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with attest.store() as work:
            due = work.jobs.due()
        if len(due) == 4:
            break
        time.sleep(0.1)
    attest.embedder = embedder = Counting()
    for job in due:
        run_job(attest, job, "next", reader)
    assert states(attest, jobs) == [DONE] * 4
    assert len(embedder.calls) == 4, "what was tried before is tried by itself"
    assert indexed_names(attest) == sorted(documents(4))
