"""Indexing again what is there: documents read anew from their stored bytes, or another embedder.
Each with its right checked and its audit entry; both ways in, the API and the command line, go
through here."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from rag.domain import Embedding, EmbeddingState, Principal, Right
from rag.errors import BrokerUnavailable
from rag.model_errors import model_errors
from rag.ports import Queue
from rag.reach import collection_for, document_for
from rag.views import Reindexing

if TYPE_CHECKING:
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)


def read_again(attest: Attest, queue: Queue, who: Principal, collection: str) -> list[str]:
    """Every document of a collection, by the parser and settings of now; the ids of the jobs.
    Questions read a document's old chunks until its new ones are committed. Raises
    UnknownCollection, NotPermitted."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        jobs = work.documents.reread(held.id)
        work.audit.add(who.user, "reindex collection", held.id, {"documents": len(jobs)})
        work.commit()
    _send(queue, jobs)
    return jobs


def read_document_again(attest: Attest, queue: Queue, who: Principal, id: str) -> list[str]:
    """One document and those inside it. Raises UnknownDocument, NotPermitted."""
    with attest.store() as work:
        collection, document = document_for(work, id, who, Right.WRITE)
        jobs = work.documents.reread(collection.id, document.id)
        work.audit.add(who.user, "reindex document", document.id, {"name": document.name})
        work.commit()
    _send(queue, jobs)
    return jobs


def embed_with(attest: Attest, who: Principal, collection: str, name: str) -> Embedding:
    """Have the vectors of a collection made by another embedder of the settings, beside those in
    use, and swapped in once all are there. Raises UnknownCollection, NotPermitted, BadInput for
    one that the settings do not name, ModelError, Conflict."""
    with attest.store() as work:
        collection_for(work, collection, who, Right.MANAGE)
    with model_errors():
        embedder = attest.embedders.named(name)
        identity, dimension = embedder.identity, embedder.dimension
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        begun = work.embeddings.begin(held.id, identity, dimension, who.user)
        work.audit.add(who.user, "change embedder", held.id, {"embedder": identity})
        work.commit()
    return begun


def cancel(attest: Attest, who: Principal, collection: str) -> int:
    """Call off what is being indexed again; how many documents and embedders that were. What is
    live stays. Raises UnknownCollection, NotPermitted."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        count = work.jobs.cancel_rereads(held.id, who.user)
        count += len(work.embeddings.drop(held.id, [EmbeddingState.BUILDING]))
        work.audit.add(who.user, "cancel reindexing", held.id, {"cancelled": count})
        work.commit()
    return count


def forget_former(attest: Attest, who: Principal, collection: str) -> list[Embedding]:
    """Remove the vectors of embedders that were replaced, now; there is no quick way back to them
    afterwards. Raises UnknownCollection, NotPermitted."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        states = [EmbeddingState.FORMER, EmbeddingState.LEAVING]
        gone = work.embeddings.drop(held.id, states)
        said = {"embedders": " ".join(each.embedder for each in gone)}
        work.audit.add(who.user, "forget vectors", held.id, said)
        work.commit()
    return gone


def standing(attest: Attest, who: Principal, collection: str) -> Reindexing:
    """How far it is. Raises UnknownCollection, NotPermitted."""
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.MANAGE)
        embeddings = work.embeddings.all(held.id)
        return Reindexing(tuple(embeddings), attest.embedders.names, work.jobs.rereading(held.id))


def _send(queue: Queue, jobs: list[str]) -> None:
    try:
        for job in jobs:
            queue.send(job)
    except BrokerUnavailable as exc:
        log.warning("%d jobs wait for the broker: %s", len(jobs), exc)
