"""One job, from stored bytes to a published version: the plain function under the Celery task.

    lease -> prepare (bytes, parse, examine, chunk) -> embed in batches -> publish

Small files of a bulk load share the batches of the encoder: they are prepared one after the other
until their chunks fill one, and are published together (docs/adr/0014).

The files in an archive and the attachments of a mail are handed in by the same transaction, each as
a document with a job of its own.

Run twice or killed anywhere, it leaves the document indexed once or not at all: nothing but blobs
(which are the same bytes each time) is written before the one transaction that publishes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ingestion.attempt import attempt, put_back
from ingestion.prepare import Read
from ingestion.sandbox import run_sandboxed
from rag.bootstrap import Attest
from rag.domain import Job
from rag.ports import Queue

log = logging.getLogger(__name__)

Alone = Callable[[str, str], str]  # job and worker; how the process died, "" when it did not


def run_job(
    attest: Attest,
    job_id: str,
    worker: str,
    read: Read = run_sandboxed,
    queue: Queue | None = None,
    alone: Alone | None = None,
    abandon: Callable[[], None] | None = None,
) -> None:
    """Do the job, or one that goes before it (docs/adr/0012), if it is due and nobody else holds
    it; with one of a bulk load, those that fill a batch with it. `worker` names this attempt and no
    other. The jobs of files inside are sent to `queue` at once; without one the sweep sends them.
    `abandon` ends a `read` from another thread, once the job was cancelled or given to somebody
    else.

    The last attempt that a job has is made by `alone` (where given) in a process of its own: when
    that dies while this one lives, it is the document's doing. A worker that was killed with all it
    ran proves nothing against the documents it had (docs/adr/0011).

    A permanent error fails the job with "code: message"; a transient one puts it back in the
    queue, however often. An error nobody foresaw puts it back as a counted attempt and is raised.
    """
    job = _taken(attest, job_id, worker)
    if job is None:
        return
    if alone is None or job.attempts < attest.settings.max_attempts:
        shared = job.bulk and job.attempts == 1  # what was tried before is tried by itself
        together = attest.settings.files_together if shared else 1
        attempt(attest, job, worker, read, queue, abandon, together)
    elif how := alone(job.id, worker):
        log.error("job %s (%s): its process %s", job.id, job.name, how)
        put_back(attest, job, worker, f"its process, in which it ran alone, {how}", counted=True)


def _taken(attest: Attest, named: str, worker: str) -> Job | None:
    """A job under lease; None when nothing is to be done."""
    while True:
        with attest.store() as work:
            first = work.jobs.first(named)
            if first is None:
                return None
            job = work.jobs.lease(first, worker, attest.settings.lease_seconds)
            work.commit()
        if job is not None or first == named:  # else another worker was quicker
            return job
