"""What is made of weights before they can be used, kept on disk: made once, mapped as it lies
after that, and shared by the processes that map it. Rounding, quantising and merging would cost
seconds at every start; nothing that is kept depends on the processor.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import time

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

log = logging.getLogger(__name__)

FORMAT = 1
_KEPT = 2  # files of a kind: what one was made of may be replaced by another, and back
_LEFT = 3600  # seconds in which a file is written by all means
_PIECE = 2**22  # bytes

Tensors = dict[str, Tensor]


class Prepared:
    """Files `<kind>-<what it was made of>-<checksum>.safetensors` in a folder, the checksum that of
    the whole file; without a folder nothing is kept. A damaged file, or one of another format, is
    made again; where nothing can be written, what was made is used and lost."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    def tensors(self, kind: str, made_of: str, make: Callable[[], Tensors]) -> Tensors:
        """What `make` gives. `made_of` names all that it depends on, to the bit."""
        if self._folder is None:
            return make()
        named = hashlib.sha256(f"{FORMAT}\n{made_of}".encode()).hexdigest()
        stem = f"{kind}-{named[:32]}"
        found = _found(self._folder, stem)
        if found is not None:
            return found
        made = make()
        try:
            _keep(self._folder, kind, stem, made)
        except OSError as exc:
            log.warning("the prepared weights are not kept, so each start makes them: %s", exc)
            return made
        del made  # what is mapped takes its place
        return _found(self._folder, stem) or make()


def _found(folder: Path, stem: str) -> Tensors | None:
    for path in folder.glob(f"{stem}-*.safetensors"):
        try:
            if checksum(path) == path.stem.rpartition("-")[2]:
                with suppress(OSError):  # a folder that may only be read loses nothing either
                    os.utime(path)
                return load_file(path)
            log.warning("%s is damaged and made again", path)
        except (OSError, SafetensorError) as exc:
            log.warning("%s cannot be read and is made again: %s", path, exc)
    return None


def _keep(folder: Path, kind: str, stem: str, made: Tensors) -> None:
    """Whole or not at all; the oldest of its kind go, and what a killed process left."""
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f".{kind}-*"):
        if time() - left.stat().st_mtime > _LEFT:
            left.unlink(missing_ok=True)
    work = folder / f".{stem}-{os.getpid()}"
    try:
        try:
            save_file({name: t.contiguous() for name, t in made.items()}, work)
        except SafetensorError as exc:
            raise OSError(f"{work} cannot be written: {exc}") from exc
        path = folder / f"{stem}-{checksum(work)}.safetensors"
        for damaged in folder.glob(f"{stem}-*.safetensors"):
            damaged.unlink(missing_ok=True)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)
    of_kind = sorted(folder.glob(f"{kind}-*.safetensors"), key=lambda p: p.stat().st_mtime)
    for old in of_kind[:-_KEPT]:
        old.unlink(missing_ok=True)


def checksum(path: Path) -> str:
    """16 hex digits: the sum of the file's 64-bit words, each piece's multiplied by its number, so
    that pieces cannot change places. Against broken disks and half files, not against forgers: all
    of it is read at every start, so it has to be quick."""
    total, piece = 0, bytearray(_PIECE)
    with path.open("rb", buffering=0) as file:
        number = 1
        while count := file.readinto(piece):
            piece[count:] = bytes(_PIECE - count)
            own = int(np.frombuffer(piece, np.uint64).sum(dtype=np.uint64))
            total += number * (own + count)
            number += 1
    return f"{total % 2**64:016x}"
