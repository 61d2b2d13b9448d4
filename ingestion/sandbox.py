"""Parse a file that others gave us in a child process with hard limits.

The child sets its own limits on address space, CPU time and output before it reads a byte of the
file, gets an empty environment, and cannot outlive its parent. The answer comes back through a
file as JSON and plain text: nothing that the child writes is ever executed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from ingestion.limits import MIB, Limits
from rag.domain import Block, BlockKind, Box, Member, Parsed
from rag.errors import (
    EmptyDocument,
    EncryptedDocument,
    LimitExceeded,
    UnreadableDocument,
    UnsupportedType,
)
from rag.layout import dump_layout, layout_of, load_layout

if TYPE_CHECKING:
    from rag.settings import Settings

_ERRORS = {
    kind.code: kind
    for kind in (
        UnreadableDocument,
        EmptyDocument,
        EncryptedDocument,
        UnsupportedType,
        LimitExceeded,
    )
}
_BYTES_PER_CHARACTER = 40  # of output: text, blocks and geometry together
_LEAST_OUTPUT = 16 * MIB


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the child found. `parsed.words` is empty; `layout` holds them as `rag.layout` writes
    them, None for a format without pages."""

    parsed: Parsed
    layout: bytes | None


def limits_of(settings: Settings) -> Limits:
    return Limits(
        pages=settings.max_pages,
        characters=settings.max_characters,
        seconds=settings.parse_seconds,
        memory_bytes=settings.parse_memory_bytes,
        archived_files=settings.max_archived_files,
        archived_bytes=settings.max_archived_bytes,
        file_bytes=settings.max_upload_bytes,
        archive_depth=settings.max_archive_depth,
    )


def parse_sandboxed(data: bytes, name: str, settings: Settings) -> Parsed:
    """Parse in a child process, words included. Raises an UnreadableDocument or a leaf of it."""
    outcome = run_sandboxed(data, name, limits_of(settings))
    if outcome.layout is None:
        return outcome.parsed
    return dataclasses.replace(outcome.parsed, words=tuple(load_layout(outcome.layout).words()))


def run_sandboxed(data: bytes, name: str, limits: Limits) -> Outcome:
    """Parse in a child process. Raises an UnreadableDocument or a leaf of it: LimitExceeded when
    the child took too much time, memory or output, UnreadableDocument when it crashed."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        write_request(source, data, name, limits)
        code = _run_child(source, target, limits)
        target.seek(0)
        return outcome_of(code, target.read(), limits)


def write_request(source: IO[bytes], data: bytes, name: str, limits: Limits) -> None:
    header = {"name": name, "limits": dataclasses.asdict(limits)}
    source.write(json.dumps(header).encode() + b"\n")
    source.write(data)
    source.flush()
    source.seek(0)


def outcome_of(code: int, answer: bytes, limits: Limits) -> Outcome:
    """What a child said that ended with `code`. Raises UnreadableDocument and its leaves."""
    if code != 0:
        raise _death(code, limits)
    return _received(answer)


def child_environment() -> dict[str, str]:
    """Where this package was imported from, so that the child runs the same code, and one thread a
    library: those of a machine with many cores would fill the address space."""
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    return {"LANG": "C.UTF-8", "PYTHONPATH": root, **threads}


def too_slow(limits: Limits) -> LimitExceeded:
    return LimitExceeded(
        f"the file could not be read within {limits.seconds:g} seconds; split it, or raise "
        "parse_seconds"
    )


def _run_child(source: IO[bytes], target: IO[bytes], limits: Limits) -> int:
    """The child's exit code. Raises LimitExceeded when its time is over."""
    child = subprocess.Popen(
        [sys.executable, "-m", "ingestion.sandbox"],
        stdin=source,
        stdout=target,
        stderr=subprocess.DEVNULL,
        env=child_environment(),
        start_new_session=True,
    )
    try:
        return child.wait(limits.seconds)
    except subprocess.TimeoutExpired:
        raise too_slow(limits) from None
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _death(code: int, limits: Limits) -> UnreadableDocument:
    number = -code
    if number in (signal.SIGXCPU, signal.SIGALRM):
        return too_slow(limits)
    if number == signal.SIGXFSZ:
        return LimitExceeded("the file unpacks to more text than is allowed; split it")
    if number in (signal.SIGKILL, signal.SIGABRT, signal.SIGTRAP, signal.SIGILL, -_NO_MEMORY):
        return LimitExceeded(
            f"reading the file needs more than {limits.memory_bytes // MIB} MiB of memory, or "
            "crashed the reader; print it to PDF anew, or raise parse_memory_bytes"
        )
    return UnreadableDocument(
        f"the reader crashed on this file (exit {code}): it is damaged or made to do harm; "
        "save it again from the original"
    )


def _received(answer: bytes) -> Outcome:
    """The child's answer, taken apart and checked. Raises what the child reports."""
    try:
        line, _, body = answer.partition(b"\n")
        head: dict[str, Any] = json.loads(line)
        if "error" in head:
            raise _ERRORS.get(head["error"], UnreadableDocument)(str(head["message"])[:1000])
        text_bytes, layout_bytes = int(head["text"]), int(head["layout"])
        members, whole = _members(head["members"], body, text_bytes + layout_bytes)
        if whole != len(body):
            raise ValueError(f"{len(body)} bytes follow")
        text = body[:text_bytes].decode()
        blocks = tuple(_block(row, len(text)) for row in head["blocks"])
        parsed = Parsed(
            text=text,
            blocks=blocks,
            media_type=str(head["media_type"]),
            title=str(head["title"]),
            pages=None if head["pages"] is None else int(head["pages"]),
            metadata={str(key): value for key, value in head["metadata"].items()},
            members=members,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise UnreadableDocument(
            f"the reader gave no usable answer ({exc}); the file may be made to do harm"
        ) from exc
    return Outcome(parsed, body[text_bytes : text_bytes + layout_bytes] or None)


def _members(rows: list[Any], body: bytes, at: int) -> tuple[tuple[Member, ...], int]:
    """The files that follow in `body` from `at` on, and where they end."""
    members = []
    for name, size in rows:
        if size < 0:
            raise ValueError(f"member of {size} bytes")
        members.append(Member(str(name), body[at : at + size]))
        at += size
    return tuple(members), at


def _block(row: list[Any], length: int) -> Block:
    kind, start, end, page, level, boxes = row
    if not 0 <= int(start) < int(end) <= length:
        raise ValueError(f"block {start}..{end} of {length} characters")
    return Block(
        BlockKind(kind),
        int(start),
        int(end),
        None if page is None else int(page),
        tuple(Box(int(box[0]), *map(float, box[1:])) for box in boxes),
        int(level),
    )


# --- in the child ------------------------------------------------------------------------------

_NO_MEMORY = 86  # exit code: memory ran out so far that not even an answer could be made


def parse_request(source: IO[bytes], target: IO[bytes]) -> int:
    """Read a request, take on its limits, parse, answer. Returns the exit code."""
    request = json.loads(source.readline())
    limits = Limits(**request["limits"])
    _confine(limits)
    try:
        answer = _answer(source.read(), request["name"], limits)
    except UnreadableDocument as exc:
        answer = [json.dumps({"error": exc.code, "message": str(exc)}).encode() + b"\n"]
    except RecursionError:
        answer = [_too_much("the file is nested too deeply")]
    except MemoryError:
        os._exit(_NO_MEMORY)
    for part in answer:
        target.write(part)
    target.flush()
    return 0


def _too_much(message: str) -> bytes:
    return json.dumps({"error": LimitExceeded.code, "message": message}).encode() + b"\n"


def _answer(data: bytes, name: str, limits: Limits) -> list[bytes]:
    from ingestion.parse import parse

    parsed = parse(data, name, limits)
    text = parsed.text.encode()
    layout = dump_layout(layout_of(parsed.words)) if parsed.words else b""
    head = {
        "media_type": parsed.media_type,
        "title": parsed.title,
        "pages": parsed.pages,
        "metadata": dict(parsed.metadata),
        "blocks": [
            (b.kind, b.start, b.end, b.page, b.level, [dataclasses.astuple(x) for x in b.boxes])
            for b in parsed.blocks
        ],
        "text": len(text),
        "layout": len(layout),
        "members": [(member.name, len(member.data)) for member in parsed.members],
    }
    files = (member.data for member in parsed.members)
    return [json.dumps(head).encode() + b"\n", text, layout, *files]


def _confine(limits: Limits) -> None:
    """Set the limits that the kernel holds, and die with the parent."""
    if sys.platform == "win32":
        return
    import resource

    seconds = max(1, int(limits.seconds + 0.999))
    output = max(_LEAST_OUTPUT, _BYTES_PER_CHARACTER * limits.characters)
    for kind, value, hard in (
        (resource.RLIMIT_AS, limits.memory_bytes, limits.memory_bytes),
        # At a hard limit equal to the soft one the kernel kills without saying why (no SIGXCPU).
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_FSIZE, output, output),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with contextlib.suppress(ValueError, OSError):  # an even lower limit is set already
            resource.setrlimit(kind, (value, hard))
    signal.setitimer(signal.ITIMER_REAL, limits.seconds)  # its default action ends the process
    die_with_parent()


def die_with_parent() -> None:
    """Have the kernel end this process when its parent ends (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    sys.exit(parse_request(sys.stdin.buffer, sys.stdout.buffer))
