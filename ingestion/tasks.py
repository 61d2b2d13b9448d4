"""The Celery tasks: thin shells over plain functions, carrying ids."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from ingestion.alone import run_alone
from ingestion.app import EMBED, INGEST, PURGE, SWEEP, SYNC, WARM
from ingestion.embedding import embed_due
from ingestion.origins.due import sync_due
from ingestion.pipeline import run_job
from ingestion.purge import purge_due
from ingestion.queue import CeleryQueue
from rag.errors import BrokerUnavailable

if TYPE_CHECKING:
    from celery import Celery

    from ingestion.worker_process import WorkerProcess
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)


def register(app: Celery, process: WorkerProcess) -> None:
    """Add the tasks to the application of a worker; each uses what `process` holds."""
    app.worker_process = process

    @app.task(name=INGEST)
    def ingest(job: str) -> None:
        queue = CeleryQueue(process.settings)
        alone = partial(run_alone, process.attest)
        reader = process.reader
        run_job(process.attest, job, process.attempt(), reader, queue, alone, reader.abandon)

    @app.task(name=SWEEP)
    def sweep() -> int:
        return send_due(process.attest, CeleryQueue(process.settings))

    @app.task(name=SYNC)
    def sync() -> int:
        return sync_due(process.attest, CeleryQueue(process.settings), process.attempt)

    @app.task(name=EMBED)
    def embed() -> None:
        if embed_due(process.attest, process.attempt):
            CeleryQueue(process.settings).send_embed()  # behind the documents; else by the timer

    @app.task(name=PURGE)
    def purge() -> None:
        if purge_due(process.attest):
            CeleryQueue(process.settings).send_purge()

    @app.task(name=WARM)
    def warm() -> str:
        return process.warming.run()


def attest_of(app: Celery) -> Attest:
    """The process's own Attest, for shared tasks of other packages (`celery.current_app`)."""
    attest: Attest = app.worker_process.attest
    return attest


def send_due(attest: Attest, queue: CeleryQueue) -> int:
    """Send the jobs that wait or whose worker died; returns how many. While the broker holds a
    message for each of them nothing is sent, so that a long queue does not grow at every sweep."""
    with attest.store() as work:
        due = work.jobs.due()
    try:
        if not due or queue.waiting() >= len(due):
            return 0
        for job in due:
            queue.send(job)
    except BrokerUnavailable as exc:
        log.warning("%d jobs wait for the broker: %s", len(due), exc)
        return 0
    log.info("%d jobs sent again", len(due))
    return len(due)
