"""The KV blocks that are kept: in memory, ready for use, and on disk, each under a budget of bytes.

Least recently used goes first, but nothing is displaced by what was asked for less often lately
(TinyLFU, arXiv 1512.00727), so that a run of passages nobody asks for again does not empty it.
What is here is derived: it may be lost at any time, and is never the reason that a question fails.
Knows keys and tensors; not how a block is computed or what its text says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import RLock

import torch

from models.block_file import Damaged, Precision, Stored, unpack
from models.block_folder import BARRED, BlockFolder, Clock
from models.block_journal import Entry
from models.block_key import BlockKey, Place, text_key
from models.block_memory import BlockMemory
from models.block_tier import Tier
from models.blocks import KVBlock
from models.frequency import FrequencySketch

log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds that a question waits to have a block kept

# Of the disk's budget, what blocks made ahead of use may fill. The rest is room for those of
# questions: while they find it, nothing that was asked for goes because of what never was.
AHEAD = 0.8


@dataclass(slots=True)
class BlockStats:
    """Counted since the store was opened, but for the last four, which are of now."""

    memory_hits: int = 0
    disk_hits: int = 0
    misses: int = 0
    fills: int = 0  # blocks that came in and were kept somewhere
    memory_evictions: int = 0
    disk_evictions: int = 0
    memory_entries: int = 0
    memory_bytes: int = 0
    disk_entries: int = 0
    disk_bytes: int = 0


class BlockStore:
    """Shared by threads, and its folder by processes (each counts only its own requests when it
    decides what to keep). `folder` None keeps blocks in memory only; so does a `disk_bytes` of 0,
    but then the folder's journal still says what was erased elsewhere. Tensors lie on `device` and
    must not be changed.

    An erased text is neither given out nor kept from the moment on that its erasure is in the
    journal, which is read before every answer; for ten minutes nobody keeps it anew.
    """

    def __init__(
        self,
        folder: Path | None,
        memory_bytes: int,
        disk_bytes: int,
        precision: Precision = "int8",
        *,
        device: torch.device | str = "cpu",
        clock: Clock = time.time,
    ) -> None:
        self._folder = None if folder is None else BlockFolder(folder, clock)
        self._precision, self._device, self._clock = precision, device, clock
        self._memory, self._disk = BlockMemory(memory_bytes), Tier(disk_bytes)
        self._readings: set[str] = set()
        self._barred: dict[str, float] = {}  # text -> until when
        self._asked = FrequencySketch()
        self._counts = BlockStats()
        self._complained = False
        self._lock = RLock()
        self._open()

    @property
    def precision(self) -> Precision:
        return self._precision

    def get(self, key: BlockKey) -> KVBlock | None:
        """None when it must be computed; then `put` it."""
        place = key.place
        with self._lock:
            self._follow()
            self._asked.count(":".join(place), self._entries())
            block = self._found(place)
            if block is None:
                self._counts.misses += 1
            return block

    def put(self, key: BlockKey, block: KVBlock) -> KVBlock:
        """The block as a later `get` returns it, whether or not there is room to keep it. When one
        of this key was kept meanwhile, that one."""
        place = key.place
        try:
            stored = Stored.of(block, self._precision)
        except ValueError as exc:
            self._complain(exc)
            return block
        rounded = stored.block(self._device)
        with self._lock:
            self._follow()
            held = self._found(place, counted=False)
            if held is not None:
                return held
            in_memory = self._remember(place, rounded)
            on_disk = self._save(place, stored)
            self._counts.fills += in_memory or on_disk
            self._follow()  # it may have been erased while it was written
        return rounded

    def lacks(self, key: BlockKey) -> bool:
        """Whether it is not on disk and could be kept there, if there is room. Not a request."""
        with self._lock:
            self._follow()
            known = key.place in self._disk or self._is_barred(key.text)
            return self._folder is not None and self._disk.budget > 0 and not known

    def add(self, key: BlockKey, block: KVBlock) -> bool:
        """Keep a block ahead of use, on disk only and where it displaces nothing. False when it is
        not there afterwards: no room, or its text was erased meanwhile."""
        place = key.place
        try:
            stored = Stored.of(block, self._precision)
        except ValueError as exc:
            self._complain(exc)
            return False
        with self._lock:
            self._follow()
            on_disk = self._save(place, stored, AHEAD)
            self._counts.fills += on_disk
            self._follow()  # it may have been erased while it was written
            return place in self._disk

    def rounded(self, block: KVBlock) -> KVBlock:
        """What `put` would return, without keeping it: for text that belongs to no live chunk."""
        try:
            return Stored.of(block, self._precision).block(self._device)
        except ValueError:
            return block

    def forget(self, texts: Iterable[str]) -> None:
        """Erase the blocks of these texts (as shown to the reader) in every reading and process.
        Raises StoreUnavailable when the folder cannot be written."""
        keys = {text_key(text) for text in texts}
        with self._lock:
            for key in keys:
                self._erased(Entry("erased", "-", key, int(self._clock())))
            if self._folder is not None:
                self._folder.forget_keys(keys)
                self._follow()

    def clear(self) -> None:
        """Lose every block, in memory and on disk. Raises OSError."""
        with self._lock:
            self._memory.clear()
            if self._folder is not None:
                self._folder.clear()
                self._follow()

    def stats(self) -> BlockStats:
        with self._lock:
            self._follow()
            memory, disk = self._memory.tier, self._disk
            return replace(
                self._counts,
                memory_evictions=self._memory.evictions,
                memory_entries=len(memory),
                memory_bytes=memory.bytes,
                disk_entries=len(disk),
                disk_bytes=disk.bytes,
            )

    # --- memory and disk ------------------------------------------------------------------------

    def _found(self, place: Place, counted: bool = True) -> KVBlock | None:
        block = self._memory.get(place)
        if block is not None:
            self._counts.memory_hits += counted
        else:
            block = self._read(place)
            if block is None:
                return None
            self._counts.disk_hits += counted
            self._remember(place, block)
        if self._folder is not None and place in self._disk:
            self._disk.use(place)
            self._folder.touch(place)
        return block

    def _read(self, place: Place) -> KVBlock | None:
        if self._folder is None or place not in self._disk or self._is_barred(place.text):
            return None
        try:
            stored = unpack(self._folder.read(place), place)
            if stored.precision == self._precision:
                return stored.block(self._device)
        except FileNotFoundError:  # evicted by another process, or by hand
            self._disk.drop(place)
            return None
        except OSError as exc:
            self._complain(exc)
            return None
        except Damaged as exc:
            log.warning("KV block %s is computed again: %s", place.text, exc)
        self._discard(place)  # of no use to anybody who keeps blocks like this store
        return None

    def _remember(self, place: Place, block: KVBlock) -> bool:
        if self._is_barred(place.text) or not self._memory.keep(place, block, self._frequency):
            return False
        self._readings.add(place.folder)
        return True

    def _save(self, place: Place, stored: Stored, ahead: float | None = None) -> bool:
        """Under the folder's lock, so that nothing is written that is being erased, and processes
        pass their budget neither alone nor together. Made `ahead` of use: within that share of the
        budget, in nobody's place."""
        if self._folder is None or not self._disk.budget:
            return False
        data = stored.pack(place)
        try:
            with self._folder.held(_PATIENCE):
                self._follow()
                if self._is_barred(place.text) or place in self._disk:
                    return place in self._disk
                if ahead is None:
                    leaving = self._disk.room(len(data), self._frequency(place), self._frequency)
                elif self._disk.bytes + len(data) <= ahead * self._disk.budget:
                    leaving = []
                else:
                    leaving = None
                if leaving is None:
                    return False
                self._evict(leaving)
                self._folder.write(place, data)
        except OSError as exc:
            self._complain(exc)
            return False
        self._disk.add(place, len(data))
        self._readings.add(place.folder)
        return True

    def _evict(self, leaving: Iterable[Place]) -> None:
        """Held."""
        if self._folder is None:
            return
        for each in leaving:
            self._folder.remove(each)
            self._disk.drop(each)
            self._counts.disk_evictions += 1

    def _discard(self, place: Place) -> None:
        self._disk.drop(place)
        if self._folder is not None:
            try:
                with self._folder.held(_PATIENCE):
                    self._folder.remove(place)
            except OSError as exc:
                self._complain(exc)

    def _entries(self) -> int:
        return max(len(self._memory.tier), len(self._disk))

    def _frequency(self, place: Place) -> int:
        return self._asked.estimate(":".join(place))

    # --- what other processes did ---------------------------------------------------------------

    def _open(self) -> None:
        if self._folder is None:
            return
        try:
            with self._folder.held():
                self._folder.sweep()
                self._follow()
                self._evict(self._disk.excess())
        except OSError as exc:
            self._complain(exc)

    def _follow(self) -> None:
        """Apply what the journal says since the last look; to a fresh scan too, as a file may come
        or go while that goes on. Where the journal cannot be read, memory may hold what was erased,
        so it is dropped."""
        if self._folder is None:
            return
        try:
            anew, entries = self._folder.journal.news()
            if anew:
                self._memory.clear()
                self._scan()
        except OSError as exc:
            self._complain(exc)
            self._memory.clear()
            return
        for entry in entries:
            if entry.kind == "erased":
                self._erased(entry)
            else:
                self._moved(entry)

    def _moved(self, entry: Entry) -> None:
        if entry.kind == "dropped":
            self._disk.drop(entry.place)
        elif entry.place not in self._disk:
            self._disk.add(entry.place, entry.number)
            self._readings.add(entry.folder)

    def _erased(self, entry: Entry) -> None:
        for reading in self._readings:
            place = Place(reading, entry.text)
            self._disk.drop(place)
            self._memory.drop(place)
        self._barred.pop(entry.text, None)
        self._barred[entry.text] = entry.number + BARRED  # the last to end stands last
        while self._barred and (first := next(iter(self._barred))) and not self._is_barred(first):
            del self._barred[first]

    def _is_barred(self, text: str) -> bool:
        return self._clock() < self._barred.get(text, 0.0)

    def _scan(self) -> None:
        self._disk.clear()
        if self._folder is not None:
            for place, size in self._folder.scan():
                self._disk.add(place, size)
                self._readings.add(place.folder)

    def _complain(self, exc: Exception) -> None:
        """Once: what is derived can do without, and a full disk would fill the log too."""
        if not self._complained:
            log.warning("KV blocks are not all kept: %s", exc)
            self._complained = True
