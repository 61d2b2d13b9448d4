"""A job's last attempt: in a process of its own, watched, on a real data folder."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ingestion.alone import run_alone
from ingestion.pipeline import run_job
from ingestion.sandbox import run_sandboxed
from ingestion.uploads import upload
from rag.bootstrap import Attest
from rag.changes import cancel_job
from rag.domain import JobState
from tests.ingestion.house import WHO, RememberingQueue, indexed_names, job_of
from tests.ingestion.workers import quick_house

pytestmark = pytest.mark.slow

Interpreter = Callable[[str], None]


@pytest.fixture
def attest(tmp_path: Path, embedder: Path) -> Iterator[Attest]:
    with quick_house(tmp_path / "data", embedder, max_attempts=1) as house:
        yield house


@pytest.fixture
def interpreter(attest: Attest, monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """What every Python started from here does first."""

    def begin(program: str) -> None:
        folder = attest.settings.data / "first"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return begin


def test_the_last_attempt_is_made_by_another_process(attest: Attest) -> None:
    queue = RememberingQueue()
    ends = []

    def alone(job: str, worker: str) -> str:
        ends.append(run_alone(attest, job, worker))
        return ends[-1]

    for name, data in {"a.md": b"# Leave\n\nThirty days.\n", "b.pdf": b"%PDF-1"}.items():
        upload(attest, queue, WHO, "handbook", name, data)
    good, bad = queue.sent
    for job in queue.sent:
        run_job(attest, job, "watcher", run_sandboxed, queue, alone)
    assert ends == ["", ""]
    assert job_of(attest, good).state is JobState.DONE
    assert job_of(attest, bad).state is JobState.FAILED
    assert indexed_names(attest) == ["a.md"]


def leased(attest: Attest, seconds: float) -> str:
    """A job held by "watcher"."""
    job = upload(attest, RememberingQueue(), WHO, "handbook", "a.md", b"# Leave")
    with attest.store() as work:
        assert work.jobs.lease(job.id, "watcher", seconds)
        work.commit()
    return job.id


def test_how_it_was_killed_is_said(attest: Attest, interpreter: Interpreter) -> None:
    interpreter("import os; os.abort()")
    assert run_alone(attest, leased(attest, 60), "watcher") == "was killed by SIGABRT"


def test_the_lease_is_kept_while_it_starts(attest: Attest, interpreter: Interpreter) -> None:
    interpreter("import time; time.sleep(6); raise SystemExit(0)")
    job = leased(attest, attest.settings.lease_seconds)
    ended: list[str] = []
    watcher = threading.Thread(target=lambda: ended.append(run_alone(attest, job, "watcher")))
    watcher.start()
    time.sleep(1.5 * attest.settings.lease_seconds)
    with attest.store() as work:
        assert work.jobs.due() == []
    watcher.join()
    assert ended == [""]


def test_nobody_waits_for_a_cancelled_one(attest: Attest, interpreter: Interpreter) -> None:
    interpreter("import time; time.sleep(3600)")
    job = leased(attest, 60)
    cancel_job(attest.store, WHO, job)
    assert run_alone(attest, job, "watcher") == ""
    assert job_of(attest, job).state is JobState.CANCELLED
