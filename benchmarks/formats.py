"""Every file of a folder through the sandboxed reader: its state, reason, time, memory and text.

    python -m benchmarks.formats FOLDER [--show CHARACTERS] [--only PATTERN] [--json FILE]

Each file is read in a child under the limits of the settings' defaults, as a worker does; files
inside archives and mails are read like all others. Exit code 1: some file ended in no definite
state, or passed a limit.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import machine
from ingestion.limits import MIB
from ingestion.sandbox import limits_of, run_sandboxed
from rag.domain import Member
from rag.errors import UnreadableDocument
from rag.settings import Settings


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of one file. `memory` is the child's peak in MiB, `pages` 0 where there are
    none, `words` those with a place on a page."""

    file: str
    state: str
    seconds: float
    memory: float
    characters: int = 0
    pages: int = 0
    words: int = 0
    blocks: str = ""
    reason: str = ""
    text: str = ""
    members: tuple[Member, ...] = ()


def read(file: str, data: bytes) -> Reading:
    """In a process of its own, since peak memory is that of all children so far."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_read, (file, data))


def _read(file: str, data: bytes) -> Reading:
    began = time.monotonic()
    try:
        outcome = run_sandboxed(data, file, limits_of(Settings()))
    except UnreadableDocument as exc:
        return Reading(file, exc.code, time.monotonic() - began, _peak(), reason=str(exc))
    except Exception as exc:  # noqa: BLE001 - the finding that this command is for
        reason = f"{type(exc).__name__}: {exc}"
        return Reading(file, "NO STATE", time.monotonic() - began, _peak(), reason=reason)
    seconds, parsed = time.monotonic() - began, outcome.parsed
    kinds = Counter(block.kind.value[0] for block in parsed.blocks)
    return Reading(
        file,
        "read",
        seconds,
        _peak(),
        len(parsed.text),
        parsed.pages or 0,
        0 if outcome.layout is None else len(outcome.layout),
        " ".join(f"{count}{kind}" for kind, count in sorted(kinds.items())),
        ", ".join(f"{key} {value}" for key, value in parsed.metadata.items() if "pages" in key),
        parsed.text,
        parsed.members,
    )


def _peak() -> float:
    kilobytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return kilobytes / 1024


def readings(files: Sequence[tuple[str, bytes]]) -> Iterator[Reading]:
    """The files, each followed by those inside it."""
    for file, data in files:
        found = read(file, data)
        yield found
        yield from readings([(f"{file}/{each.name}", each.data) for each in found.members])


def show(reading: Reading, characters: int) -> None:
    print(
        f"{reading.state:<18} {reading.seconds:6.2f} s {reading.memory:7.0f} MiB "
        f"{reading.characters:>9,} {reading.pages:>5} {reading.blocks:<16} {reading.file}"
        + (f"\n{'':<18} {reading.reason}" if reading.reason else ""),
        flush=True,
    )
    if characters and reading.text:
        print(f"---\n{reading.text[:characters]}\n---", flush=True)


def totals(found: Sequence[Reading]) -> list[str]:
    """What is printed below the table; the first lines are promises."""
    limits = limits_of(Settings())
    states = Counter(reading.state for reading in found)
    read = [reading for reading in found if reading.state == "read"]
    slowest = max(found, key=lambda reading: reading.seconds)
    largest = max(found, key=lambda reading: reading.memory)
    pages = sum(reading.pages for reading in read)
    spent = sum(reading.seconds for reading in read)
    return [
        f"{len(found)} files: {dict(states)}",
        f"without a definite state: {states['NO STATE']}",
        f"slowest: {slowest.seconds:.1f} s of {limits.seconds:g} ({slowest.file})",
        f"most memory: {largest.memory:.0f} MiB of {limits.memory_bytes // MIB} ({largest.file})",
        f"{pages:,} pages, {sum(each.characters for each in read):,} characters, {spent:.0f} s",
    ]


def broken(found: Sequence[Reading]) -> bool:
    limits = limits_of(Settings())
    return any(
        reading.state == "NO STATE"
        or reading.seconds > limits.seconds + 1  # the child is killed at the limit
        or reading.memory * MIB > limits.memory_bytes
        for reading in found
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.formats", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", type=int, default=0, metavar="CHARACTERS")
    parser.add_argument("--only", default="", metavar="PATTERN", help="files whose path holds it")
    parser.add_argument("--json", type=Path, help="the table as JSON, with the texts")
    options = parser.parse_args(arguments)
    paths = sorted(path for path in options.folder.rglob("*") if path.is_file())
    named = ((path.relative_to(options.folder).as_posix(), path) for path in paths)
    files = [(name, path.read_bytes()) for name, path in named if options.only in name]
    print(machine(), flush=True)
    found = []
    for reading in readings(files):
        found.append(reading)
        show(reading, options.show)
    print("\n".join(totals(found)))
    if options.json is not None:
        rows = [dataclasses.asdict(dataclasses.replace(each, members=())) for each in found]
        options.json.write_text(json.dumps(rows, ensure_ascii=False, indent=1), "utf-8")
    return 1 if broken(found) else 0


if __name__ == "__main__":
    sys.exit(main())
