"""Another embedder for a collection: its vectors are made beside those in use, then it is swapped
in whole.

    lease -> vectors of what has none, batch by batch -> complete -> its index is made -> swap
    -> the index of the one before goes; later, its vectors

Killed anywhere, the next worker goes on after the last batch that was committed. A worker gives it
up after some seconds and sends it to the end of the queue, so that documents do not wait.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Literal

from ingestion.lease import Heart, Lease, LeaseLost
from rag.domain import Embedding, EmbeddingState, MetadataValue
from rag.errors import AttestError, Conflict
from rag.model_errors import model_errors
from rag.ports import UnitOfWork

if TYPE_CHECKING:
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)

BATCH = 64  # chunks between two commits
SLICE = 20.0  # seconds of one turn
_REMOVED = 2_000  # vectors between two commits

End = Literal["more", "done", "failed", "lost"]


def embed_due(attest: Attest, attempt: Callable[[], str], seconds: float = SLICE) -> bool:
    """A turn at each embedding that is due; whether there is more to do at once. `attempt` names
    each attempt anew."""
    with attest.store() as work:
        due = work.embeddings.due(attest.settings.old_vectors_seconds)
    return "more" in [turn(attest, id, attempt(), seconds) for id in due]


def turn(attest: Attest, id: str, worker: str, seconds: float = SLICE) -> End:
    """Work at one for some seconds, but for one batch at least, and no longer than no person waits
    for a document. What goes wrong is written on it, and is tried again at the next turn."""
    with attest.store() as work:
        embedding = work.embeddings.lease(id, worker, attest.settings.lease_seconds)
        work.commit()
    if embedding is None:
        return "lost"
    error = ""
    end: End = "failed"
    try:
        with (
            model_errors(),
            Heart(attest.store, worker, attest.settings.lease_seconds, keep=_keep) as heart,
        ):
            lease = heart.lease(id)
            end = _STEPS[embedding.state](attest, embedding, worker, lease, seconds)
    except LeaseLost:
        log.info("embedding %s: given up, the lease is lost", id)
        return "lost"
    except Conflict as exc:
        log.info("embedding %s: given up: %s", id, exc)
        error = str(exc)
    except AttestError as exc:
        log.warning("embedding %s: put back: %s", id, exc)
        error = f"{exc.code}: {exc}"
    with attest.store() as work:
        work.embeddings.release(id, worker, error)
        work.commit()
    return end


def _keep(
    work: UnitOfWork, worker: str, seconds: float, shown: Mapping[str, tuple[str, float]]
) -> Collection[str]:
    beat = work.embeddings.heartbeat
    return [id for id, where in shown.items() if not beat(id, worker, seconds, *where)]


def _build(attest: Attest, embedding: Embedding, worker: str, lease: Lease, seconds: float) -> End:
    embedder = attest.embedders.of(embedding.embedder)
    with attest.store() as work:
        done, total = work.embeddings.counted(embedding.id)
    until = time.monotonic() + seconds
    while True:
        with attest.store() as work:
            chunks = work.embeddings.missing(embedding.id, BATCH)
        if not chunks and _swapped(attest, embedding, worker, lease):
            return "more"  # the index of the one before is to go
        if chunks:
            lease.report("embedding", 0.9 * done / max(total, done, 1))
            vectors = embedder.embed([chunk.indexed for chunk in chunks])
            with attest.store() as work:
                work.embeddings.put(embedding.id, worker, chunks, vectors)
                work.commit()
            done += len(chunks)
        with attest.store() as work:
            somebody_waits = work.jobs.waited_for()
        if somebody_waits or time.monotonic() > until:
            lease.still_held()  # shows how far it is
            return "more"


def _swapped(attest: Attest, embedding: Embedding, worker: str, lease: Lease) -> bool:
    """False when documents have come whose chunks have no vector yet."""
    from rag.search_engines import make_ready

    with attest.store() as work:
        complete = work.embeddings.complete(embedding.id, worker)
        work.commit()
    if not complete:
        return False
    lease.report("indexing", 0.9)
    dimension = attest.embedders.of(embedding.embedder).dimension
    make_ready(embedding.id, dimension, attest.settings, attest.store, attest.search_engine)
    lease.check()
    with attest.store() as work:
        generation = work.embeddings.swap(embedding.id, worker)
        if generation is not None:
            detail: dict[str, MetadataValue] = {
                "embedder": embedding.embedder,
                "generation": generation,
            }
            work.audit.add(embedding.user, "swap embedder", embedding.collection, detail)
        work.commit()
    if generation is not None:
        log.info("embedding %s: read from generation %d on", embedding.id, generation)
    return generation is not None


def _leave(attest: Attest, embedding: Embedding, worker: str, lease: Lease, seconds: float) -> End:
    """Its index holds texts that are deleted by now, or will be."""
    from rag.search_engines import forget

    forget(embedding.id, attest.settings, attest.store, attest.search_engine)
    with attest.store() as work:
        work.embeddings.left(embedding.id, worker)
        work.commit()
    return "done"


def _remove(attest: Attest, embedding: Embedding, worker: str, lease: Lease, seconds: float) -> End:
    from rag.search_engines import forget

    forget(embedding.id, attest.settings, attest.store, attest.search_engine)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        lease.check()
        with attest.store() as work:
            gone = work.embeddings.remove(embedding.id, worker, _REMOVED)
            work.commit()
        if gone:
            return "done"
    return "more"


_STEPS = {
    EmbeddingState.BUILDING: _build,
    EmbeddingState.LEAVING: _leave,
    EmbeddingState.DROPPED: _remove,
}
