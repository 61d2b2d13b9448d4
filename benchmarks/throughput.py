"""How near ingestion comes to what its encoder alone does, and whether a worker's memory grows.

    python -m benchmarks.throughput FOLDER --weights DIR [--documents 250] [--rounds 5]
        [--processes 1] [--threads 1]

FOLDER holds files, or samples (`*.jsonl.gz`), of which each passage becomes a file of its own. They
are handed in as a bulk load and done by real workers over a real broker, round by round; after each
round this process embeds the same chunks with the same encoder on as many threads, sorted by length
all at once, which is as quick as that encoder gets. Two ratios come out of it: of chunks a second
by the clock, which are of use on an idle machine only, and of the processors' seconds that a chunk
takes (workers, readers and broker together), which a busy machine leaves nearly as they are. The
memory is what the pool processes and their readers hold after the round: 5,000 documents in 50
rounds show it every hundred.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

import psutil
import torch

from benchmarks.handbook import give_weights
from benchmarks.machine import machine
from eval.samples import load
from ingestion.broker import Broker
from ingestion.queue import CeleryQueue
from ingestion.running import worker_running
from ingestion.uploads import upload
from rag.bootstrap import Attest, open_attest
from rag.domain import LOCAL_GROUP, LOCAL_USER, Job, JobState, Right
from rag.errors import AttestError, Unavailable
from rag.process import Child, start
from rag.settings import load_settings

COLLECTION = "throughput"
LARGEST = 200_000  # bytes of a file that counts as small
READY_WITHIN, ROUND_WITHIN = 240.0, 3600.0
MIB = 2**20


@dataclass(frozen=True, slots=True)
class Spent:
    """`cpu` in seconds of all processors together."""

    wall: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Round:
    documents: int
    failed: int
    pages: int
    chunks: int
    pipeline: Spent
    encoder: Spent
    worker_bytes: int
    reader_bytes: int

    def __str__(self) -> str:
        by_clock, by_cpu = self.ratios()
        pages = f", {self.pages / self.pipeline.wall:.1f} pages/s" if self.pages else ""
        return (
            f"{self.documents} documents ({self.failed} failed), {self.chunks} chunks: "
            f"{self.chunks / self.pipeline.wall:.1f} chunks/s{pages}, encoder alone "
            f"{self.chunks / self.encoder.wall:.1f}; ratio by the clock {by_clock:.2f}, by the "
            f"processors' seconds {by_cpu:.2f} ({1000 * self.pipeline.cpu / self.documents:.0f} ms "
            f"a document, {1000 * self.encoder.cpu / self.documents:.0f} of the encoder); "
            f"memory {self.worker_bytes / MIB:.0f} MiB, readers {self.reader_bytes / MIB:.0f}"
        )

    def ratios(self) -> tuple[float, float]:
        wall = self.encoder.wall / self.pipeline.wall
        return wall, self.encoder.cpu / self.pipeline.cpu


class Later:
    """The queue port; its messages are sent when the clock runs."""

    def send(self, job: str) -> None:
        return None


def files(folder: Path) -> list[tuple[str, bytes]]:
    """(ending, bytes) of small files, or of passages. Raises BadSamples."""
    samples = sorted(folder.glob("*.jsonl.gz"))
    if samples:
        read = (load(path) for path in samples if not path.name.startswith("verifier_"))
        texts = dict.fromkeys(p.text for found in read for one in found for p in one.passages)
        return [("txt", text.encode()) for text in texts if text.strip()]
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [(path.suffix[1:], path.read_bytes()) for path in found if 0 < _size(path) <= LARGEST]


def _size(path: Path) -> int:
    return path.stat().st_size


class Throughput:
    def __init__(self, attest: Attest, workers: Sequence[psutil.Process]) -> None:
        self._attest, self._workers = attest, workers
        self._queue = CeleryQueue(attest.settings)
        self._number = 0

    def round(self, given: Sequence[tuple[str, bytes]]) -> Round:
        """Raises Unavailable when it does not end."""
        before = self._generation()
        jobs = [self._hand_in(ending, data) for ending, data in given]
        began, cpu = time.time(), self._cpu()
        for job in jobs:
            self._queue.send(job.id)
        ended = self._until_ended(jobs)
        last = max(job.updated.timestamp() for job in ended)
        pipeline = Spent(last - began, self._cpu() - cpu)
        texts, pages = self._published(before, ended)
        began, cpu = time.perf_counter(), time.process_time()
        self._attest.embedder.embed(texts)
        encoder = Spent(time.perf_counter() - began, time.process_time() - cpu)
        failed = sum(job.state is not JobState.DONE for job in ended)
        held = [self._memory(reader=kind) for kind in (False, True)]
        return Round(len(jobs), failed, pages, len(texts), pipeline, encoder, *held)

    def _hand_in(self, ending: str, data: bytes) -> Job:
        self._number += 1
        name = f"{self._number:06}.{ending}"
        return upload(self._attest, Later(), LOCAL_USER, COLLECTION, name, data, bulk=True)

    def _until_ended(self, jobs: Sequence[Job]) -> list[Job]:
        until = time.monotonic() + ROUND_WITHIN
        while time.monotonic() < until:
            with self._attest.store() as work:
                if not work.jobs.unfinished():
                    return [work.jobs.get(job.id) for job in jobs]
            time.sleep(0.5)
        raise Unavailable(f"a round did not end within {ROUND_WITHIN:g} s")

    def _generation(self) -> int:
        with self._attest.store() as work:
            return work.collections.named(COLLECTION).generation

    def _published(self, after: int, jobs: Sequence[Job]) -> tuple[list[str], int]:
        """The texts that were embedded, and how many pages their documents have."""
        with self._attest.store() as work:
            born = work.chunks.since(work.collections.named(COLLECTION).id, after).born
            found = (work.documents.version(job.version) for job in jobs if job.version)
            return [row.text for row in born], sum(version.pages or 0 for version in found)

    def _tree(self) -> Iterator[psutil.Process]:
        for worker in self._workers:
            yield worker
            yield from worker.children(recursive=True)

    def _cpu(self) -> float:
        """Those that a reader forked and waited for count as its children."""
        return sum(sum(process.cpu_times()[:4]) for process in self._tree())

    def _memory(self, *, reader: bool) -> int:
        pool = [each for each in self._tree() if each not in self._workers]
        kind = [each for each in pool if ("ingestion.reader" in each.cmdline()) is reader]
        return max((each.memory_info().rss for each in kind), default=0)


@contextmanager
def served(attest: Attest, processes: int) -> Iterator[list[psutil.Process]]:
    """The worker and the broker. Raises BrokerUnavailable, Unavailable."""
    data = attest.settings.data
    command = [sys.executable, "-P", "-m", "ingestion.worker", "--data", str(data)]
    with Broker(attest.settings) as broker:
        child = start("worker", [*command, "--processes", str(processes)], data / "worker.log", {})
        try:
            _until_serves(attest, child)
            pids = [child.pid] if broker.pid is None else [child.pid, broker.pid]
            yield [psutil.Process(pid) for pid in pids]
        finally:
            child.stop(20)


def _until_serves(attest: Attest, child: Child) -> None:
    until = time.monotonic() + READY_WITHIN
    while not worker_running(attest.settings):
        if child.ended() is not None or time.monotonic() > until:
            raise Unavailable(child.why() if child.ended() is not None else "no worker came up")
        time.sleep(0.2)


def run(asked: argparse.Namespace, data: Path) -> list[Round]:
    """The first round is left out: it waits for the weights. Raises AttestError."""
    chosen = {"threads": asked.threads, "warm_seconds": 0.0, **dict(asked.set or ())}
    lines = [f"{key} = {json.dumps(value)}\n" for key, value in chosen.items()]
    (data / "settings.toml").write_text("".join(lines), "utf-8")
    give_weights(data, asked.weights)
    attest = open_attest(load_settings(data))
    with attest.store() as work:
        work.collections.create(COLLECTION, {LOCAL_GROUP: Right.MANAGE})
        work.commit()
    attest.embedder.embed(["ready"])
    torch.set_num_threads(asked.processes * asked.threads)
    given = cycle(files(asked.folder))
    share = max(1, asked.documents // asked.rounds)
    rounds = []
    with served(attest, asked.processes) as workers:
        throughput = Throughput(attest, workers)
        throughput.round(list(islice(given, 2 * asked.processes)))
        for _ in range(asked.rounds):
            rounds.append(throughput.round(list(islice(given, share))))
            print(rounds[-1], flush=True)
    attest.close()
    return rounds


def main(arguments: Sequence[str] | None = None) -> int:
    description = (__doc__ or "").split("\n\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.throughput", description=description)
    parser.add_argument("folder", type=Path, help="of files, or of samples")
    parser.add_argument("--weights", type=Path, help="a folder of pulled models, to save the pull")
    parser.add_argument("--documents", type=int, default=250)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--processes", type=int, default=1, help="of the worker's pool")
    parser.add_argument("--threads", type=int, default=1, help="of each process's encoder")
    parser.add_argument(
        "--set", nargs=2, action="append", metavar=("SETTING", "VALUE"), help="another setting"
    )
    asked = parser.parse_args(arguments)
    asked.set = [(name, json.loads(value)) for name, value in asked.set or ()]
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="attest-throughput-") as folder:
        try:
            rounds = run(asked, Path(folder))
        except AttestError as exc:
            print(f"The benchmark FAILED: {exc}", file=sys.stderr)
            return 1
    clock, cpu = (
        statistics.median(each) for each in zip(*(r.ratios() for r in rounds), strict=True)
    )
    print(f"median ratio to the encoder alone: by the clock {clock:.2f}, by processors {cpu:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
