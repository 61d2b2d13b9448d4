"""A job's last attempt: in a process of its own, watched, on a real data folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.alone import run_alone
from ingestion.pipeline import run_job
from ingestion.sandbox import run_sandboxed
from ingestion.uploads import upload
from rag.bootstrap import Attest
from rag.domain import JobState
from tests.ingestion.house import WHO, RememberingQueue, indexed_names, job_of
from tests.ingestion.workers import quick_house


@pytest.fixture
def attest(tmp_path: Path, embedder: Path) -> Iterator[Attest]:
    with quick_house(tmp_path / "data", embedder, max_attempts=1) as house:
        yield house


def test_the_last_attempt_is_made_by_another_process(
    attest: Attest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    queue = RememberingQueue()
    ends = []

    def alone(job: str, worker: str) -> str:
        ends.append(run_alone(attest.settings, job, worker))
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


def test_how_it_was_killed_is_said(attest: Attest, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = attest.settings.data / "deadly"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import os; os.abort()")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    assert run_alone(attest.settings, "a job", "watcher") == "was killed by SIGABRT"
