"""Jobs: how far an upload is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from rag.api.access import Reader, Writer
from rag.api.collections import permitted
from rag.api.documents import document_for
from rag.api.parts import Here
from rag.domain import Job, JobState, MetadataValue, Principal, Right
from rag.errors import NotFound
from rag.permit import may_read
from rag.ports import UnitOfWork, readable

router = APIRouter(tags=["jobs"])


def _job_for(work: UnitOfWork, id: str, who: Principal, right: Right) -> Job:
    try:
        job = work.jobs.get(id)
        document_for(work, job.document, who, right)
    except NotFound as exc:
        raise NotFound(f"there is no job {id!r}") from exc
    return job


@router.get("/collections/{name}/jobs")
def jobs(
    name: str,
    who: Reader,
    here: Here,
    state: Annotated[list[JobState], Query()] = [],  # noqa: B006
) -> list[Job]:
    """Newest first; those of documents you may see."""
    with here.attest.store() as work:
        collection = permitted(work, name, who, Right.READ)
        everything = readable(collection, who) is Right.MANAGE
        seen = {
            document.id
            for document in work.documents.all(collection.id)
            if may_read(collection, document, who)
        }
        found = work.jobs.all(collection.id, state)
        return [job for job in found if everything or job.document in seen]


@router.get("/jobs/{id}")
def job(id: str, who: Reader, here: Here) -> Job:
    with here.attest.store() as work:
        return _job_for(work, id, who, Right.READ)


@router.post("/jobs/{id}/retry")
def retry(id: str, who: Writer, here: Here) -> Job:
    """Try a failed or poisoned job again."""
    with here.attest.store() as work:
        _job_for(work, id, who, Right.WRITE)
        job = work.jobs.retry(id)
        detail: dict[str, MetadataValue] = {"name": job.name}
        work.audit.add(who.user, "retry job", id, detail)
        work.commit()
    here.queue.send(id)
    return job
