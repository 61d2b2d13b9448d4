"""Removing for good what is deleted, at once, and what was replaced, once it is old enough.

    answers that rest on it -> what an engine on servers holds -> rows, batch by batch -> blobs
    -> snapshots made without it -> the room it took in the database

Killed anywhere, the next purge goes on: what is left is found by the rows and blobs themselves.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import TYPE_CHECKING

from rag.domain import MetadataValue
from rag.errors import Conflict, Unavailable
from rag.ports import Doomed, Removed

if TYPE_CHECKING:
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)

ROWS = 500  # of chunks between two commits
SLICE = 20.0  # seconds of one turn of a worker
_DOCUMENTS = 1_000  # that engines are told of at once
_BLOBS = 200  # between two commits
_STRAY = 86_400.0  # seconds after which a blob that nothing names was left by a killed upload
_PATIENCE = 5.0  # seconds for a reader that keeps the write-ahead log from being emptied

Progress = Callable[[Removed], None]


@dataclass(frozen=True, slots=True)
class Purged:
    """`finished`: there was time for everything. `settled`: the database's own files hold nothing
    of it any more; else a reader stood in the way, and the next purge sees to it."""

    removed: Removed
    finished: bool
    settled: bool


def purge(
    attest: Attest,
    user: str,
    *,
    seconds: float = float("inf"),
    thorough: bool = False,
    progress: Progress = lambda removed: None,
) -> Purged:
    """Work at it for so long. `thorough` looks for strays too, at every blob, vector and KV block.
    Raises Conflict while another purge runs, StoreUnavailable, IndexUnavailable."""
    turn = _Turn(attest, user, time.monotonic() + seconds, progress)
    try:
        with attest.store.alone("purge", 0.0):
            return turn.run(thorough)
    except TimeoutError as exc:
        raise Conflict("another purge is running; it sees to everything") from exc


def purge_due(attest: Attest, seconds: float = SLICE) -> bool:
    """A turn of a worker; whether there is more to do at once. What goes wrong is logged, and is
    tried again at the next turn."""
    try:
        return not purge(attest, "scheduler", seconds=seconds).finished
    except Conflict as exc:
        log.info("%s", exc)
    except Unavailable as exc:
        log.warning("the purge goes on later: %s", exc)
    return False


def due(attest: Attest) -> Removed:
    """What there is to remove now."""
    with attest.store() as work:
        found, blobs = work.purging.due(attest.settings.replaced_seconds)
    there = [size for size in map(attest.blobs.size, blobs) if size]
    return found + Removed(blobs=len(there), bytes=sum(there))


class _Turn:
    def __init__(self, attest: Attest, user: str, until: float, progress: Progress) -> None:
        self._attest = attest
        self._user = user
        self._until = until
        self._progress = progress
        self._removed = Removed()

    def run(self, thorough: bool) -> Purged:
        from rag.store.space import settle

        steps = [self._answers, self._documents, self._replaced, self._blobs]
        if thorough:
            steps += [self._strays]
        finished = all(step() for step in steps)
        if finished:
            self._snapshots()
        engine = self._attest.store.engine
        settled = settle(engine, vacuum=finished and bool(self._removed))
        patient = time.monotonic() + _PATIENCE
        while not settled and time.monotonic() < patient:
            time.sleep(0.1)
            settled = settle(engine, vacuum=False)
        if self._removed:
            with self._attest.store() as work:
                work.audit.add(self._user, "purge", "", dict(asdict(self._removed)))
                work.commit()
            log.info("purged: %s", self._removed)
        return Purged(self._removed, finished, settled)

    def _late(self) -> bool:
        self._progress(self._removed)
        return time.monotonic() > self._until

    def _add(self, removed: Removed) -> None:
        self._removed += removed

    def _answers(self) -> bool:
        while not self._late():
            with self._attest.store() as work:
                before = work.purging.answers(ROWS)
                work.commit()
            self._add(Removed(answers=before))
            if not before:
                return True
        return False

    def _documents(self) -> bool:
        told = False
        while not self._late():
            with self._attest.store() as work:
                doomed = work.purging.doomed(_DOCUMENTS)
                collections = [each.id for each in work.collections.all()]
            if doomed or not told:
                self._engines(collections, doomed)
                told = True
            if not doomed:
                return True
            if not all(self._document(each) for each in doomed):
                return False
        return False

    def _engines(self, collections: list[str], doomed: list[Doomed]) -> None:
        """What holds rows outside this process lets go of them first: once they have left the
        store, nothing would say which they were."""
        from rag.search_engines import leave_out

        attest, named = self._attest, defaultdict(list)
        for each in doomed:
            named[each.collection].append(each.document)
        if attest.search_engine is None:
            return
        for id in collections:
            with attest.store() as work:
                until = work.purging.cutoff(id, attest.settings.replaced_seconds)
                embeddings = work.embeddings.all(id)
            for embedding in embeddings:
                leave_out(embedding, named[id], until, attest.store, attest.search_engine)

    def _document(self, doomed: Doomed) -> bool:
        while not self._late():
            with self._attest.store() as work:
                removed, last = work.purging.document(doomed, ROWS)
                if last:
                    made = work.adapters.made_from(doomed.document)
                    detail: dict[str, MetadataValue] = {
                        "collection": doomed.collection,
                        "adapters": " ".join(each.name for each in made),
                    }
                    work.audit.add(self._user, "purge document", doomed.document, detail)
                work.commit()
            self._add(removed)
            if last:
                return True
        return False

    def _replaced(self) -> bool:
        with self._attest.store() as work:
            collections = [each.id for each in work.collections.all()]
        kept = self._attest.settings.replaced_seconds
        for id in collections:
            removed = Removed(chunks=1)
            while removed:
                if self._late():
                    return False
                with self._attest.store() as work:
                    removed = work.purging.replaced(id, kept, ROWS)
                    work.commit()
                self._add(removed)
        return True

    def _blobs(self) -> bool:
        while not self._late():
            with self._attest.store() as work:
                names, more = work.purging.unused(_BLOBS)
                self._unlink(names)
                work.commit()
            if not more:
                return True
        return False

    def _strays(self) -> bool:
        """What killed processes left: bytes of uploads that were never accepted, vectors of chunks
        that went while they were made, KV blocks of text that no live chunk shows."""
        from rag.kv_blocks import leftovers

        attest = self._attest
        names = attest.blobs.untouched(_STRAY)
        while some := list(islice(names, _BLOBS)):
            if self._late():
                return False
            with attest.store() as work:
                self._unlink(work.purging.strays(some))
                work.commit()
        vectors = Removed(vectors=1)
        while vectors:
            if self._late():
                return False
            with attest.store() as work:
                vectors = work.purging.loose_vectors(ROWS)
                work.commit()
            self._add(vectors)
        if left := leftovers(attest.store, attest.kv_blocks):
            attest.kv_blocks.forget_keys(left)
        return True

    def _unlink(self, names: list[str]) -> None:
        blobs = self._attest.blobs
        sizes = [size for size in map(blobs.size, names) if size]
        for name in names:
            blobs.delete(name)
        self._add(Removed(blobs=len(sizes), bytes=sum(sizes)))

    def _snapshots(self) -> None:
        from rag.search_engines import compact_snapshots, sweep_snapshots

        attest = self._attest
        if attest.search_engine is not None:
            return
        sweep_snapshots(attest.settings, attest.store)
        with attest.store() as work:
            collections = work.collections.all()
            embeddings = [each for held in collections for each in work.embeddings.all(held.id)]
        for embedding in embeddings:
            compact_snapshots(embedding, attest.settings, attest.store)
