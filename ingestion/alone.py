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
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.sandbox import die_with_parent
from rag.domain import JobState
from rag.errors import AttestError

if TYPE_CHECKING:
    from rag.settings import Settings


def run_alone(settings: Settings, job: str, worker: str) -> str:
    """Make the attempt whose lease `worker` holds, in a child; what it prints goes where this
    process prints. Returns how the child was killed, "" when it ended by itself."""
    data = str(settings.data.resolve())
    command = [sys.executable, "-P", "-m", "ingestion.alone", "--data", data, job, worker]
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        code = child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else ""


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
    from ingestion.pipeline import attempt
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
