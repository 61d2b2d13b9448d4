"""The worker: `python -m ingestion.worker --data DIR`. Several may run on one data folder."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rag.errors import AttestError, BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rag.settings import Settings

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m ingestion.worker", description=__doc__)
    parser.add_argument("--data", type=Path, help="the data folder")
    parser.add_argument("--processes", type=int, help="pool processes (default: the settings')")
    parser.add_argument(
        "--temporary",
        type=Path,
        metavar="FILE",
        help="serve one command: make FILE when ready, sweep by itself, do not count as running",
    )
    asked = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s"
    )
    for name in ("strategy", "request"):  # a line for every message says nothing to anybody
        logging.getLogger(f"celery.worker.{name}").setLevel(logging.WARNING)
    for name in ("celery.app.trace", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        from rag.settings import load_settings

        settings = load_settings(asked.data)
        return run(settings, asked.processes or settings.worker_processes, asked.temporary)
    except AttestError as exc:
        print(f"attest worker: {exc}", file=sys.stderr)
        return 1


def run(settings: Settings, processes: int, temporary: Path | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code. Raises BrokerUnavailable."""
    from ingestion.app import QUEUES, make_app
    from ingestion.broker import check_broker
    from ingestion.tasks import register
    from ingestion.worker_process import WorkerProcess

    check_broker(settings, seconds=10.0)
    given = dict(os.environ)
    _share_cores(processes, settings.threads)
    app = make_app(settings)
    register(app, WorkerProcess(settings, given))
    with ExitStack() as held:
        _connect_signals(app, settings, held, temporary)
        worker = app.Worker(
            hostname=f"attest@{os.getpid()}",
            concurrency=processes,
            pool_cls="prefork",
            queues=list(QUEUES),
            beat=temporary is not None,
            loglevel="INFO",
            optimization="fair",
            without_gossip=True,
            without_mingle=True,
            quiet=True,
        )
        worker.start()
        return int(worker.exitcode or 0)


def _share_cores(processes: int, threads: int) -> None:
    """Before torch is imported anywhere: the pool's processes do not fight for cores."""
    share = threads or max(1, (os.cpu_count() or 1) // processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(share))
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the pool forks


def _connect_signals(app: Any, settings: Settings, held: ExitStack, temporary: Path | None) -> None:
    from celery import signals

    from ingestion.queue import CeleryQueue
    from ingestion.running import serving

    process = app.worker_process

    def started(**_: object) -> None:
        process.after_fork()

    def stopping(**_: object) -> None:
        process.close()

    def ready(**_: object) -> None:
        try:
            queue = CeleryQueue(settings)
            queue.send_sweep()  # what a killed worker or broker left
            queue.send_embed()
        except BrokerUnavailable as exc:
            log.warning("the sweep waits for the scheduler: %s", exc)
        if temporary is None:
            held.enter_context(serving(settings))
        else:
            temporary.touch()

    for signal, receiver in (
        (signals.worker_process_init, started),
        (signals.worker_process_shutdown, stopping),
        (signals.worker_ready, ready),
    ):
        signal.connect(receiver, weak=False)
        held.callback(signal.disconnect, receiver)


if __name__ == "__main__":
    sys.exit(main())
