"""A collection's index in files, so that a searcher starts in seconds. Derived: delete it freely.

    <folder>/<generation>-<name>/   one snapshot
        manifest.json               written last; without it the rest does not count
        *.npy values.json           the row table
        vectors.f32                 the rows' vectors, float32
        lists.ivf                   the approximate index, where there is one
        words/                      tantivy's segments
        shown.u64 ends.npy          what a reader is shown of each row (`rag.index.row_words`)

Checked before anything is read: the format, every file's size, and the sha256 of each file whose
bytes steer what is done (columns, lists, postings). Vectors and shown words are most of the bytes
and can only be compared, so they are checked in the background by `verify`, and the start need not
wait.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Set
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rag.errors import Corrupt, DiskFull
from rag.index.terms import form

log = logging.getLogger(__name__)

FORMAT = 3
MANIFEST, VECTORS, LISTS, WORDS = "manifest.json", "vectors.f32", "lists.ivf", "words"
SHOWN, ENDS = "shown.u64", "ends.npy"
_LATER = {VECTORS, SHOWN}


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows that died up to `floor` are left out. `mark` is the truth's at `generation`. `lists`,
    `probes` and `recall` tell of the approximate index; 0, 0 and 1 without one. `seconds` is how
    long it took to make."""

    collection: str
    generation: int
    floor: int
    mark: str
    form: str
    dimension: int
    rows: int
    lists: int
    probes: int
    recall: float
    seconds: float
    files: dict[str, tuple[int, str]]  # path in the folder -> bytes, sha256

    @property
    def bytes(self) -> int:
        return sum(size for size, _ in self.files.values())


@dataclass(frozen=True, slots=True)
class Snapshot:
    folder: Path
    manifest: Manifest

    def verify(self) -> None:
        """What `newest` left out. Raises Corrupt."""
        _check(self.folder, self.manifest, _LATER)


def newest(folder: Path, collection: str, dimension: int) -> Snapshot | None:
    """The newest one that is whole, checked; what cannot be used is dropped with a warning."""
    for path in sorted(finished(folder), reverse=True):
        try:
            manifest = _read(path)
            if (manifest.collection, manifest.dimension) != (collection, dimension):
                raise Corrupt(f"it is of collection {manifest.collection}")
            if manifest.form != form():
                raise Corrupt("its texts became terms in another way than now")
            _check(path, manifest, manifest.files.keys() - _LATER)
        except Corrupt as exc:
            drop(path, exc)
            continue
        return Snapshot(path, manifest)
    return None


def newest_name(folder: Path) -> str:
    """Of the newest finished one, without a look inside; "" when there is none."""
    return max((path.name for path in finished(folder)), default="")


def finished(folder: Path) -> list[Path]:
    return [path.parent for path in folder.glob(f"[0-9]*/{MANIFEST}")]


def drop(path: Path, why: object) -> None:
    if path.exists():  # else another process has replaced it meanwhile
        log.warning("dropping the index in %s: %s; it is made again", path, why)
        remove(path)


def remove(path: Path) -> None:
    """The manifest first: what is left of a removal that was cut off does not count."""
    (path / MANIFEST).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def remove_all(folder: Path) -> None:
    """Every finished one."""
    for path in finished(folder):
        remove(path)


def finish(part: Path, manifest: Manifest, folder: Path) -> Snapshot:
    """Make what lies in `part` a snapshot of `folder`, safe from a loss of power. `manifest` comes
    without files. Raises DiskFull."""
    try:
        files = {}
        for path in sorted(path for path in part.rglob("*") if path.is_file()):
            with path.open("rb+") as file:
                os.fsync(file.fileno())
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[path.relative_to(part).as_posix()] = (path.stat().st_size, digest)
        manifest = replace(manifest, files=files)
        with (part / MANIFEST).open("x", encoding="utf-8") as file:
            json.dump({"format": FORMAT, **asdict(manifest)}, file, indent=2)
            file.flush()
            os.fsync(file.fileno())
        name = f"{manifest.generation:012}-{manifest.floor:012}-{part.name.rpartition('-')[2]}"
        _sync(part)
        os.replace(part, folder / name)
        _sync(folder)
    except OSError as exc:
        raise DiskFull(f"the index cannot be written to {folder}: {exc}") from exc
    return Snapshot(folder / name, manifest)


def _read(path: Path) -> Manifest:
    try:
        raw = json.loads((path / MANIFEST).read_text("utf-8"))
        if raw.pop("format") != FORMAT:
            raise Corrupt("it is of another format")
        raw["files"] = {str(n): (int(size), str(sha)) for n, (size, sha) in raw["files"].items()}
        return Manifest(**raw)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise Corrupt(f"its manifest cannot be read: {exc}") from exc


def _check(folder: Path, manifest: Manifest, names: Set[str]) -> None:
    try:
        for name, (size, _) in manifest.files.items():
            if (found := (folder / name).stat().st_size) != size:
                raise Corrupt(f"{name} has {found} bytes, not {size}")
        for name in sorted(names):
            with (folder / name).open("rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != manifest.files[name][1]:
                    raise Corrupt(f"{name} is damaged")
    except (OSError, KeyError) as exc:
        raise Corrupt(f"a file cannot be read: {exc}") from exc


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
