"""The nightly evaluation, fired by the clock: scheduler, broker and worker as processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingestion.broker import Broker
from ingestion.running import worker_running
from tests.eval.test_beir import write as write_beir
from tests.ingestion.workers import part, quick_house, wait_for

pytestmark = pytest.mark.slow


def test_the_schedule_runs_the_configured_evaluation(tmp_path: Path, embedder: Path) -> None:
    samples = write_beir(tmp_path / "towns")
    house = quick_house(tmp_path / "data", embedder, nightly_samples=str(samples))
    with house as attest, Broker(attest.settings), part(attest, "worker"):
        wait_for(lambda: worker_running(attest.settings), "the worker")
        due = datetime.now() + timedelta(seconds=90)  # the full minute before: time to start
        at = due.strftime("%H:%M")

        def stored() -> bool:
            with attest.store() as work:
                return bool(work.runs.recent(kind="retrieval"))

        with part(attest, "scheduler", ATTEST_NIGHTLY_AT=at):
            wait_for(stored, "the run of the night")
    with attest.store() as work:
        (run,) = work.runs.recent(kind="retrieval")
    assert run.report["n"] > 0
