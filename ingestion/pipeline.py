"""One job, from stored bytes to a published version: the plain function under the Celery task.

    lease -> bytes -> parse in the sandbox -> examine -> chunk -> embed in batches -> publish

The files in an archive and the attachments of a mail are handed in by the same transaction, each as
a document with a job of its own.

Run twice or killed anywhere, it leaves the document indexed once or not at all: nothing but blobs
(which are the same bytes each time) is written before the one transaction that publishes.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ingestion.care.examine import examine
from ingestion.chunk import chunk, indexed_text
from ingestion.lease import Lease, LeaseLost
from ingestion.limits import Limits
from ingestion.sandbox import Outcome, limits_of, run_sandboxed
from rag.bootstrap import Attest
from rag.changes import personal_policy
from rag.domain import Chunk, Job, JobState, PersonalPolicy
from rag.errors import (
    AttestError,
    BrokerUnavailable,
    Conflict,
    EmbedderChanged,
    NotFound,
    Unavailable,
    UnreadableDocument,
)
from rag.model_errors import model_errors
from rag.ports import Embedder, Enclosed, Publication, Queue, Vectors
from rag.resemblance import signature

log = logging.getLogger(__name__)

Read = Callable[[bytes, str, Limits], Outcome]
Alone = Callable[[str, str], str]  # job and worker; how the process died, "" when it did not
T = TypeVar("T")

EMBED_BATCH = 64  # chunks between two reports of progress
PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds to wait for a store that is busy or away


def run_job(
    attest: Attest,
    job_id: str,
    worker: str,
    read: Read = run_sandboxed,
    queue: Queue | None = None,
    alone: Alone | None = None,
    abandon: Callable[[], None] | None = None,
) -> None:
    """Do the job, or one that goes before it (docs/adr/0009), if it is due and nobody else holds
    it. `worker` names this attempt and no other. The jobs of files inside are sent to `queue` at
    once; without one the sweep sends them. `abandon` ends a `read` from another thread, once the
    job was cancelled or given to somebody else.

    The last attempt that a job has is made by `alone` (where given) in a process of its own: when
    that dies while this one lives, it is the document's doing. A worker that was killed with all it
    ran proves nothing against the documents it had (docs/adr/0008).

    A permanent error fails the job with "code: message"; a transient one puts it back in the
    queue, however often. An error nobody foresaw puts it back as a counted attempt and is raised.
    """
    job = _taken(attest, job_id, worker)
    if job is None:
        return
    if alone is None or job.attempts < attest.settings.max_attempts:
        attempt(attest, job, worker, read, queue, abandon)
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
) -> None:
    """One attempt at a job whose lease `worker` holds."""
    try:
        with (
            model_errors(),
            Lease(attest.store, job.id, worker, attest.settings.lease_seconds, abandon) as lease,
        ):
            _make_searchable(attest, job, worker, lease, read)
        if queue is not None:
            _send_inside(attest, job, queue)
    except LeaseLost:
        log.info("job %s (%s): given up, the lease is lost", job.id, job.name)
    except Unavailable as exc:
        log.warning("job %s (%s): put back: %s", job.id, job.name, exc)
        _put_back(attest, job, worker, f"{exc.code}: {exc}", counted=False)
    except AttestError as exc:
        log.info("job %s (%s): failed: %s", job.id, job.name, exc)
        with attest.store() as work:
            work.jobs.fail(job.id, worker, f"{exc.code}: {exc}")
            work.commit()
    except Exception as exc:
        _put_back(attest, job, worker, f"{type(exc).__name__}: {exc}", counted=True)
        raise


def version_of(job: Job) -> str:
    """The id of the version a job makes: one for each job, the same in every attempt."""
    return hashlib.sha256(f"version:{job.id}".encode()).hexdigest()[:32]


def _make_searchable(attest: Attest, job: Job, worker: str, lease: Lease, read: Read) -> None:
    lease.report("parsing", 0.0)
    data = attest.blobs.get(job.sha256)
    try:
        outcome = read(data, job.name, limits_of(attest.settings))
    except UnreadableDocument:
        lease.check()  # a reading that was given up looks like a crash
        raise
    lease.report("examining", 0.1)
    examined = examine(outcome.parsed, _policy(attest, job))
    outcome = replace(outcome, parsed=examined.parsed)
    while True:
        embedder = _embedder(attest, job)
        publication = _publication(attest, job, outcome, len(data), embedder, lease)
        publication = replace(
            publication, findings=examined.findings, signature=signature(outcome.parsed.text)
        )
        try:
            _publish(attest, job, worker, publication, lease)
            return
        except EmbedderChanged as exc:
            if _embedder(attest, job).identity == embedder.identity:
                raise
            log.info("job %s (%s): embedded again: %s", job.id, job.name, exc)


def _embedder(attest: Attest, job: Job) -> Embedder:
    """Of the vectors that questions of its collection read now."""
    with attest.store() as work:
        identity = work.embeddings.current(job.collection).embedder
    return attest.embedders.of(identity)


def _policy(attest: Attest, job: Job) -> PersonalPolicy:
    with attest.store() as work:
        return personal_policy(work.collections.get(job.collection))


def _chunks(attest: Attest, job: Job, outcome: Outcome, embedder: Embedder) -> list[Chunk]:
    parsed = outcome.parsed
    return chunk(
        parsed.text,
        parsed.blocks,
        version_of(job),
        parsed.title,
        embedder.count_tokens,
        attest.settings.chunk_tokens,
        embedder.max_tokens,
        attest.settings.chunk_overlap_tokens,
    )


def _embed(embedder: Embedder, texts: Sequence[str], lease: Lease) -> Vectors:
    """(len(texts), dimension) float32, with progress from 0.2 to 0.95."""
    lease.report("embedding", 0.2)
    batches = []
    for start in range(0, len(texts), EMBED_BATCH):
        batches.append(embedder.embed(texts[start : start + EMBED_BATCH]))
        done = min(start + EMBED_BATCH, len(texts)) / len(texts)
        lease.report("embedding", 0.2 + 0.75 * done)
    if not batches:
        return np.empty((0, embedder.dimension), dtype=np.float32)
    return np.concatenate(batches)


def _publication(
    attest: Attest,
    job: Job,
    outcome: Outcome,
    size: int,
    embedder: Embedder,
    lease: Lease,
) -> Publication:
    """The finished version; its text and layout are stored here."""
    lease.report("chunking", 0.15)
    parsed, layout = outcome.parsed, outcome.layout
    chunks = _chunks(attest, job, outcome, embedder)
    indexed = [indexed_text(parsed.title, each) for each in chunks]
    vectors = _embed(embedder, indexed, lease)
    lease.report("committing", 0.95)
    blobs = attest.blobs
    return Publication(
        version=version_of(job),
        media_type=parsed.media_type,
        title=parsed.title,
        size=size,
        pages=parsed.pages,
        text_blob=_patiently(lease, lambda: blobs.put(parsed.text.encode())),
        layout_blob=None if layout is None else _patiently(lease, lambda: blobs.put(layout)),
        metadata=parsed.metadata,
        blocks=parsed.blocks,
        chunks=chunks,
        indexed=indexed,
        vectors=vectors,
        embedder=embedder.identity,
        members=[
            Enclosed(member.name, _stored(attest, member.data, lease), len(member.data))
            for member in parsed.members
        ],
    )


def _stored(attest: Attest, data: bytes, lease: Lease) -> str:
    return _patiently(lease, lambda: attest.blobs.put(data))


def _publish(attest: Attest, job: Job, worker: str, publication: Publication, lease: Lease) -> None:
    def once() -> int:
        with attest.store() as work:
            generation = work.documents.publish(job.id, worker, publication)
            detail = {"name": job.name, "version": publication.version, "sha256": job.sha256}
            detail |= {"job": job.id, "generation": str(generation)}
            work.audit.add("worker", "publish version", job.document, detail)
            work.commit()
        return generation

    try:
        generation = _patiently(lease, once)
    except EmbedderChanged:
        raise
    except Conflict as exc:
        if lease.still_held():  # then it is not the lease that is in the way
            raise
        raise LeaseLost(job.id) from exc
    lease.end_step()
    seconds = ", ".join(f"{step} {spent:.3f}" for step, spent in lease.spent.items())
    log.info("job %s (%s): generation %d; seconds: %s", job.id, job.name, generation, seconds)


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


def _patiently(lease: Lease, act: Callable[[], T]) -> T:
    """Try again while the store is busy, away or full; the lease is kept meanwhile."""
    for pause in PATIENCE:
        try:
            return act()
        except Unavailable as exc:
            log.warning("trying again in %.1f s: %s", pause, exc)
            lease.wait(pause)
    return act()


def _put_back(attest: Attest, job: Job, worker: str, why: str, *, counted: bool) -> None:
    """Best effort: when the store cannot be reached, the lease runs out and the sweep sends the
    job again."""
    try:
        with attest.store() as work:
            work.jobs.release(job.id, worker, why, counted=counted)
            work.commit()
    except Unavailable as again:
        log.warning("job %s (%s): could not be put back: %s", job.id, job.name, again)
    except NotFound:
        log.info("job %s (%s): its collection is gone", job.id, job.name)
