"""Search at size, through `rag.retrieve`: speed, recall, memory, start and catch-up.

    python -m benchmarks.search_size DEV --weights MODELS/all-minilm-l6-v2 --work DIR \\
        --rows 100000 1000000

DEV is a folder of samples; `benchmarks.collection` makes rows from it. DIR keeps the databases, the
vectors and the snapshots, so a second run only measures. Each size is measured in a fresh process.

Milliseconds are p50 and p95 over the questions, the encoder's left out: of the whole search, of the
processor time that its thread had of them, and of each stage. `first` is each question asked for
the first time and `again` once more, for ten passages as a search is; `answer` has the texts of
all candidates read, as a question that is answered.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.collection import CHUNKS, FEW, HALF, Real, fill, grow, real
from benchmarks.machine import machine
from benchmarks.searcher import CANDIDATES, EMBEDDER, Searcher, memory
from eval.progress import stderr_lines
from models.embedder import SentenceEmbedder
from rag.domain import LOCAL_GROUP, Filter
from rag.index.embedded import EmbeddedIndex
from rag.indexing import Builder
from rag.store.unit import open_store
from rag.uncollected import uncollected

FILTERS = {"2%": {FEW}, "50%": {LOCAL_GROUP}, "all": {FEW, HALF, LOCAL_GROUP}}
AT = 10
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
    collection = fill(path, known, EMBEDDER, rows, stderr_lines())
    filled = time.perf_counter() - started
    folder = path.with_suffix("")
    Builder(f"sqlite:///{path}", collection, folder, known.vectors.shape[1])(0)
    made = time.perf_counter() - started - filled
    found = {"collection": collection, "filled s": round(filled), "snapshot s": round(made)}
    path.with_suffix(".json").write_text(json.dumps(found))


def measure(path: Path, known: Real, asked: int, rounds: int) -> dict[str, object]:
    collection = json.loads(path.with_suffix(".json").read_text())["collection"]
    store = open_store(f"sqlite:///{path}")
    found: dict[str, object] = {"MiB empty": memory()}
    started = time.perf_counter()
    with uncollected():  # as a process that answers has loaded what it needs
        dimension, folder = known.vectors.shape[1], path.with_suffix("")
        index = EmbeddedIndex(store, collection, dimension, folder=folder)
        searcher = Searcher(store, index, collection, known)
        searcher.ask(0, set.union(*FILTERS.values()))
    found |= {"start s": time.perf_counter() - started, "standing": str(index.standing())}
    found["MiB started"] = memory()
    index.wait()
    for name, groups in FILTERS.items():
        searcher.ask(0, groups)  # the mask of a filter is made once
        for round in ("first", "again", "answer"):
            searcher.most = None if round == "answer" else 10
            times: dict[str, list[float]] = {}
            for at in range(min(asked, len(known.questions))):
                for stage, took in searcher.ask(at, groups).items():
                    times.setdefault(stage, []).append(took)
            found[f"{name}, {round}"] = {
                stage: [round_(np.percentile(took, p)) for p in (50, 95)]
                for stage, took in times.items()
            }
        searcher.most = 10
        filter = Filter(index.generation, frozenset(groups))
        found[f"{name}, recall@10"] = _recall(index, known, filter, asked)
    found["MiB warm"] = memory()
    found["catch-up"] = _catch_up(path, searcher, rounds)
    index.close()
    store.close()
    return found


def _recall(index: EmbeddedIndex, known: Real, filter: Filter, asked: int) -> float:
    """Of what the leg finds, against every permitted row compared."""
    held = index._held
    positions = held.rows.mask(filter).positions
    shares = []
    for question in known.asked[:asked]:
        scores = held.dense._products(question, positions)
        best = held.rows.chunks_at(positions[np.argpartition(-scores, AT)[:AT]])
        hits = index.dense(question, filter, CANDIDATES)[:AT]
        shares.append(len({*best} & {hit.chunk for hit in hits}) / AT)
    return float(np.mean(shares))


def _catch_up(path: Path, searcher: Searcher, rounds: int) -> dict[str, float]:
    """Questions one after the other while another process commits NEW rows and this one takes them
    in, `rounds` times."""
    index, lag, at = searcher.index, list[float](), 0

    def ask() -> dict[str, float]:
        nonlocal at
        at += 1
        return searcher.ask(at, {LOCAL_GROUP})

    quiet = [ask() for _ in range(100)]
    waits: list[dict[str, float]] = []
    for _ in range(rounds):
        target = index.generation + NEW // CHUNKS
        writer = get_context("spawn").Process(target=grow, args=(path, searcher.known, NEW))
        writer.start()
        committed = None
        while index.generation < target:
            waits.append(ask())
            if committed is None and not writer.is_alive():
                committed = time.perf_counter()
        writer.join()
        lag.append(time.perf_counter() - (committed or time.perf_counter()))
    return {
        "question ms before: p50": float(np.median([each["all"] for each in quiet])),
        "longest": max(each["all"] for each in quiet),
        "question ms meanwhile: p50": float(np.median([each["all"] for each in waits])),
        "p95": float(np.percentile([each["all"] for each in waits], 95)),
        "longest of all": max(each["all"] for each in waits),
        "longest catch-up of one": max(each["catch_up"] for each in waits),
        "questions": len(waits),
        "seconds until searchable": float(np.median(lag)),
    }


def round_(number: float) -> float:
    return round(float(number), 2)


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
