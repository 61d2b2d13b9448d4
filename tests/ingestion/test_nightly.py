"""The nightly evaluation, fired by the clock: scheduler, broker and worker as processes."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ingestion.broker import Broker
from tests.eval.test_beir import write as write_beir
from tests.ingestion.workers import quick_house, running, wait_for

pytestmark = pytest.mark.slow


def test_the_schedule_runs_the_configured_evaluation(tmp_path: Path, embedder: Path) -> None:
    samples = write_beir(tmp_path / "towns")
    due = datetime.now() + timedelta(seconds=75)  # the next full minute with time to start
    at = due.strftime("%H:%M")
    house = quick_house(tmp_path / "data", embedder, nightly_samples=str(samples), nightly_at=at)
    with house as attest, Broker(attest.settings), running(attest):

        def stored() -> bool:
            with attest.store() as work:
                return bool(work.runs.recent(kind="retrieval"))

        wait_for(stored, "the run of the night")
    with attest.store() as work:
        (run,) = work.runs.recent(kind="retrieval")
    assert run.report["n"] > 0
