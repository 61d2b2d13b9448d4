"""Documents whose chunks are embedded become visible, those of one batch in one transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeVar

from ingestion.lease import Lease, LeaseLost, wait
from ingestion.prepare import Prepared, version_of
from rag.bootstrap import Attest
from rag.domain import Job, MetadataValue
from rag.errors import Unavailable
from rag.ports import Enclosed, Publication, Vectors
from rag.resemblance import signature

log = logging.getLogger(__name__)

T = TypeVar("T")

PATIENCE = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds to wait for a store that is busy or away


def publish(attest: Attest, document: Prepared, vectors: Vectors, worker: str) -> None:
    """Raises LeaseLost, Conflict (EmbedderChanged among them), NotFound, Unavailable."""
    if not publish_all(attest, [(document, vectors)], worker):
        raise LeaseLost(document.job.id)


def publish_all(
    attest: Attest, batch: Sequence[tuple[Prepared, Vectors]], worker: str
) -> Collection[str]:
    """The documents, of one collection and embedder, all at once or none. Returns the ids of their
    jobs, without those whose lease was lost. Raises NotFound, Unavailable, Conflict
    (EmbedderChanged among them)."""
    held = [(document, vectors) for document, vectors in batch if not document.lease.lost]
    if not held:
        return ()
    for document, _ in held:
        document.lease.show("committing", 0.95)
    publications = {
        document.job.id: _publication(attest, document, vectors) for document, vectors in held
    }
    jobs = {document.job.id: document.job for document, _ in held}
    blobs = dict(
        named for document, _ in held for named in _blobs(document, publications[document.job.id])
    )

    def once() -> Mapping[str, int]:
        with attest.store() as work:
            generations = work.documents.publish_all(worker, publications)
            work.audit.add_all(
                "worker",
                "publish version",
                [
                    (jobs[id].document, _detail(jobs[id], publications[id], generation))
                    for id, generation in generations.items()
                ],
            )
            for sha256, data in blobs.items():
                if not attest.blobs.has(sha256):  # a purge was quicker; now none can be
                    attest.blobs.put(data)
            work.commit()
        return generations

    generations = _patiently([document.lease for document, _ in held], once)
    for document, _ in held:
        if (generation := generations.get(document.job.id)) is not None:
            _log(document, generation)
    return generations.keys()


def _detail(job: Job, publication: Publication, generation: int) -> dict[str, MetadataValue]:
    return {
        "name": job.name,
        "version": publication.version,
        "sha256": job.sha256,
        "job": job.id,
        "generation": str(generation),
    }


def _log(document: Prepared, generation: int) -> None:
    job, lease = document.job, document.lease
    lease.end_step()
    seconds = ", ".join(f"{step} {spent:.3f}" for step, spent in lease.spent.items())
    log.info("job %s (%s): generation %d; seconds: %s", job.id, job.name, generation, seconds)


def _publication(attest: Attest, document: Prepared, vectors: Vectors) -> Publication:
    """The finished version; its text and layout are stored here."""
    parsed, layout = document.outcome.parsed, document.outcome.layout

    def stored(data: bytes) -> str:
        return _patiently([document.lease], lambda: attest.blobs.put(data))

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


def _patiently(leases: Sequence[Lease], act: Callable[[], T]) -> T:
    """Try again while the store is busy, away or full; the leases are kept meanwhile. Raises
    LeaseLost once none is held any more."""
    for pause in PATIENCE:
        try:
            return act()
        except Unavailable as exc:
            log.warning("trying again in %.1f s: %s", pause, exc)
            wait(leases, pause)
    return act()
