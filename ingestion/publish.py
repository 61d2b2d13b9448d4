"""A document whose chunks are embedded becomes visible, in one transaction of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TypeVar

from ingestion.lease import Lease, LeaseLost
from ingestion.prepare import Prepared, version_of
from rag.bootstrap import Attest
from rag.errors import Conflict, EmbedderChanged, Unavailable
from rag.ports import Enclosed, Publication, Vectors
from rag.resemblance import signature

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds to wait for a store that is busy or away


def publish(attest: Attest, document: Prepared, vectors: Vectors, worker: str) -> None:
    """Raises LeaseLost, Conflict (EmbedderChanged among them), Unavailable."""
    job, lease = document.job, document.lease
    lease.report("committing", 0.95)
    publication = _publication(attest, document, vectors)
    blobs = dict(_blobs(document, publication))

    def once() -> int:
        with attest.store() as work:
            generation = work.documents.publish(job.id, worker, publication)
            detail = {"name": job.name, "version": publication.version, "sha256": job.sha256}
            detail |= {"job": job.id, "generation": str(generation)}
            for sha256, data in blobs.items():
                if not attest.blobs.has(sha256):  # a purge was quicker; now none can be
                    attest.blobs.put(data)
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


def _publication(attest: Attest, document: Prepared, vectors: Vectors) -> Publication:
    """The finished version; its text and layout are stored here."""
    parsed, layout = document.outcome.parsed, document.outcome.layout

    def stored(data: bytes) -> str:
        return _patiently(document.lease, lambda: attest.blobs.put(data))

    return Publication(
        version=version_of(document.job),
        media_type=parsed.media_type,
        title=parsed.title,
        size=document.size,
        pages=parsed.pages,
        text_blob=stored(parsed.text.encode()),
        layout_blob=None if layout is None else stored(layout),
        metadata=parsed.metadata,
        blocks=parsed.blocks,
        chunks=document.chunks,
        indexed=document.indexed,
        vectors=vectors,
        embedder=document.embedder.identity,
        members=[
            Enclosed(member.name, stored(member.data), len(member.data))
            for member in parsed.members
        ],
        findings=document.findings,
        signature=signature(parsed.text),
    )


def _blobs(document: Prepared, publication: Publication) -> Iterator[tuple[str, bytes]]:
    """What the publication names, besides the upload itself, which its job names."""
    parsed, layout = document.outcome.parsed, document.outcome.layout
    yield publication.text_blob, parsed.text.encode()
    if layout is not None and publication.layout_blob is not None:
        yield publication.layout_blob, layout
    for enclosed, member in zip(publication.members, parsed.members, strict=True):
        yield enclosed.sha256, member.data


def _patiently(lease: Lease, act: Callable[[], T]) -> T:
    """Try again while the store is busy, away or full; the lease is kept meanwhile."""
    for pause in PATIENCE:
        try:
            return act()
        except Unavailable as exc:
            log.warning("trying again in %.1f s: %s", pause, exc)
            lease.wait(pause)
    return act()
