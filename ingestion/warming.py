"""When a worker makes KV blocks ahead of use: only while the machine has nothing else to do, and in
a process of its own, `attest kv warm`.

That process takes what nobody else wants of the processor (nice 19), so a question asked meanwhile
does not wait for it; its end gives the model's memory back, and killing it at any moment costs no
more than the block it was at. So a document that comes in has its worker back at once.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from rag.domain import AdapterState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rag.bootstrap import Attest

log = logging.getLogger(__name__)

LONGEST = 30.0  # seconds of one round, with loading the model
_GRACE = 5.0  # seconds in which it is to end by itself
_LOOK = 0.25  # seconds between two looks at the jobs
LOWEST = 19


class Warming:
    """Of one worker process. Once a round has found nothing left to do, no other is begun before
    documents, adapters or the folder of blocks have changed: loading a model to learn that again is
    work too."""

    def __init__(self, attest: Attest, environment: Mapping[str, str]) -> None:
        """`environment` is that of the processes that answer: with another number of threads a
        block would differ from theirs in its last bits."""
        self._attest, self._environment = attest, environment
        self._settled: object = None

    def run(self) -> str:
        """A round, if this is the time for one; says how it ended."""
        if self._attest.settings.engine_url is not None:
            return "the engine elsewhere has blocks of its own"
        if self._documents_wait():
            return "documents wait"
        if not idle(self._attest.settings.warm_load):
            return "the machine is busy"
        wanted = self._wanted()
        if (wanted, self._attest.own_kv_blocks.mark()) == self._settled:
            return "nothing is new"
        ended = self._round()
        if ended != "stopped":
            self._settled = wanted, self._attest.own_kv_blocks.mark()
        return ended

    def _round(self) -> str:
        data = str(self._attest.settings.data.resolve())
        asked = ["kv", "warm", "--seconds", f"{LONGEST:g}", "--json", "--data", data]
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "rag.cli", *asked],
                stdin=subprocess.DEVNULL, stdout=said, stderr=told, env=self._environment,
            )  # fmt: skip
            try:
                os.setpriority(os.PRIO_PROCESS, child.pid, LOWEST)
                if not self._attended(child):
                    return "stopped"
            finally:
                child.kill()
                child.wait()
            for file in (said, told):
                file.seek(0)
            if child.returncode:
                last = told.read().decode("utf-8", "replace").strip().splitlines()[-1:]
                why = last[0] if last else f"exit code {child.returncode}"
                log.warning("KV blocks were not made ahead: %s", why)
                return "failed"
            report = json.load(said)
        log.info("%d KV blocks made ahead of use (%s)", report["made"], report["ended"])
        return str(report["ended"])

    def _attended(self, child: subprocess.Popen[bytes]) -> bool:
        """Wait for its end; False when it had to be stopped first."""
        until = time.monotonic() + LONGEST + _GRACE
        while child.poll() is None:
            if time.monotonic() > until or self._documents_wait():
                return False
            time.sleep(_LOOK)
        return True

    def _documents_wait(self) -> bool:
        with self._attest.store() as work:
            return work.jobs.unfinished()

    def _wanted(self) -> object:
        """What decides which blocks there should be."""
        with self._attest.store() as work:
            collections = [(each.id, each.generation) for each in work.collections.all()]
            adapters = [
                (each.name, each.digest, each.collection)
                for each in work.adapters.all()
                if each.state is AdapterState.PROMOTED
            ]
        return collections, adapters


def idle(most: float) -> bool:
    """Whether the load average of the last minute is below `most` for each core."""
    return os.getloadavg()[0] < most * (os.cpu_count() or 1)
