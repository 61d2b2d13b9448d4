"""What a sync writes: each step one transaction, made only while the lease is held."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from ingestion.origins.place import Content, Entry
from ingestion.parse.dispatch import title_of
from ingestion.uploads import accepted, check_size, checked_name, send
from rag.changes import end_document
from rag.domain import Collection, Document, MetadataValue, Origin, OriginItem, Principal
from rag.errors import Conflict, UnknownDocument
from rag.ports import Queue, UnitOfWork

if TYPE_CHECKING:
    from rag.bootstrap import Attest


class LeaseLost(Exception):
    """Another sync has the origin, or it was removed: stop, and touch nothing."""


class Bringer:
    """`lost` holds, by sha256, what is no longer where it was: the same bytes under a new key are
    that document under another name. `renamed` is the old key of the last one found so."""

    def __init__(
        self,
        attest: Attest,
        queue: Queue,
        who: Principal,
        collection: Collection,
        origin: Origin,
        worker: str,
    ) -> None:
        self._attest, self._queue, self._who = attest, queue, who
        self._collection, self._origin, self._worker = collection, origin, worker
        self._seconds = attest.settings.lease_seconds
        self._beaten = time.monotonic()
        self.lost: dict[str, OriginItem] = {}
        self.renamed = ""

    def beat(self) -> None:
        """Keep the lease. Raises LeaseLost."""
        if time.monotonic() - self._beaten > self._seconds / 4:
            with self._attest.store() as work:
                self._hold(work)
                work.commit()
            self._beaten = time.monotonic()

    def name_of(self, entry: Entry) -> str:
        """Raises BadName."""
        return checked_name(self._origin.prefix + entry.name)

    def check_free(self, name: str, before: OriginItem | None) -> None:
        """Raises Conflict when the document of that name is not this item's: nothing that somebody
        else brought is ever replaced or deleted."""
        with self._attest.store() as work:
            self._check_free(work, name, before)

    def bring(self, entry: Entry, content: Content, before: OriginItem | None) -> str:
        """Whether it was new, changed, renamed or unchanged; the item is recorded. Raises BadName,
        EmptyDocument, LimitExceeded, Conflict, DiskFull, LeaseLost."""
        self.renamed = ""
        name = self.name_of(entry)
        check_size(content.data, name, self._attest.settings.max_upload_bytes)
        sha256 = hashlib.sha256(content.data).hexdigest()
        if before is not None and before.sha256 == sha256:
            kept = replace(before, mark=content.mark, error="", missing=False)
            self.record(kept)
            return "unchanged"
        item = OriginItem(entry.key, name, content.mark, sha256, None, "", False, _now())
        lost = self.lost.get(sha256) if before is None else None
        if lost is not None and self._rename(lost, item, entry):
            del self.lost[sha256]
            self.renamed = lost.key
            return "renamed"
        self._attest.blobs.put(content.data)
        with self._attest.store() as work:
            self._hold(work)
            self._check_free(work, name, before)
            given = self._metadata(entry)
            job = accepted(
                work,
                self._who,
                self._collection,
                name,
                sha256,
                len(content.data),
                self._origin.readers,
                given or None,
                bulk=True,
            )
            work.origins.put(self._origin.id, replace(item, document=job.document))
            if not self._attest.blobs.has(sha256):  # a purge was quicker
                self._attest.blobs.put(content.data)
            work.commit()
        send(self._queue, job)
        return "new" if before is None or not before.sha256 else "changed"

    def record(self, item: OriginItem) -> None:
        """Write down what was seen, and that it was now."""
        with self._attest.store() as work:
            self._hold(work)
            work.origins.put(self._origin.id, replace(item, seen=_now()))
            work.commit()

    def end(self, item: OriginItem) -> None:
        """Delete the item's document, unless somebody did, and forget the item."""
        with self._attest.store() as work:
            self._hold(work)
            document = live_document(work, self._collection, item)
            if document is not None:
                end_document(work, self._who, self._collection, document)
            work.origins.drop(self._origin.id, item.key)
            work.commit()

    def _rename(self, lost: OriginItem, item: OriginItem, entry: Entry) -> bool:
        """False when the document must be read anew under its new name."""
        with self._attest.store() as work:
            self._hold(work)
            document = live_document(work, self._collection, lost)
            if document is None or not _reads_the_same(work, document, item):
                return False
            work.documents.rename(document.id, item.name)
            if given := self._metadata(entry):
                work.documents.set_access(document.id, document.readers, given)
            work.origins.drop(self._origin.id, lost.key)
            work.origins.put(self._origin.id, replace(item, document=document.id))
            detail: dict[str, MetadataValue] = {"from": document.name, "name": item.name}
            detail["collection"] = self._collection.name
            work.audit.add(self._who.user, "rename document", document.id, detail)
            work.commit()
        return True

    def _metadata(self, entry: Entry) -> dict[str, MetadataValue]:
        return {**self._origin.metadata, **entry.metadata}

    def _hold(self, work: UnitOfWork) -> None:
        if not work.origins.hold(self._origin.id, self._worker, self._seconds):
            raise LeaseLost(self._origin.id)

    def _check_free(self, work: UnitOfWork, name: str, before: OriginItem | None) -> None:
        try:
            document = work.documents.named(self._collection.id, name)
        except UnknownDocument:
            return
        if before is None or before.document != document.id:
            raise Conflict(
                f"there is already a document named {name!r} that did not come from here; delete "
                "it, or give this source a prefix"
            )


def live_document(work: UnitOfWork, collection: Collection, item: OriginItem) -> Document | None:
    """The document that the item became, unless somebody deleted it."""
    if item.document is None:
        return None
    try:
        document = work.documents.get(item.document)
        named = work.documents.named(collection.id, document.name)
    except UnknownDocument:
        return None
    return document if named.id == document.id else None


def _reads_the_same(work: UnitOfWork, document: Document, item: OriginItem) -> bool:
    """Whether the live version would come out the same under the item's name: a name decides how
    plain text is read, and is the title of what has none."""
    if document.version is None:
        return False
    version = work.documents.version(document.version)
    old, new = title_of(document.name), title_of(item.name)
    suffixes = {PurePosixPath(name).suffix.lower() for name in (document.name, item.name)}
    titled = version.title not in (old, document.name)
    return version.sha256 == item.sha256 and len(suffixes) == 1 and (titled or old == new)


def _now() -> datetime:
    return datetime.now(UTC)
