"""The snapshots of one collection, kept up beside the questions of one process."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from rag.errors import AttestError, Corrupt
from rag.index.building import build, of_the_truth, rows_of_the_truth
from rag.index.held import Held
from rag.index.sizes import Sizes
from rag.index.snapshot import Snapshot, drop, newest, newest_name, remove_all
from rag.index.working import sweep
from rag.ports import Store

log = logging.getLogger(__name__)

HISTORY = timedelta(hours=1)  # rows that ended within it stay when a snapshot is compacted
_LOOK = 1.0  # seconds between looks for what another process made
_REST = 600.0  # seconds after a snapshot could not be made
_COUNT = (
    60.0  # seconds between counts of what was purged; one takes a third of one at a million rows
)
_WAIT = 0.2


class Make(Protocol):
    """Makes snapshots of one collection."""

    def __call__(self, floor: int) -> None:
        """One without the rows that died up to `floor`. Returns when it is made, or another process
        is at it. Raises AttestError."""
        ...

    def stop(self) -> None:
        """End what it is at, and make no more."""
        ...


Adopt = Callable[[Snapshot], None]
Compact = Callable[[], object]


class Upkeep:
    """`adopt` puts a newer snapshot in place of what is held, `compact` leaves nothing of rows that
    are gone. One thread works at a time."""

    def __init__(
        self,
        store: Store,
        collection: str,
        folder: Path,
        dimension: int,
        sizes: Sizes,
        adopt: Adopt,
        compact: Compact,
        make: Make | None = None,
    ) -> None:
        self._store = store
        self._collection = collection
        self._folder = folder
        self._dimension = dimension
        self._sizes = sizes
        self._adopt = adopt
        self._leave_out = compact
        self._make = Here(store, collection, folder, dimension, sizes) if make is None else make
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        self._next_look = 0.0
        self._next_make = 0.0
        self._next_count = 0.0

    def first(self, born: int) -> Snapshot | None:
        """What a start begins with: the newest snapshot; made now, where reading `born` rows into
        memory would take more of it than it should. None: read them."""
        while True:
            snapshot = self._newest()
            if snapshot is not None or born < self._sizes.approximate:
                return snapshot
            self._make(self._settled())
            if not newest_name(self._folder):
                time.sleep(_WAIT)  # another process is at it

    def look(self, held: Held) -> None:
        """Begin in the background what should be done; returns at once."""
        now = time.monotonic()
        if now < self._next_look or not self._busy.acquire(blocking=False):
            return
        self._next_look = now + _LOOK
        newer = newest_name(self._folder) > held.name
        unread = held.snapshot is not None and not held.verified
        due = self._due(held) and now >= self._next_make
        count = now >= self._next_count
        if not (newer or unread or due or count):
            self._busy.release()
            return
        if count:
            self._next_count = now + _COUNT
        self._thread = threading.Thread(
            target=self._work,
            args=(held, due and not newer, count),
            name="index upkeep",
            daemon=True,
        )
        self._thread.start()

    def compact(self, generation: int) -> None:
        """Make a snapshot without any row that died up to `generation` and put it in place; then
        nothing of such rows is left on disk. Raises as `build`."""
        with self._busy:
            while True:
                self._make(generation)
                snapshot = self._newest()
                if snapshot is not None and snapshot.manifest.floor >= generation:
                    break
                time.sleep(_WAIT)  # another process was at an older one
            self._adopt(snapshot)

    def sweep(self, keep: Path | None) -> None:
        """Remove the working folders of every other searcher; they go on, and move to the newest
        snapshot at their next question."""
        sweep(self._folder, used=True, keep=keep)

    def forget(self) -> None:
        """Remove every snapshot."""
        remove_all(self._folder)

    def remove(self) -> None:
        """Leave nothing of a collection that was deleted."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """No more snapshots are made; what the background does now may fail."""
        self._make.stop()

    def wait(self) -> None:
        """Until the background is done with what it does now."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _due(self, held: Held) -> bool:
        base = held.dense.base
        if held.snapshot is None:
            return len(held.rows) >= self._sizes.snapshot
        tail = len(held.rows) - base
        ended = held.rows.ended - held.ended_before
        least = self._sizes.snapshot
        return tail >= max(least, self._sizes.tail_share * base) or ended >= max(
            least, self._sizes.dead_share * base
        )

    def _work(self, held: Held, make: bool, count: bool) -> None:
        try:
            purged = count and self._purged(held)
        except AttestError:  # the next question meets it as well
            purged = False
        if not purged:
            self._bring_up(held, make)
            return
        self._busy.release()
        log.info("rows of collection %s were purged; its index leaves them out", self._collection)
        try:
            self._leave_out()
        except (AttestError, OSError) as exc:
            log.warning("purged rows of collection %s are still indexed: %s", self._collection, exc)

    def _purged(self, held: Held) -> bool:
        """Whether the truth has fewer of the rows held than there are. Rows that are being added
        are left for the next count."""
        at, rows = held.generation, len(held.rows)
        left = rows_of_the_truth(self._store, self._collection, at, held.floor, held.mark)
        return left is not None and left < rows and (held.generation, len(held.rows)) == (at, rows)

    def _bring_up(self, held: Held, make: bool) -> None:
        try:
            if make:
                self._make(max(held.floor, self._settled()))
            snapshot = self._newest()
            if snapshot is not None and snapshot.folder.name > held.name:
                self._adopt(snapshot)
            elif held.snapshot is not None:
                self._verify(held, held.snapshot)
        except (AttestError, OSError) as exc:
            log.warning("the index of collection %s stays as it is: %s", self._collection, exc)
            self._next_make = time.monotonic() + _REST
        finally:
            self._busy.release()

    def _verify(self, held: Held, snapshot: Snapshot) -> None:
        """Damaged vectors or words only give wrong scores: questions go on until there are new
        ones."""
        try:
            snapshot.verify()
            held.verified = True
        except Corrupt as exc:
            if snapshot.folder.exists():  # else another process replaced it meanwhile
                drop(snapshot.folder, exc)
                self._make(max(held.floor, self._settled()))
                if (mended := self._newest()) is not None:
                    self._adopt(mended)

    def _newest(self) -> Snapshot | None:
        """The newest that is of this history of the collection."""
        while (snapshot := newest(self._folder, self._collection, self._dimension)) is not None:
            if of_the_truth(self._store, snapshot.manifest):
                return snapshot
            drop(snapshot.folder, "the database is of another history, or was purged")
        return None

    def _settled(self) -> int:
        with self._store() as work:
            return work.chunks.settled(self._collection, datetime.now(UTC) - HISTORY)


class Here:
    """Makes them in this process, where a build that has begun is not stopped."""

    def __init__(
        self, store: Store, collection: str, folder: Path, dimension: int, sizes: Sizes
    ) -> None:
        self._made_of = (store, collection, folder, dimension)
        self._sizes = sizes

    def __call__(self, floor: int) -> None:
        build(*self._made_of, floor, sizes=self._sizes)

    def stop(self) -> None:
        return None
