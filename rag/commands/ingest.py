"""`attest ingest PATH...`: hand files in and, with --wait, follow them into the index."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.commands.opening import acting, opened
from rag.commands.terminal import Terminal
from rag.domain import Job, JobState, Principal
from rag.errors import AttestError, BadInput, BrokerUnavailable, DiskFull, StoreUnavailable
from rag.wire import Json

if TYPE_CHECKING:
    from rag.bootstrap import Attest
    from rag.ports import UnitOfWork

FAILED = (JobState.FAILED, JobState.POISONED, JobState.CANCELLED)
ENDED = (JobState.DONE, *FAILED)


@dataclass(frozen=True, slots=True)
class File:
    """A file to hand in under `name`."""

    path: Path
    name: str


@dataclass(slots=True)
class Handed:
    """One file's fate: a job once it was taken, else why it was not."""

    file: File
    job: Job | None = None
    error: str = ""


def add(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("ingest", parents=[common], help="take in files and folders")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--collection", required=True, metavar="NAME")
    parser.add_argument("--wait", action="store_true", help="until everything is indexed")
    parser.add_argument(
        "--reader", action="append", metavar="GROUP", help="only these groups may read the files"
    )
    parser.add_argument("--metadata", action="append", default=[], type=pair, metavar="KEY=VALUE")
    parser.set_defaults(run=run)


def pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def run(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Exit 1 when a file failed; the others are still ingested."""
    files = walk(asked.paths)
    with opened(asked, create=True) as attest:
        who = acting(asked, attest)
        _ensure_collection(attest, who, asked.collection, terminal)
        with _workers(attest) if asked.wait else nullcontext(None) as still_served:
            handed = _hand_in(attest, who, asked, files, terminal)
            if still_served is not None:
                _follow(attest, handed, still_served, terminal)
        with attest.store() as work:
            generation = work.collections.named(asked.collection).generation
        rows = [_row(attest, each) for each in handed]
    failed = [each for each in handed if _failed(each)]
    terminal.result({"documents": [*rows], "generation": generation}, _text(handed, generation))
    return 1 if failed else 0


def walk(paths: Sequence[Path]) -> list[File]:
    """Files under their names: relative to the given folder, or the file's own name. Hidden files
    and folders inside a given folder are left out. Raises BadInput when two would get one name."""
    files: dict[str, File] = {}
    for file in (file for path in paths for file in _files(path)):
        other = files.setdefault(file.name, file)
        if other.path.resolve() != file.path.resolve():
            raise BadInput(
                f"{other.path} and {file.path} would both be called {file.name!r}; ingest them "
                "in two calls into two collections, or give the folder above them"
            )
    return list(files.values())


def _files(path: Path) -> Iterator[File]:
    if not path.is_dir():
        yield File(path, path.name)
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                file = Path(folder, name)
                yield File(file, file.relative_to(path).as_posix())


def _ensure_collection(attest: Attest, who: Principal, name: str, terminal: Terminal) -> None:
    from rag.changes import create_collection
    from rag.errors import Conflict, UnknownCollection

    with attest.store() as work:
        try:
            work.collections.named(name)
            return
        except UnknownCollection:
            pass
    try:
        create_collection(attest.store, who, name)
        terminal.say(f"made the collection {name!r}")
    except Conflict:  # another process made it meanwhile
        return


def _workers(attest: Attest) -> Any:
    from ingestion.running import ensure_worker

    return ensure_worker(attest.settings)


def _hand_in(
    attest: Attest,
    who: Principal,
    asked: argparse.Namespace,
    files: Sequence[File],
    terminal: Terminal,
) -> list[Handed]:
    from ingestion.queue import CeleryQueue
    from ingestion.uploads import upload

    queue = CeleryQueue(attest.settings)
    readers = None if asked.reader is None else frozenset(asked.reader)

    def taken(file: File) -> Job:
        return upload(
            attest,
            queue,
            who,
            asked.collection,
            file.name,
            _bytes(file.path, attest.settings.max_upload_bytes),
            readers=readers,
            metadata=dict(asked.metadata),
            bulk=len(files) > 1,
        )

    handed = []
    for number, file in enumerate(files, 1):
        handed.append(_taken(file, taken))
        terminal.progress(f"{number} of {len(files)} files handed in")
    return handed


def _taken(file: File, take: Callable[[File], Job]) -> Handed:
    try:
        return Handed(file, take(file))
    except (BrokerUnavailable, DiskFull, StoreUnavailable):
        raise  # not this file's fault; the next one would fare the same
    except AttestError as exc:
        return Handed(file, error=str(exc))


def _bytes(path: Path, most: int) -> bytes:
    from rag.errors import LimitExceeded, UnreadableDocument

    try:
        if not path.is_file():
            raise UnreadableDocument(f"{path} is not a file")
        if (size := path.stat().st_size) > most:
            raise LimitExceeded(f"{path} has {size:,} bytes; at most {most:,} are taken")
        return path.read_bytes()
    except OSError as exc:
        raise UnreadableDocument(f"{path} cannot be read: {exc.strerror}") from exc


def _follow(
    attest: Attest,
    handed: list[Handed],
    still_served: Callable[[], None],
    terminal: Terminal,
) -> None:
    """Until every job has ended, by the jobs table, which is the truth; files inside the given ones
    are added to `handed` as they are found. Raises Unavailable when there is no worker any more."""
    waiting = [each for each in handed if each.job is not None]
    while True:
        found: list[Handed] = []
        with attest.store() as work:
            for each in waiting:
                assert each.job is not None
                each.job = work.jobs.get(each.job.id)
                found += _inside(work, each) if each.job.state is JobState.DONE else []
        handed.extend(found)
        waiting += found
        total = len(handed)
        running = [each.job for each in waiting if each.job and each.job.state is JobState.RUNNING]
        waiting = [each for each in waiting if each.job and each.job.state not in ENDED]
        if not waiting:
            return
        now = ", ".join(f"{job.name}: {job.step} {job.progress:.0%}" for job in running[:2])
        still_served()
        terminal.progress(f"{total - len(waiting)} of {total} files done; {now or 'waiting'}")
        time.sleep(0.2)


def _inside(work: UnitOfWork, around: Handed) -> list[Handed]:
    """The files inside one that was read, to be followed too."""
    assert around.job is not None
    return [
        Handed(File(around.file.path, job.name), job)
        for job in work.jobs.inside(around.job.document)
    ]


def _failed(handed: Handed) -> bool:
    return handed.job is None or handed.job.state in FAILED


def _row(attest: Attest, handed: Handed) -> dict[str, Json]:
    job = handed.job
    chunks = None
    if job is not None and job.version is not None and job.state is JobState.DONE:
        with attest.store() as work:
            chunks = work.documents.version(job.version).chunks
    return {
        "path": str(handed.file.path),
        "document": handed.file.name,
        "document_id": job.document if job else None,
        "job": job.id if job else None,
        "version": job.version if job else None,
        "state": job.state.value if job else JobState.FAILED.value,
        "chunks": chunks,
        "error": (job.error if job else handed.error) or None,
    }


def _text(handed: Sequence[Handed], generation: int) -> str:
    lines = []
    for each in handed:
        state = each.job.state.value if each.job else "failed"
        why = (each.job.error if each.job else each.error) if _failed(each) else ""
        lines.append(f"{state:<8} {each.file.name}{': ' + why if why else ''}")
    return "\n".join([*lines, f"generation {generation}"])
