"""The folder of KV blocks on disk: `<folder>/<reading>/<aa>/<text sha256>.kv`, and its journal.
Knows bytes and names; not what is in a file, nor how much is too much. Imports no torch: `attest
delete` erases without loading it.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from models.block_journal import UNFINISHED, Entry, Journal
from models.block_key import Place, text_key
from models.errors import StoreUnavailable

log = logging.getLogger(__name__)

BARRED = 600.0  # seconds for which an erased text is not kept again: longer than a question runs
Clock = Callable[[], float]


class BlockFolder:
    """Any number of processes share one. A file is written once and whole: who reads it has all of
    it or none. Whoever changes the folder holds its lock. Methods raise OSError unless they say
    otherwise."""

    def __init__(self, path: Path, clock: Clock = time.time) -> None:
        self.path = path
        self.journal = Journal(path / "journal")
        self._clock = clock

    @contextmanager
    def held(self, patience: float = 10.0) -> Iterator[None]:
        """The folder, made if need be, with its journal, and to this thread alone; waits `patience`
        seconds for others."""
        self.path.mkdir(parents=True, exist_ok=True)
        with FileLock(self.path / "lock", timeout=patience):
            if not self.journal.exists():
                self.journal.begin()
            yield

    def record(self, *entries: Entry) -> None:
        """Write to the journal, or to a new one when it has grown too long; held."""
        if not self.journal.full():
            self.journal.append(entries)
            return
        barred = [entry for entry in self.journal.all() if self.bars(entry)]
        self.journal.begin([*barred, *entries])

    def bars(self, entry: Entry) -> bool:
        """Whether this says of a text that it must not be kept now: a question that was asked
        before its erasure may still be on its way, and would bring it back."""
        return entry.kind == "erased" and self._clock() < entry.number + BARRED

    # --- files ----------------------------------------------------------------------------------

    def read(self, place: Place) -> bytearray:
        with self._file(place).open("rb", buffering=0) as file:
            data = bytearray(os.fstat(file.fileno()).st_size)
            file.readinto(data)
        return data

    def write(self, place: Place, data: bytes) -> None:
        """Held. Not synced to the disk: a power cut costs a block, which its checksum tells."""
        self.record(Entry("kept", *place, len(data)))
        target = self._file(place)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=self.path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, target)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            with suppress(OSError):
                self.record(Entry("dropped", *place))
            raise

    def remove(self, place: Place) -> None:
        """Held."""
        self._file(place).unlink(missing_ok=True)
        self.record(Entry("dropped", *place))

    def touch(self, place: Place) -> None:
        """It was used now: after a restart the order of use is told by the files' times."""
        with suppress(OSError):
            os.utime(self._file(place))

    def scan(self) -> list[tuple[Place, int]]:
        """Every file with its size in bytes, the least recently used first."""
        found = []
        for path in self._files():
            with suppress(FileNotFoundError):
                stat = path.stat()
                place = Place(path.parent.parent.name, path.stem)
                found.append((stat.st_mtime_ns, place, stat.st_size))
        return [(place, size) for _, place, size in sorted(found)]

    def sweep(self) -> None:
        """Remove what killed writers left; held, so nobody is writing."""
        for path in self.path.glob(f"{UNFINISHED}*"):
            path.unlink(missing_ok=True)

    # --- erasing --------------------------------------------------------------------------------

    def keys(self) -> set[str]:
        """The `text_key` of every block on disk."""
        return {path.stem for path in self._files()}

    def forget(self, texts: Iterable[str]) -> None:
        """Erase the blocks of these texts in every reading, here and in the memory of every process
        that uses the folder. Raises StoreUnavailable when that cannot be promised."""
        self.forget_keys(text_key(text) for text in texts)

    def forget_keys(self, keys: Iterable[str]) -> None:
        """As `forget`, of texts named by their `text_key`."""
        erased = [Entry("erased", "-", key, int(self._clock())) for key in sorted(set(keys))]
        if not erased:
            return
        try:
            with self.held():
                self._erase(erased)
        except OSError as exc:
            raise StoreUnavailable(
                f"KV blocks of erased text could not be erased under {self.path}: {exc}. Make it "
                "writable, stop Attest and delete the folder; the blocks come back by themselves"
            ) from exc

    def clear(self) -> None:
        """Remove every block, in memory too."""
        with self.held():
            for path in list(self._files()):
                path.unlink(missing_ok=True)
            self.journal.begin(entry for entry in self.journal.all() if self.bars(entry))

    def _erase(self, erased: list[Entry]) -> None:
        """First the journal, so that nobody reads a file again once it is gone."""
        try:
            self.record(*erased)
        except OSError as exc:
            log.warning("the journal of KV blocks is begun anew: %s", exc)
            self._unlink(erased)  # which may free the space that it lacked
            self.journal.remove()  # every process drops what it has in memory
            self.journal.begin(erased)
        self._unlink(erased)

    def _unlink(self, erased: list[Entry]) -> None:
        readings = [path.name for path in self.path.iterdir() if path.is_dir()]
        for entry in erased:
            for reading in readings:
                self._file(Place(reading, entry.text)).unlink(missing_ok=True)

    def _file(self, place: Place) -> Path:
        return self.path / place.folder / place.text[:2] / f"{place.text}.kv"

    def _files(self) -> Iterator[Path]:
        hexes = "[0-9a-f]" * 2
        return self.path.glob(f"{'[0-9a-f]' * 32}/{hexes}/{'[0-9a-f]' * 64}.kv")
