"""One attempt at one job in a process of its own, which a worker watches: should that process die
while the worker lives, the document has killed it.

    python -m ingestion.alone --data DIR JOB WORKER
"""

from __future__ import annotations

import argparse
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.sandbox import die_with_parent
from rag.domain import JobState
from rag.errors import AttestError, NotFound, Unavailable

if TYPE_CHECKING:
    from rag.bootstrap import Attest

log = logging.getLogger(__name__)

STARTING = "starting alone"


def run_alone(attest: Attest, job: str, worker: str) -> str:
    """Make the attempt whose lease `worker` holds, in a child; what it prints goes where this
    process prints. The lease is kept until the child does so itself. Returns how the child was
    killed, "" when it ended by itself or the lease was lost."""
    data = str(attest.settings.data.resolve())
    command = [sys.executable, "-P", "-m", "ingestion.alone", "--data", data, job, worker]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    held = _held_until_begun(attest, job, worker, child)
    code = child.wait() if held else _ended(child)
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else ""


def _held_until_begun(
    attest: Attest, job: str, worker: str, child: subprocess.Popen[bytes]
) -> bool:
    """Beat while the child imports what it needs; whether the lease is still held."""
    seconds, began = attest.settings.lease_seconds, False
    while child.poll() is None:
        try:
            with attest.store() as work:
                if began and work.jobs.get(job).step != STARTING:
                    return True  # the child has taken over
                if not work.jobs.heartbeat(job, worker, seconds, STARTING, 0.0):
                    return False
                work.commit()
            began = True
        except NotFound:  # its collection is gone
            return False
        except Unavailable as exc:
            log.warning("job %s: heartbeat failed, trying again: %s", job, exc)
        with suppress(subprocess.TimeoutExpired):
            child.wait(min(seconds / 4, 1.0))
    return True


def _ended(child: subprocess.Popen[bytes]) -> int:
    """Nobody wants its work any more, and its death is no verdict."""
    child.kill()
    child.wait()
    return 0


# --- in the child ------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m ingestion.alone", description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("job")
    parser.add_argument("worker")
    asked = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
    )
    try:
        _attempt(asked.data, asked.job, asked.worker)
    except AttestError as exc:
        print(f"attest: {exc}", file=sys.stderr)
        return 1
    return 0


def _attempt(data: Path, id: str, worker: str) -> None:
    """The lease is held already. Raises AttestError, and what nobody foresaw."""
    from ingestion.attempt import attempt
    from ingestion.queue import CeleryQueue
    from ingestion.reader import Reader
    from rag.bootstrap import open_attest
    from rag.settings import load_settings

    settings = load_settings(data)
    attest = open_attest(settings)
    reader = Reader()
    try:
        with attest.store() as work:
            job = work.jobs.get(id)
        if job.state is JobState.RUNNING:
            attempt(attest, job, worker, reader, CeleryQueue(settings), reader.abandon)
    finally:
        reader.close()
        attest.close()


if __name__ == "__main__":
    sys.exit(main())
