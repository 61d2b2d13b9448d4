"""The same worker on a real RabbitMQ with quorum queues: killed in the middle, nothing is lost.

Needs Debian's rabbitmq-server, and root to run it as its own user; skipped on a laptop without,
a failure in CI.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.rabbitmq import RabbitMQ
from benchmarks.running import NotUp
from ingestion.queue import CeleryQueue
from rag.bootstrap import Attest
from tests.ingestion.house import indexed_names
from tests.ingestion.workers import (
    all_done,
    documents,
    hand_in,
    kill_a_worker,
    quick_house,
    running,
    wait_for,
)
from tests.servers import missing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rabbitmq() -> Iterator[RabbitMQ]:
    server = RabbitMQ()
    try:
        server.__enter__()
    except NotUp as exc:
        missing(str(exc))
    yield server
    server.__exit__(None, None, None)


@pytest.fixture
def attest(tmp_path: Path, embedder: Path, rabbitmq: RabbitMQ) -> Iterator[Attest]:
    with quick_house(tmp_path / "data", embedder, broker_url=rabbitmq.url) as house:
        yield house


def test_kill_9_on_quorum_queues_and_every_document_once(attest: Attest) -> None:
    files = documents(12, paragraphs=40)
    hand_in(attest, files)
    assert CeleryQueue(attest.settings).waiting() == len(files)
    kill_a_worker(attest, after=2)
    with running(attest):
        wait_for(lambda: all_done(attest), "all documents")
    assert indexed_names(attest) == sorted(files)


def test_a_killed_server_keeps_what_it_held(attest: Attest, rabbitmq: RabbitMQ) -> None:
    hand_in(attest, documents(3))
    before = CeleryQueue(attest.settings).waiting()
    rabbitmq.kill()
    assert not rabbitmq.answers()
    rabbitmq.start()
    assert before >= 3
    queue = CeleryQueue(attest.settings)
    wait_for(lambda: queue.waiting() == before, "the queue is read back from disk")
