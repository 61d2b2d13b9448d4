"""One sync of one origin: look, compare, and hand in only what changed.

    lease -> list -> read what is new or changed -> upload, or rename -> delete what is gone

Each item is one transaction: its job, its row here and its audit entry. So a sync that is killed
anywhere leaves every item either done or as it was, and the next one goes on from there. Whoever
lost the lease notices inside the next transaction and stops.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingestion.origins.bring import Bringer, LeaseLost
from ingestion.origins.opening import acting_for, open_place
from ingestion.origins.place import Entry, Gone, Listing, Place, Unchanged
from ingestion.origins.vanished import judge
from rag.domain import MetadataValue, Origin, OriginItem, Right
from rag.errors import (
    AttestError,
    Conflict,
    DiskFull,
    NotPermitted,
    OriginUnavailable,
    StoreUnavailable,
    Unavailable,
)
from rag.permit import require
from rag.ports import Queue

if TYPE_CHECKING:
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)

_NO_CHANGE = ("unchanged", "failed", "waiting")
PATIENCE = 10  # items that cannot be read, one after the other, before the place is given up


def sync(attest: Attest, queue: Queue, id: str, worker: str) -> Origin | None:
    """Do the sync that is due or was asked for; the origin afterwards, None when another has it.
    What goes wrong is told by the origin's `error`. `worker` names this attempt alone."""
    with attest.store() as work:
        origin = work.origins.lease(id, worker, attest.settings.lease_seconds)
        work.commit()
    if origin is None:
        return None
    run = _Sync(attest, queue, origin, worker)
    error = ""
    try:
        error = run.run()
    except LeaseLost:
        log.info("source %s: given up, the lease is lost", origin.name)
        return None
    except StoreUnavailable:
        raise  # nothing can be recorded; the lease runs out and the sync is done again
    except AttestError as exc:
        error = str(exc)
    return run.finish(error)


class _Sync:
    def __init__(self, attest: Attest, queue: Queue, origin: Origin, worker: str) -> None:
        self._attest, self._origin, self._worker = attest, origin, worker
        self._queue = queue
        self._until = time.monotonic() + attest.settings.source_seconds
        self._counts: dict[str, int] = {}
        self._held = origin.held
        self._cut = False  # time was up before everything was looked at
        self._unreadable = 0  # in a row

    def run(self) -> str:
        """Returns what the origin should say is wrong, "" for nothing."""
        with self._attest.store() as work:
            who = acting_for(work, self._origin)
            collection = work.collections.get(self._origin.collection)
            require(collection, who, Right.WRITE)
            known = {item.key: item for item in work.origins.items(self._origin.id)}
        bringer = Bringer(self._attest, self._queue, who, collection, self._origin, self._worker)
        with open_place(self._attest.settings, self._origin) as place:
            listing = place.listing()
            gone = self._visit(bringer, place, listing, known)
        if self._cut:
            return ""
        if listing.unread:
            return f"{listing.unread}; nothing was deleted"
        return self._end(bringer, known, gone)

    def finish(self, error: str) -> Origin | None:
        """Record how it went, and give the lease back; None when it was lost."""
        origin, changed = self._origin, _changes(self._counts)
        with self._attest.store() as work:
            if not work.origins.hold(origin.id, self._worker, 1.0):
                return None
            if self._cut and origin.confirmed:
                work.origins.ask(origin.id, confirmed=True)  # the deletions are still to come
            work.origins.finish(origin.id, self._worker, self._counts, self._held, error, self._cut)
            if changed or error != origin.error:
                detail: dict[str, MetadataValue] = {"name": origin.name, "error": error}
                detail |= {**changed, "held": self._held}
                work.audit.add(origin.user, "sync source", origin.id, detail)
            work.commit()
            log.info("source %s: %s%s", origin.name, self._counts, error and f"; {error}")
            return work.origins.get(origin.id)

    def _visit(
        self,
        bringer: Bringer,
        place: Place,
        listing: Listing,
        known: Mapping[str, OriginItem],
    ) -> set[str]:
        """Take what is listed. Returns the keys of what is not listed, or turned out to be gone,
        and was not found again under another."""
        there = listing.entries.keys() | listing.later
        gone = known.keys() - there
        if listing.later:
            self._counts["waiting"] = len(listing.later)
        bringer.lost = {known[key].sha256: known[key] for key in gone if known[key].sha256}
        for entry in sorted(listing.entries.values(), key=lambda each: _turn(each, known)):
            if time.monotonic() > self._until:
                self._cut = True
                break
            bringer.beat()
            before = known.get(entry.key)
            now = datetime.now(UTC)
            if before is not None and not before.missing and place.same(entry, before, now):
                self._count("failed" if before.error else "unchanged")
                continue
            try:
                what = self._take(bringer, place, entry, before)
            except Gone:
                gone |= {entry.key} & known.keys()
                continue
            self._count(what)
            if what == "renamed":
                gone.discard(bringer.renamed)
        return gone

    def _take(self, bringer: Bringer, place: Place, entry: Entry, before: OriginItem | None) -> str:
        """What was done. What is wrong with one item does not keep the others out; what is wrong
        with the place as a whole, or with us, ends the sync."""
        try:
            bringer.check_free(bringer.name_of(entry), before)
            found = place.read(entry, before.mark if before and before.sha256 else "")
            self._unreadable = 0
            if isinstance(found, Unchanged):
                assert before is not None, "there was a mark to compare with"
                bringer.record(replace(before, mark=found.mark, error="", missing=False))
                return "unchanged"
            return bringer.bring(entry, found, before)
        except (DiskFull, StoreUnavailable):
            raise
        except (Unavailable, NotPermitted, Conflict) as exc:  # may be mended elsewhere
            bringer.record(_failed(entry, before, str(exc), mark=""))
            self._unreadable += isinstance(exc, Unavailable)
            if self._unreadable == PATIENCE:
                raise OriginUnavailable(f"given up after {PATIENCE} in a row: {exc}") from exc
        except AttestError as exc:
            bringer.record(_failed(entry, before, str(exc), entry.mark))
        return "failed"

    def _end(self, bringer: Bringer, known: Mapping[str, OriginItem], gone: set[str]) -> str:
        """Delete the documents of what is gone, unless too much is; forget what was none."""
        for key in sorted(gone):
            if known[key].document is None:
                bringer.end(known[key])
        vanished = [known[key] for key in sorted(gone) if known[key].document is not None]
        documents = sum(item.document is not None for item in known.values())
        verdict = judge(vanished, documents, self._origin.confirmed)
        for item in verdict.delete:
            bringer.end(item)
            self._count("deleted")
        for item in verdict.hold:
            if not item.missing:
                bringer.record(replace(item, missing=True))
        self._held = len(verdict.hold)
        if not self._held:
            return ""
        return (
            f"what {self._held} of {documents} documents came from has vanished at once; none of "
            "them was deleted. If it is really gone, confirm it with the next sync"
        )

    def _count(self, what: str) -> None:
        self._counts[what] = self._counts.get(what, 0) + 1


def _changes(counts: Mapping[str, int]) -> dict[str, int]:
    """What is worth an entry in the audit log: not that a file is still the same, or still bad."""
    return {what: n for what, n in counts.items() if what not in _NO_CHANGE}


def _turn(entry: Entry, known: Mapping[str, OriginItem]) -> tuple[bool, datetime, str]:
    """New ones first, then those looked at longest ago: a sync whose time is up gets round in the
    end."""
    item = known.get(entry.key)
    return item is not None, item.seen if item else datetime.min.replace(tzinfo=UTC), entry.key


def _failed(entry: Entry, before: OriginItem | None, error: str, mark: str) -> OriginItem:
    """What was taken before stays; with a mark it is not tried again until that changes."""
    new = OriginItem(entry.key, entry.name, mark, "", None, error, False, datetime.now(UTC))
    return replace(before, mark=mark, error=error, missing=False) if before else new
