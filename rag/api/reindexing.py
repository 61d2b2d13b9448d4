"""Indexing again: documents read anew from their stored bytes, or another embedder."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from ingestion import reindex
from rag.api.access import Manager, Writer
from rag.api.parts import Here
from rag.views import Reindexing

router = APIRouter(tags=["reindexing"])


class Wanted(BaseModel):
    """`embedder`: one that the settings name, to take the place of the one in use; null: the
    documents are read again, by the parser and settings of now."""

    embedder: str | None = Field(default=None, max_length=1000)


class Queued(BaseModel):
    """The ids of the jobs."""

    jobs: list[str]


class Cancelled(BaseModel):
    """How many documents and embedders were called off."""

    cancelled: int


@router.get("/collections/{name}/reindex")
def reindexing(name: str, who: Manager, here: Here) -> Reindexing:
    return reindex.standing(here.attest, who, name)


@router.post("/collections/{name}/reindex", status_code=202)
def reindex_collection(name: str, body: Wanted, who: Manager, here: Here) -> Reindexing:
    """Nothing is uploaded again, and questions are answered from what is there until the new is
    committed: document by document, or, with an embedder, the whole collection at once."""
    if body.embedder is None:
        reindex.read_again(here.attest, here.queue, who, name)
    else:
        reindex.embed_with(here.attest, who, name, body.embedder)
    return reindex.standing(here.attest, who, name)


@router.delete("/collections/{name}/reindex")
def cancel_reindexing(name: str, who: Manager, here: Here) -> Cancelled:
    """What is live stays."""
    return Cancelled(cancelled=reindex.cancel(here.attest, who, name))


@router.delete("/collections/{name}/reindex/former")
def forget_former(name: str, who: Manager, here: Here) -> Reindexing:
    """Remove the vectors of embedders that were replaced before their time is over."""
    reindex.forget_former(here.attest, who, name)
    return reindex.standing(here.attest, who, name)


@router.post("/documents/{id}/reindex", status_code=202)
def reindex_document(id: str, who: Writer, here: Here) -> Queued:
    """The document and those inside it."""
    return Queued(jobs=reindex.read_document_again(here.attest, here.queue, who, id))
