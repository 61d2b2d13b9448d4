"""Chaos: documents on their way in while workers, broker and API are killed; then everything is
counted.

    python -m benchmarks.chaos [--stack embedded|rabbitmq+postgresql] [--documents 500]
        [--workers 4] [--kills 30] [--seed N] [--weights DIR]

A third of the documents is replaced by a second edition while the first may still be on its way; a
few cannot be read by anybody. Kills (-9) are spread over the work; what was killed is started
again. Meanwhile a searcher asks for random documents through the API. At the end every document
must be indexed exactly once in its last edition, or have failed with its reason, no healthy one may
be poisoned, no part may have crashed by itself, `attest doctor` must find nothing, and no search
may have seen half a document, two editions, or an older one than before. Exit 1 when anything of
that breaks.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.editions import Paper, Searcher, papers
from benchmarks.handbook import give_weights, sound
from benchmarks.ingesting import COLLECTION
from benchmarks.killing import KINDS, OwnBroker, Parts, postgresql
from benchmarks.machine import machine
from benchmarks.rabbitmq import RabbitMQ
from benchmarks.running import NotUp
from rag.client import Client
from rag.commands.terminal import Terminal
from rag.domain import JobState
from rag.errors import AttestError, Unavailable
from rag.settings import Settings, load_settings

EMBEDDED, SERVERS = "embedded", "rabbitmq+postgresql"
WITHIN = 5400.0  # seconds for everything
BULK = 0.75  # of the uploads are bulk ones, which share batches; a person waits for the others
OPEN = (JobState.QUEUED, JobState.RUNNING)


@dataclass(frozen=True)
class Plan:
    documents: int
    workers: int
    kills: int
    seed: int
    stack: str = EMBEDDED


class Chaos:
    """One run of a plan over a data folder; what is wrong gathers in `wrong`."""

    def __init__(self, plan: Plan, data: Path) -> None:
        self._plan, self._data = plan, data
        self._papers = papers(plan.documents, plan.seed)
        self._handed_in: list[str] = []  # a name for each edition that was taken
        self._all_in = threading.Event()
        self._terminal = Terminal(json=False)
        self.killed: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        """Raises NotUp, AttestError."""
        began = time.monotonic()
        with stack(self._plan, self._data) as parts:
            with Client(parts.address) as client:
                client.create_collection(COLLECTION)
            uploading = threading.Thread(target=self._upload, args=(parts.address,), daemon=True)
            uploading.start()
            with Searcher(parts.address, COLLECTION, self._papers, self._plan.seed) as searcher:
                self._kill(parts)
                self._until_ended(parts)
            uploading.join()
            print(f"\nall work ended after {time.monotonic() - began:.0f} s", flush=True)
            self._judge(parts, searcher)

    def _upload(self, address: str) -> None:
        """First editions in order, each second one some papers later."""
        chance = random.Random(self._plan.seed + 1)
        at = [
            (number + (edition - 1) * chance.uniform(1, 60), edition, paper)
            for number, paper in enumerate(self._papers)
            for edition in range(1, paper.editions + 1)
        ]
        with Client(address, timeout=60) as client:
            for _, edition, paper in sorted(at, key=lambda each: each[0]):
                _insist(client, paper, edition, bulk=chance.random() < BULK)
                self._handed_in.append(paper.name)
        self._all_in.set()

    def _kill(self, parts: Parts) -> None:
        """Each kill once its share of the jobs has ended and others run, so that they meet work;
        those that are left when there is none, at once."""
        chance = random.Random(self._plan.seed + 2)
        jobs = sum(paper.editions for paper in self._papers)
        kinds, weights = list(KINDS), list(KINDS.values())
        until = time.monotonic() + WITHIN
        for number in range(self._plan.kills):
            share = jobs * number / self._plan.kills
            while not self._busy(parts, share) and time.monotonic() < until:
                time.sleep(0.1)
            time.sleep(chance.uniform(0.0, 1.5))
            kind = chance.choices(kinds, weights)[0]
            parts.kill(kind, chance)
            self.killed[kind] += 1

    def _busy(self, parts: Parts, share: float) -> bool:
        """Whether so many jobs have ended and others run, or none is left to run."""
        states = self._states(parts)
        running = _ended(states) >= share and JobState.RUNNING in states
        return running or self._over(states)

    def _over(self, states: Sequence[JobState]) -> bool:
        return self._all_in.is_set() and bool(states) and _ended(states) == len(states)

    def _until_ended(self, parts: Parts) -> None:
        until = time.monotonic() + WITHIN
        while True:
            states = self._states(parts)
            if self._over(states):
                return
            if time.monotonic() > until:
                self.wrong.append(f"work was left after {WITHIN:g} s")
                return
            time.sleep(0.5)

    def _states(self, parts: Parts) -> list[JobState]:
        """Of all jobs; none while the API is away. What does not run is started."""
        parts.revive()
        try:
            with Client(parts.address, timeout=60) as client:
                states = [job.state for job in client.jobs(COLLECTION)]
        except Unavailable:
            return []
        killed = sum(self.killed.values())
        self._terminal.progress(f"{killed} kills, {_ended(states)} of {len(states)} jobs ended")
        return states

    def _judge(self, parts: Parts, searcher: Searcher) -> None:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.killed.items()))
        print(f"killed: {kinds}; ended by themselves and started again: {len(parts.ended)}")
        for words in parts.ended:
            print(f"  {words.splitlines()[0]} {words.splitlines()[-1].strip()}")
        self.wrong += parts.crashed
        parts.revive()
        parts.until_answers()
        print(
            f"searches: {dict(sorted(searcher.seen.items()))} by the edition seen (0: none yet), "
            f"{searcher.refused} while the API was away, {len(searcher.bad)} saw what they must not"
        )
        self.wrong += searcher.bad
        with Client(parts.address) as client:
            jobs = client.jobs(COLLECTION)
            print(f"jobs: {dict(Counter(job.state.value for job in jobs))}, by attempts ", end="")
            print(dict(sorted(Counter(job.attempts for job in jobs).items())))
            broken = {paper.name for paper in self._papers if paper.broken}
            failed = {job.name for job in jobs if job.state is JobState.FAILED}
            self.wrong += [f"{name} failed wrongly, or was taken" for name in broken ^ failed]
            for paper in self._papers:
                if not paper.broken and searcher.look(client, paper).edition != paper.editions:
                    self.wrong.append(f"{paper.name}: its last edition is not found")
            self.wrong += sound(client, self._data, self._handed_in)


def _ended(states: Sequence[JobState]) -> int:
    return sum(state not in OPEN for state in states)


def _insist(client: Client, paper: Paper, edition: int, *, bulk: bool) -> None:
    """Hand it in until it is taken: the same bytes again do no harm. Raises AttestError."""
    until = time.monotonic() + WITHIN
    while True:
        try:
            client.upload(COLLECTION, paper.name, paper.bytes(edition), bulk=bulk)
            return
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


@contextmanager
def stack(plan: Plan, data: Path) -> Iterator[Parts]:
    """All parts over `data`, migrated. Raises NotUp."""
    from rag.store.migrate import upgrade

    chosen: dict[str, object] = {"lease_seconds": 6.0, "sweep_seconds": 2.0, "warm_seconds": 0.0}
    with ExitStack() as held:
        server: RabbitMQ | None = None
        if plan.stack == SERVERS:
            server = held.enter_context(RabbitMQ())
            chosen["broker_url"] = server.url
            chosen["database_url"] = held.enter_context(postgresql())
        settings = _settings(data, chosen)
        upgrade(settings.database)
        broker = server or held.enter_context(OwnBroker(settings))
        yield held.enter_context(Parts(settings, broker, plan.workers))


def _settings(data: Path, chosen: dict[str, object]) -> Settings:
    chosen |= {"threads": 1, "worker_processes": 1}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in chosen.items()]
    (data / "settings.toml").write_text("".join(lines), "utf-8")
    return load_settings(data)


def main(arguments: Sequence[str] | None = None) -> int:
    description = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.chaos", description=description)
    parser.add_argument("--stack", choices=(EMBEDDED, SERVERS), default=EMBEDDED)
    parser.add_argument("--documents", type=int, default=500)
    parser.add_argument("--workers", type=int, default=4, help="each with one pool process")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, help="default: another one each time")
    parser.add_argument("--weights", type=Path, help="a folder of pulled models, to save the pull")
    parser.add_argument("--data", type=Path, help="keep the state here (default: thrown away)")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is stopped
    seed = random.SystemRandom().randrange(10**6) if asked.seed is None else asked.seed
    plan = Plan(asked.documents, asked.workers, asked.kills, seed, asked.stack)
    print(f"{machine()}\n{plan}", flush=True)
    with tempfile.TemporaryDirectory(prefix="attest-chaos-") as thrown_away:
        data = asked.data or Path(thrown_away)
        data.mkdir(parents=True, exist_ok=True)
        chaos = Chaos(plan, data)
        try:
            give_weights(data, asked.weights)
            chaos.run()
        except (AttestError, NotUp) as exc:
            chaos.wrong.append(str(exc))
    for what in chaos.wrong:
        print(f"WRONG: {what}")
    print("FAILED" if chaos.wrong else "all held")
    return 1 if chaos.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
