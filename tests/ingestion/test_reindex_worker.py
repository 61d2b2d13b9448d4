"""Another embedder through real workers, one of which is killed with all it runs."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ingestion import reindex
from ingestion.broker import Broker
from rag.bootstrap import Attest
from rag.domain import EmbeddingState, Leg
from tests.ingestion.house import WHO
from tests.ingestion.tiny_embedder import make_embedder
from tests.ingestion.workers import (
    all_done,
    documents,
    hand_in,
    quick_house,
    run,
    running,
    wait_for,
)

pytestmark = pytest.mark.slow


def test_a_killed_worker_is_followed_by_one_that_goes_on(tmp_path: Path, embedder: Path) -> None:
    other = make_embedder(tmp_path / "other", width=48)
    with (
        quick_house(tmp_path / "data", embedder, embedders=[str(other)]) as attest,
        Broker(attest.settings),
    ):
        hand_in(attest, documents(2, paragraphs=4000))
        with running(attest):
            wait_for(lambda: all_done(attest), "the documents")
        begun = reindex.embed_with(attest, WHO, "handbook", str(other))

        def counted() -> tuple[int, int]:
            with attest.store() as work:
                return work.embeddings.counted(begun.id)

        worker = run(attest, "worker")
        try:
            wait_for(lambda: counted()[0] > 0, "the first vectors")
        finally:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.process.wait()
        done, total = counted()
        assert 0 < done < total
        found = attest.answering.search(WHO, "handbook", "case 7", leg=Leg.DENSE, k=3)
        assert len(found) == 3, "answered by the old vectors meanwhile"

        with running(attest):
            wait_for(lambda: len(states(attest)) == 2, "the swap, and the old index gone")
        assert states(attest) == {EmbeddingState.CURRENT, EmbeddingState.FORMER}
        assert counted() == (total, total)
        searched = attest.searched(begun.collection)
        assert (searched.embedding.id, searched.embedder.dimension) == (begun.id, 48)
        assert len(attest.answering.search(WHO, "handbook", "case 7", leg=Leg.DENSE, k=3)) == 3


def states(attest: Attest) -> set[EmbeddingState]:
    """Of the embeddings, once nothing is on its way."""
    found = [e.state for e in reindex.standing(attest, WHO, "handbook").embeddings]
    ended = {EmbeddingState.CURRENT, EmbeddingState.FORMER}
    return set(found) if set(found) <= ended else set()
