"""One attempt at a job, and at those of a bulk load that fill a batch of the encoder with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import NoReturn

from ingestion.embed import BATCH, embed
from ingestion.lease import Heart, Lease, LeaseLost
from ingestion.prepare import Prepared, Read, Terms, prepare, prepared_again, terms_of
from ingestion.publish import publish, publish_all
from models.memory import give_back_memory
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

HELD = 32 * 2**20  # bytes of prepared documents in memory, beyond which no other is added
WAIT = 5.0  # seconds after which what is prepared waits for no other
TAKEN = 8  # jobs of a bulk load that are taken in one transaction
LOOK = 0.25  # seconds after which it is looked again whether somebody waits


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
        tried.prepare([job], read)
        while (room := tried.room()) and (more := _taken(attest, worker, min(room, TAKEN))):
            tried.prepare(more, read)
        tried.publish()
    give_back_memory()  # else it grows: no two batches have tensors of one size
    if tried.surprises:
        raise tried.surprises[0]


def _taken(attest: Attest, worker: str, most: int) -> list[Job]:
    """None when there is no more, or somebody waits for a file; or the store is away."""
    try:
        with attest.store() as work:
            jobs = work.jobs.take_bulk(worker, attest.settings.lease_seconds, most)
            work.commit()
    except Unavailable as exc:
        log.warning("no further document is taken: %s", exc)
        return []
    return jobs


class _Attempt:
    """`surprises` are errors that nobody foresaw."""

    def __init__(
        self, attest: Attest, worker: str, heart: Heart, queue: Queue | None, together: int
    ) -> None:
        self._attest, self._worker, self._heart, self._queue = attest, worker, heart, queue
        self._together = together
        self._ready: list[Prepared] = []
        self._tried, self._began, self._looked = 0, monotonic(), monotonic()
        self.surprises: list[Exception] = []

    def room(self) -> int:
        """How many further documents may share the batch."""
        chunks = sum(len(each.chunks) for each in self._ready)
        held = sum(each.held for each in self._ready)
        soon = monotonic() - self._began < WAIT
        return self._together - self._tried if chunks < BATCH and held < HELD and soon else 0

    def prepare(self, jobs: Sequence[Job], read: Read) -> None:
        """Those for which there is no room any more, or that somebody else goes before, are given
        back untried."""
        leases = [self._heart.lease(job.id) for job in jobs]
        terms: dict[str, Terms] = {}  # of this moment: what was taken later may be under others
        for at, (job, lease) in enumerate(zip(jobs, leases, strict=True)):
            if at and not (self.room() and self._nobody_waits()):
                for other in leases[at:]:
                    self._heart.let_go(other)
                _give_back(self._attest, jobs[at:], self._worker)
                break
            self._prepare(job, lease, read, terms)

    def _nobody_waits(self) -> bool:
        if monotonic() - self._looked < LOOK:
            return True
        self._looked = monotonic()
        try:
            with self._attest.store() as work:
                return not work.jobs.waited_for()
        except Unavailable as exc:
            log.warning("no further document is prepared: %s", exc)
            return False

    def _prepare(self, job: Job, lease: Lease, read: Read, terms: dict[str, Terms]) -> None:
        self._tried += 1

        def act() -> None:
            if job.collection not in terms:
                terms[job.collection] = terms_of(self._attest, job.collection)
            held = terms[job.collection]
            self._ready.append(prepare(self._attest, job, lease, read, held))
            if self._together > 1:
                lease.show("waiting", 0.2)

        self._ended_well(job, lease, act)

    def publish(self) -> None:
        """Those of one collection and embedder together."""
        groups: dict[tuple[str, str], list[Prepared]] = {}
        for document in self._ready:
            of = document.job.collection, document.embedder.identity
            groups.setdefault(of, []).append(document)
        for group in groups.values():
            vectors = self._embedded(group)
            if not vectors or not self._published(group, vectors):
                for at, document in enumerate(group):
                    self._publish(document, vectors[at] if vectors else None)

    def _embedded(self, group: list[Prepared]) -> list[Vectors]:
        """Empty where each is to be embedded by itself, so that an error meets only whose it is."""
        if len(group) > 1:
            try:
                with model_errors():
                    return embed(group)
            except (AttestError, RuntimeError, ValueError, MemoryError) as exc:
                log.warning("%d documents could not be embedded together: %s", len(group), exc)
        return []

    def _published(self, group: list[Prepared], vectors: list[Vectors]) -> bool:
        """False where each is to be published by itself, so that an error meets only whose it
        is."""
        try:
            batch = list(zip(group, vectors, strict=True))
            done = publish_all(self._attest, batch, self._worker)
        except Unavailable as exc:
            for document in group:
                self._end(document, partial(_raise, exc))
        except Exception as exc:  # noqa: BLE001  # it is met again by whose it is
            log.warning("%d documents could not be published together: %s", len(group), exc)
            return False
        else:
            for document in group:
                id = document.job.id
                lost = partial(_raise, LeaseLost(id))
                self._end(document, partial(self._send_inside, document) if id in done else lost)
        return True

    def _end(self, document: Prepared, act: Callable[[], None]) -> None:
        self._ended_well(document.job, document.lease, act)
        self._heart.let_go(document.lease)

    def _send_inside(self, document: Prepared) -> None:
        if self._queue is not None and document.outcome.parsed.members:
            _send_inside(self._attest, document.job, self._queue)

    def _publish(self, document: Prepared, vectors: Vectors | None) -> None:
        attest, job = self._attest, document.job

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
            self._send_inside(document)

        self._end(document, act)

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
            put_back(attest, job, worker, f"{exc.code}: {exc}", counted=False)
        except AttestError as exc:
            log.info("job %s (%s): failed: %s", job.id, job.name, exc)
            _fail(attest, job, worker, exc)
        except Exception as exc:  # noqa: BLE001  # raised once the others have ended
            put_back(attest, job, worker, f"{type(exc).__name__}: {exc}", counted=True)
            self.surprises.append(exc)


def _raise(error: Exception) -> NoReturn:
    raise error


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


def _give_back(attest: Attest, jobs: Sequence[Job], worker: str) -> None:
    """As if they had not been taken."""
    for job in jobs:
        put_back(attest, job, worker, "", counted=False)


def _fail(attest: Attest, job: Job, worker: str, error: AttestError) -> None:
    _record(attest, job, lambda work: work.jobs.fail(job.id, worker, f"{error.code}: {error}"))


def put_back(attest: Attest, job: Job, worker: str, why: str, *, counted: bool) -> None:
    """Into the queue, best effort."""
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
