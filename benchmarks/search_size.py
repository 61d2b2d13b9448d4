"""The embedded search index at size: speed, recall, memory, start and catch-up.

    python -m benchmarks.search_size DEV --weights MODELS/all-minilm-l6-v2 --work DIR \\
        --rows 100000 1000000

DEV is a folder of samples; `benchmarks.collection` makes rows from it. DIR keeps the databases, the
vectors and the snapshots, so a second run only measures. Each size is measured in a fresh process.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil

from benchmarks.collection import CHUNKS, FEW, HALF, Real, fill, grow, real
from benchmarks.machine import machine
from eval.progress import stderr_lines
from models.embedder import SentenceEmbedder
from rag.domain import LOCAL_GROUP, Filter
from rag.fuse import convex
from rag.index.dense import products
from rag.index.embedded import EmbeddedIndex
from rag.indexing import Builder
from rag.store.unit import open_store

FILTERS = {"2%": {FEW}, "50%": {LOCAL_GROUP}, "all": {FEW, HALF, LOCAL_GROUP}}
CANDIDATES, AT = 50, 10
NEW = 1_000  # rows of the catch-up


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.search_size", description=__doc__)
    parser.add_argument("dev", type=Path)
    parser.add_argument("--weights", type=Path, required=True, help="the embedder's folder")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000])
    parser.add_argument("--passages", type=int, default=8_000)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--asked", type=int, default=400, help="of them, for each filter")
    parser.add_argument("--rounds", type=int, default=5, help="catch-ups")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    asked.work.mkdir(parents=True, exist_ok=True)
    known = asked.work / f"known-{asked.passages}-{asked.questions}.npz"
    if asked.measure is not None:
        print(json.dumps(measure(asked.measure, _load(known), asked.asked, asked.rounds)))
        return
    if not known.exists():
        embedder = SentenceEmbedder(asked.weights)
        _save(known, real(asked.dev, embedder, asked.work, asked.passages, asked.questions))
    for rows in asked.rows:
        path = asked.work / f"rows-{rows}.db"
        if not path.with_suffix(".json").exists():
            path.unlink(missing_ok=True)
            prepare(path, _load(known), rows)
        print(machine(), json.dumps(json.loads(path.with_suffix(".json").read_text())))
        own = [sys.executable, "-m", "benchmarks.search_size", str(asked.dev), "--measure"]
        own += [str(path), "--weights", str(asked.weights), "--work", str(asked.work)]
        own += ["--asked", str(asked.asked), "--rounds", str(asked.rounds)]
        own += ["--passages", str(asked.passages), "--questions", str(asked.questions)]
        said = subprocess.run(own, check=True, stdout=subprocess.PIPE, text=True).stdout
        report(json.loads(said))


def prepare(path: Path, known: Real, rows: int) -> None:
    started = time.perf_counter()
    collection = fill(path, known, "benchmark", rows, stderr_lines())
    filled = time.perf_counter() - started
    folder = path.with_suffix("")
    Builder(f"sqlite:///{path}", collection, folder, known.vectors.shape[1])(0)
    made = time.perf_counter() - started - filled
    found = {"collection": collection, "filled s": round(filled), "snapshot s": round(made)}
    path.with_suffix(".json").write_text(json.dumps(found))


def measure(path: Path, known: Real, asked: int, rounds: int) -> dict[str, object]:
    collection = json.loads(path.with_suffix(".json").read_text())["collection"]
    store = open_store(f"sqlite:///{path}")
    empty = _memory()
    started = time.perf_counter()
    index = EmbeddedIndex(store, collection, known.vectors.shape[1], folder=path.with_suffix(""))
    everyone = frozenset(set.union(*FILTERS.values()))
    newest = index.catch_up()
    first = Filter(newest, everyone)
    index.dense(known.asked[0], first, CANDIDATES)
    index.lexical(known.questions[0], first, CANDIDATES)
    start = time.perf_counter() - started
    started_with = _memory()

    def search(at: int, filter: Filter, times: dict[str, list[float]]) -> None:
        began = time.perf_counter()
        dense = index.dense(known.asked[at], filter, CANDIDATES)
        after = time.perf_counter()
        lexical = index.lexical(known.questions[at], filter, CANDIDATES)
        last = time.perf_counter()
        hits = convex(dense, lexical, 0.5)[:CANDIDATES]
        with store() as work:
            work.chunks.passages(collection, [hit.chunk for hit in hits], filter)
        ended = time.perf_counter()
        for name, seconds in (
            ("dense", after - began),
            ("lexical", last - after),
            ("all", ended - began),
        ):
            times.setdefault(name, []).append(1000 * seconds)

    found: dict[str, object] = {"start s": start, "standing": str(index.standing())}
    for name, groups in FILTERS.items():
        filter, times = Filter(newest, frozenset(groups)), dict[str, list[float]]()
        search(0, filter, {})  # the mask of a filter is made once
        for at in range(min(asked, len(known.questions))):
            search(at, filter, times)
        found[name] = {
            leg: [round(float(np.percentile(t, p)), 2) for p in (50, 95)]
            for leg, t in times.items()
        } | {"recall@10": _recall(index, known, filter, asked)}
    found["MiB empty, started, warm: RSS and anonymous"] = [empty, started_with, _memory()]
    found["catch-up"] = _catch_up(
        path,
        index,
        known,
        lambda at: search(at, Filter(index.catch_up(), frozenset({LOCAL_GROUP})), {}),
        rounds,
    )
    index.close()
    store.close()
    return found


def _recall(index: EmbeddedIndex, known: Real, filter: Filter, asked: int) -> float:
    """Of what the leg finds, against every permitted row compared."""
    held = index._held
    base = held.dense._base
    permitted = np.flatnonzero(held.rows.mask(filter).allowed[: len(base)])
    scores = np.empty(len(permitted), np.float32)
    shares = []
    for question in known.asked[:asked]:
        products(base, permitted, question, scores)
        best = permitted[np.argpartition(-scores, AT)[:AT]]
        hits = index.dense(question, filter, CANDIDATES)[:AT]
        shares.append(len({held.rows.chunk(at) for at in best} & {hit.chunk for hit in hits}) / AT)
    return float(np.mean(shares))


def _catch_up(
    path: Path, index: EmbeddedIndex, known: Real, ask: Callable[[int], None], rounds: int
) -> dict[str, float]:
    """Questions one after the other while NEW rows are committed and taken in, `rounds` times."""
    waits, quiet = list[float](), list[float]()
    for at in range(20):
        quiet.append(_timed(lambda at=at: ask(at)))  # type: ignore[misc]
    lag = []
    for _ in range(rounds):
        target = index.generation + NEW // CHUNKS
        writer = threading.Thread(target=grow, args=(path, known, NEW))
        writer.start()
        committed, at = None, 0
        while index.generation < target:
            waits.append(_timed(lambda at=at: ask(at % len(known.questions))))  # type: ignore[misc]
            at += 1
            if committed is None and not writer.is_alive():
                committed = time.perf_counter()
        lag.append(time.perf_counter() - (committed or time.perf_counter()))
        writer.join()
    typical = float(np.median(quiet))
    return {
        "question ms without": typical,
        "longest question ms": max(waits),
        "p95 ms": float(np.percentile(waits, 95)),
        "seconds until searchable": float(np.median(lag)),
    }


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _memory() -> list[int]:
    told = psutil.Process().memory_full_info()
    return [told.rss // 2**20, (told.rss - told.shared) // 2**20]


def _save(path: Path, known: Real) -> None:
    texts = {"texts": np.array(known.texts), "questions": np.array(known.questions)}
    np.savez(path, vectors=known.vectors, asked=known.asked, **texts)


def _load(path: Path) -> Real:
    held = np.load(path, allow_pickle=False)
    texts, questions = held["texts"].tolist(), held["questions"].tolist()
    return Real(texts, held["vectors"], questions, held["asked"])


def report(found: dict[str, object]) -> None:
    for name, value in found.items():
        print(f"{name:>12}  {json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main()
