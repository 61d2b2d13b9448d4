"""Documents: hand in, list, narrow the readers, delete."""

from __future__ import annotations

import errno
import json
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from ingestion.uploads import upload as hand_in
from rag import changes
from rag.api.access import Reader, Writer
from rag.api.parts import Here, Parts
from rag.domain import Copy, Document, Job, MetadataValue, Principal, Right
from rag.errors import BadInput, DiskFull, LimitExceeded
from rag.ports import UnitOfWork
from rag.reach import collection_for, copies_for, documents_for, listed_for
from rag.views import Shelf

router = APIRouter(tags=["documents"])


class Access(BaseModel):
    """`readers` narrows the collection's readers to these groups; null means all of them."""

    readers: list[str] | None = Field(default=None, max_length=1000)
    metadata: dict[str, MetadataValue] = Field(default={}, max_length=100)


class Options(Access):
    """`bulk`: one of many, to let those go first that a person waits for."""

    bulk: bool = False


class Deleted(BaseModel):
    """`generation`: from it on the document is gone."""

    generation: int


@router.get("/collections/{name}/documents")
def documents(name: str, who: Reader, here: Here) -> list[Shelf]:
    with here.attest.store() as work:
        collection = collection_for(work, name, who, Right.READ)
        newest: dict[str, Job] = {}
        for job in work.jobs.all(collection.id):
            newest.setdefault(job.document, job)
        copies = copies_for(work, collection, who)
        return [
            _shelf(work, document, newest.get(document.id), copies.get(document.id, ()))
            for document in documents_for(work, collection, who)
        ]


def _shelf(
    work: UnitOfWork, document: Document, job: Job | None, copies: tuple[Copy, ...]
) -> Shelf:
    version = work.documents.version(document.version) if document.version else None
    return Shelf(document, version, job, copies)


@router.post(
    "/collections/{name}/documents",
    status_code=202,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary"},
                            "name": {
                                "type": "string",
                                "description": "the document's name; default: the file's",
                            },
                            "options": {
                                "type": "string",
                                "description": 'JSON: {"readers": [group] | null, "metadata": {}, '
                                '"bulk": false}; bulk lets other uploads go first',
                            },
                        },
                    }
                }
            },
        }
    },
)
async def upload(name: str, request: Request, who: Writer, here: Here) -> Job:
    """Accepted means kept: the bytes and the job are committed before this answers. Ingestion
    follows; watch `GET /jobs/{id}`. New bytes for a known name replace that document."""
    await run_in_threadpool(_admit, here, name, who)
    form = await _form(request)
    try:
        return await run_in_threadpool(_take, here, name, who, form)
    finally:
        await form.close()


def _admit(here: Parts, name: str, who: Principal) -> None:
    """Before the body is read: who may not write need not send it."""
    with here.attest.store() as work:
        collection_for(work, name, who, Right.WRITE)


async def _form(request: Request) -> FormData:
    try:
        return await request.form(max_files=1, max_fields=4)
    except OSError as exc:
        if exc.errno == errno.ENOSPC:
            raise DiskFull("the disk is full, the upload was not taken; free some space") from exc
        raise


def _take(here: Parts, collection: str, who: Principal, form: FormData) -> Job:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise BadInput("the form needs a part named 'file' with the document's bytes")
    data = file.file.read()
    most = here.settings.max_upload_bytes
    if len(data) > most:
        raise LimitExceeded(f"the file has {len(data):,} bytes; at most {most:,} are taken")
    options = _options(form.get("options"))
    readers = None if options.readers is None else frozenset(options.readers)
    name = str(form.get("name", file.filename or ""))
    return hand_in(
        here.attest,
        here.queue,
        who,
        collection,
        name,
        data,
        readers=readers,
        metadata=options.metadata,
        bulk=options.bulk,
    )


def _options(options: Any) -> Options:
    try:
        return Options.model_validate(json.loads(str(options)) if options else {})
    except (ValueError, ValidationError) as exc:
        raise BadInput(f"'options' is not as described: {exc}") from exc


@router.get("/documents/{id}")
def document(id: str, who: Reader, here: Here) -> Shelf:
    with here.attest.store() as work:
        document = listed_for(work, id, who)
        jobs = (job for job in work.jobs.all(document.collection) if job.document == id)
        collection = work.collections.get(document.collection)
        copies = copies_for(work, collection, who, id).get(id, ())
        return _shelf(work, document, next(jobs, None), copies)


@router.delete("/documents/{id}")
def delete_document(id: str, who: Writer, here: Here) -> Deleted:
    """From the returned generation on no question sees it."""
    _, generation = changes.delete_document(here.attest.store, who, id)
    return Deleted(generation=generation)


@router.put("/documents/{id}/access")
def set_access(id: str, body: Access, who: Writer, here: Here) -> Document:
    readers = None if body.readers is None else frozenset(body.readers)
    return changes.set_access(here.attest.store, who, id, readers, body.metadata)
