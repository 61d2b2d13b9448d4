"""Taking a file in: checked, stored, recorded; then, and only then, sent to the workers."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from rag.domain import Collection, Job, JobState, MetadataValue, Principal, Right
from rag.errors import BadName, BrokerUnavailable, EmptyDocument, LimitExceeded
from rag.ports import Queue, UnitOfWork
from rag.reach import collection_for

if TYPE_CHECKING:
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)

LONGEST_NAME = 400


def upload(
    attest: Attest,
    queue: Queue,
    who: Principal,
    collection: str,
    name: str,
    data: bytes,
    readers: Iterable[str] | None = None,
    metadata: Mapping[str, MetadataValue] | None = None,
    *,
    bulk: bool = False,
) -> Job:
    """Accept `data` as the document `name` of a collection; with `bulk` (one of many that nobody
    sits waiting for) it lets single uploads go first. The job comes back queued, or done
    when these bytes are live already. With the broker down the upload is kept all the same: the
    sweep sends it later. Raises UnknownCollection, NotPermitted, BadName, EmptyDocument,
    LimitExceeded, DiskFull, StoreUnavailable."""
    name = checked_name(name)
    with attest.store() as work:
        collection_for(work, collection, who, Right.WRITE)
    check_size(data, name, attest.settings.max_upload_bytes)
    sha256 = attest.blobs.put(data)
    with attest.store() as work:
        held = collection_for(work, collection, who, Right.WRITE)
        allowed = None if readers is None else frozenset(readers)
        job = accepted(work, who, held, name, sha256, len(data), allowed, metadata, bulk=bulk)
        if not attest.blobs.has(sha256):  # a purge was quicker; now that it is named none can be
            attest.blobs.put(data)
        work.commit()
    send(queue, job)
    return job


def accepted(
    work: UnitOfWork,
    who: Principal,
    collection: Collection,
    name: str,
    sha256: str,
    size: int,
    readers: frozenset[str] | None,
    metadata: Mapping[str, MetadataValue] | None,
    *,
    bulk: bool,
) -> Job:
    """The job for bytes that are stored and were checked, with its entry in the audit log; the
    caller commits, and then sends it."""
    job = work.documents.accept(collection.id, name, sha256, size, readers, metadata, bulk=bulk)
    detail: dict[str, MetadataValue] = {"name": name, "sha256": sha256, "size": size}
    detail |= {"collection": collection.name, "job": job.id}
    if readers is not None:
        detail["readers"] = " ".join(sorted(readers))
    work.audit.add(who.user, "upload document", job.document, detail)
    return job


def checked_name(name: str) -> str:
    """`name` itself: a relative path with forward slashes. Raises BadName."""
    shown = ascii(name[:80])
    if not name.strip():
        raise BadName("a document needs a name")
    if len(name) > LONGEST_NAME:
        raise BadName(f"the name has {len(name)} characters; {LONGEST_NAME} are allowed: {shown}")
    if any(ord(c) < 32 or ord(c) == 127 or 0xD800 <= ord(c) <= 0xDFFF for c in name):
        raise BadName(f"the name holds control characters: {shown}")
    parts = name.split("/")
    if "\\" in name or name[1:2] == ":" or any(part in ("", ".", "..") for part in parts):
        raise BadName(
            f"the name must be a relative path such as folder/file.pdf, without '..': {shown}"
        )
    if any(part != part.strip() for part in parts):
        raise BadName(f"a part of the name begins or ends with a blank: {shown}")
    return name


def check_size(data: bytes, name: str, most: int) -> None:
    """Raises EmptyDocument, LimitExceeded."""
    if not data:
        raise EmptyDocument(f"{name} is empty (0 bytes)")
    if len(data) > most:
        raise LimitExceeded(
            f"{name} has {len(data):,} bytes; at most {most:,} are taken (max_upload_bytes)"
        )


def send(queue: Queue, job: Job) -> None:
    """Have a job that waits done. With the broker down the sweep sends it later."""
    if job.state is not JobState.QUEUED:
        return
    try:
        queue.send(job.id)
    except BrokerUnavailable as exc:
        log.warning("job %s (%s) waits for the broker: %s", job.id, job.name, exc)
