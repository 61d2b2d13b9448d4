"""Jobs: how far an upload is."""

from __future__ import annotations

import logging
from typing import Annotated

from fastapi import APIRouter, Query

from rag import changes
from rag.api.access import Reader, Writer
from rag.api.parts import Here
from rag.domain import Job, JobState, Right
from rag.errors import BrokerUnavailable
from rag.reach import collection_for, job_for, jobs_for

log = logging.getLogger("attest.api")
router = APIRouter(tags=["jobs"])
States = Annotated[list[JobState], Query(default_factory=list)]


@router.get("/collections/{name}/jobs")
def jobs(name: str, who: Reader, here: Here, state: States) -> list[Job]:
    """Newest first; those of documents you may see."""
    with here.attest.store() as work:
        collection = collection_for(work, name, who, Right.READ)
        return jobs_for(work, collection, who, work.jobs.all(collection.id, state))


@router.get("/jobs/{id}")
def job(id: str, who: Reader, here: Here) -> Job:
    with here.attest.store() as work:
        return job_for(work, id, who, Right.READ)


@router.post("/jobs/{id}/retry")
def retry(id: str, who: Writer, here: Here) -> Job:
    """Try a failed, poisoned or cancelled job again. With the broker down the sweep sends it."""
    job = changes.retry_job(here.attest.store, who, id)
    try:
        here.queue.send(id)
    except BrokerUnavailable as exc:
        log.warning("job %s waits for the broker: %s", id, exc)
    return job


@router.post("/jobs/{id}/cancel")
def cancel(id: str, who: Writer, here: Here) -> Job:
    """Call off a waiting or running job; an older version of the document stays. A worker that has
    it stops at its next heartbeat."""
    return changes.cancel_job(here.attest.store, who, id)
