"""The scheduler has a worker purge what is deleted, without anybody asking for it."""

from __future__ import annotations

from pathlib import Path

from ingestion.broker import Broker
from ingestion.purge import due
from rag.ports import Removed
from tests.ingestion.workers import all_done, documents, hand_in, quick_house, running, wait_for


def test_what_is_deleted_goes_by_itself(tmp_path: Path, embedder: Path) -> None:
    with (
        quick_house(tmp_path / "data", embedder, purge_seconds=1.0) as attest,
        Broker(attest.settings),
    ):
        jobs = hand_in(attest, documents(2))
        with running(attest):
            wait_for(lambda: all_done(attest), "the documents")
            with attest.store() as work:
                work.documents.delete(jobs[0].document)
                work.commit()
            wait_for(lambda: due(attest) == Removed(), "the purge")
        with attest.store() as work:
            recorded = [each for each in work.audit.entries() if each.action == "purge document"]
        assert [(each.user, each.subject) for each in recorded] == [("scheduler", jobs[0].document)]
