"""One job, from stored bytes to a published version: the plain function under the Celery task.

    lease -> prepare (bytes, parse, examine, chunk) -> embed in batches -> publish

Small files of a bulk load share the batches of the encoder: they are prepared one after the other
until their chunks fill one, and each is published by itself (docs/adr/0014).

The files in an archive and the attachments of a mail are handed in by the same transaction, each as
a document with a job of its own.

Run twice or killed anywhere, it leaves the document indexed once or not at all: nothing but blobs
(which are the same bytes each time) is written before the one transaction that publishes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import monotonic

from ingestion.embed import BATCH, embed
from ingestion.lease import Heart, Lease, LeaseLost
from ingestion.prepare import Prepared, Read, prepare, prepared_again
from ingestion.publish import publish
from ingestion.sandbox import run_sandboxed
from rag.bootstrap import Attest
from rag.domain import Job, JobState
from rag.errors import (
    AttestError,
    BrokerUnavailable,
    EmbedderChanged,
    NotFound,
    Unavailable,
)
from rag.model_errors import model_errors
from rag.ports import Queue, UnitOfWork, Vectors

log = logging.getLogger(__name__)

Alone = Callable[[str, str], str]  # job and worker; how the process died, "" when it did not

HELD = 32 * 2**20  # bytes of prepared documents in memory, beyond which no other is added
WAIT = 5.0  # seconds after which what is prepared waits for no other


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
        _put_back(attest, job, worker, f"its process, in which it ran alone, {how}", counted=True)


def _taken(attest: Attest, named: str, worker: str) -> Job | None:
    """A job under lease; None when nothing is to be done."""
    while True:
        with attest.store() as work:
            first = work.jobs.first(named)
            job = work.jobs.lease(first, worker, attest.settings.lease_seconds)
            work.commit()
        if job is not None or first == named:  # else another worker was quicker
            return job


def attempt(
    attest: Attest,
    job: Job,
    worker: str,
    read: Read,
    queue: Queue | None,
    abandon: Callable[[], None] | None = None,
    together: int = 1,
) -> None:
    """One attempt at a job whose lease `worker` holds, and at up to `together` of a bulk load with
    it. Each ends by itself, whatever becomes of the others."""
    with Heart(attest.store, worker, attest.settings.lease_seconds, abandon) as heart:
        tried = _Attempt(attest, worker, heart, queue, together)
        tried.prepare(job, read)
        while tried.has_room() and (more := _next_bulk(attest, worker)) is not None:
            tried.prepare(more, read)
        tried.publish()
    if tried.surprises:
        raise tried.surprises[0]


def _next_bulk(attest: Attest, worker: str) -> Job | None:
    """None when there is no more, or somebody waits for a file; or the store is away."""
    try:
        with attest.store() as work:
            job = work.jobs.next_bulk(worker, attest.settings.lease_seconds)
            work.commit()
    except Unavailable as exc:
        log.warning("no further document is taken: %s", exc)
        return None
    return job


class _Attempt:
    """`surprises` are errors that nobody foresaw."""

    def __init__(
        self, attest: Attest, worker: str, heart: Heart, queue: Queue | None, together: int
    ) -> None:
        self._attest, self._worker, self._heart, self._queue = attest, worker, heart, queue
        self._together = together
        self._ready: list[Prepared] = []
        self._taken, self._began = 0, monotonic()
        self.surprises: list[Exception] = []

    def has_room(self) -> bool:
        """Whether another document may share the batch."""
        chunks = sum(len(each.chunks) for each in self._ready)
        held = sum(each.held for each in self._ready)
        soon = monotonic() - self._began < WAIT
        return self._taken < self._together and chunks < BATCH and held < HELD and soon

    def prepare(self, job: Job, read: Read) -> None:
        self._taken += 1
        lease = self._heart.lease(job.id)

        def act() -> None:
            self._ready.append(prepare(self._attest, job, lease, read))
            if self._together > 1:
                lease.show("waiting", 0.2)

        self._ended_well(job, lease, act)

    def publish(self) -> None:
        for document, vectors in self._embedded():
            self._publish(document, vectors)

    def _embedded(self) -> list[tuple[Prepared, Vectors | None]]:
        """Those of one embedder together. None: embedded by itself, so that an error meets only
        whose it is."""
        groups: dict[str, list[Prepared]] = {}
        for document in self._ready:
            groups.setdefault(document.embedder.identity, []).append(document)
        return [pair for group in groups.values() for pair in self._embedded_together(group)]

    def _embedded_together(self, group: list[Prepared]) -> list[tuple[Prepared, Vectors | None]]:
        if len(group) > 1:
            try:
                with model_errors():
                    return list(zip(group, embed(group), strict=True))
            except (AttestError, RuntimeError, ValueError, MemoryError) as exc:
                log.warning("%d documents could not be embedded together: %s", len(group), exc)
        return [(document, None) for document in group]

    def _publish(self, document: Prepared, vectors: Vectors | None) -> None:
        attest, job, lease = self._attest, document.job, document.lease

        def act() -> None:
            ready, own = document, vectors
            while True:
                try:
                    publish(attest, ready, embed([ready])[0] if own is None else own, self._worker)
                    break
                except EmbedderChanged as exc:
                    again = prepared_again(attest, ready)
                    if again is None:
                        raise
                    log.info("job %s (%s): embedded again: %s", job.id, job.name, exc)
                    ready, own = again, None
            if self._queue is not None:
                _send_inside(attest, job, self._queue)

        self._ended_well(job, lease, act)
        self._heart.let_go(lease)

    def _ended_well(self, job: Job, lease: Lease, act: Callable[[], None]) -> None:
        """Or what became of it is on record with the job."""
        attest, worker = self._attest, self._worker
        try:
            try:
                with model_errors():
                    act()
            except BaseException:
                self._heart.let_go(lease)
                raise
        except LeaseLost:
            log.info("job %s (%s): given up, the lease is lost", job.id, job.name)
        except Unavailable as exc:
            log.warning("job %s (%s): put back: %s", job.id, job.name, exc)
            _put_back(attest, job, worker, f"{exc.code}: {exc}", counted=False)
        except AttestError as exc:
            log.info("job %s (%s): failed: %s", job.id, job.name, exc)
            _fail(attest, job, worker, exc)
        except Exception as exc:  # noqa: BLE001  # raised once the others have ended
            _put_back(attest, job, worker, f"{type(exc).__name__}: {exc}", counted=True)
            self.surprises.append(exc)


def _send_inside(attest: Attest, job: Job, queue: Queue) -> None:
    """Hand what waits inside the document to the workers now; the sweep would, a little later."""
    with attest.store() as work:
        waiting = [each.id for each in work.jobs.inside(job.document) if _waits(each)]
    try:
        for id in waiting:
            queue.send(id)
    except BrokerUnavailable as exc:
        log.warning("%d files inside %s wait for the broker: %s", len(waiting), job.name, exc)


def _waits(job: Job) -> bool:
    return job.state is JobState.QUEUED


def _fail(attest: Attest, job: Job, worker: str, error: AttestError) -> None:
    _record(attest, job, lambda work: work.jobs.fail(job.id, worker, f"{error.code}: {error}"))


def _put_back(attest: Attest, job: Job, worker: str, why: str, *, counted: bool) -> None:
    _record(attest, job, lambda work: work.jobs.release(job.id, worker, why, counted=counted))


def _record(attest: Attest, job: Job, change: Callable[[UnitOfWork], None]) -> None:
    """Best effort: when the store cannot be reached, the lease runs out and the sweep sends the
    job again."""
    try:
        with attest.store() as work:
            change(work)
            work.commit()
    except Unavailable as again:
        log.warning("job %s (%s): its end is not on record: %s", job.id, job.name, again)
    except NotFound:
        log.info("job %s (%s): its collection is gone", job.id, job.name)
