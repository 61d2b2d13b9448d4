"""From nothing to the first token: seconds of each step in a fresh process, and what it holds in
memory then.

    python -m benchmarks.starting --weights MODELS [--times 5] [--keep FOLDER]

MODELS is a folder of pulled models. The first start makes what is kept of the weights (models/
prepared.py; into FOLDER, else one that is thrown away) and, where that was not done before,
compiles; the others are the cold starts, of which the medians are printed. CPU seconds are beside
the clock's: on a busy machine only they mean anything. `compiled` counts functions that were
compiled and not read from the disk; `on the request` those that were while the question waited.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import machine

MODEL = "smollm2-135m-instruct"
PASSAGES = (
    "Full-time employees have 25 days of paid leave a year. Unused days end in March.",
    "The workshop is open from nine to five. Lost keys are reported at the front desk.",
)
QUESTION = "How many days of paid leave do employees have?"


def start(weights: Path, folder: Path, threads: int, merge: bool) -> dict[str, Any]:
    """In this process, which must have imported nothing of ours yet."""
    steps: dict[str, tuple[float, float]] = {}

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began, spent = time.perf_counter(), time.process_time()
        yield
        steps[name] = time.perf_counter() - began, time.process_time() - spent

    from rag.uncollected import uncollected

    with step("import torch"), uncollected():
        import torch
    torch.set_num_threads(threads)
    with step("import the rest"), uncollected():
        from models import fused
        from models.block_store import BlockStore
        from models.checkpoint import load
        from models.engine.engine import Engine
        from models.hardware import choose_dtype
        from models.prepared import Prepared
        from models.pull import located
        from rag.domain import Sampling
        from rag.readers import SHIPPED_ADAPTERS, Weights, read

    def compiled() -> int:
        """By this process, each function for each kind of arguments."""
        every = [each for each in vars(fused).values() if hasattr(each, "stats")]
        return sum(sum(each.stats.cache_misses.values()) for each in every)

    with step("weights"), uncollected():
        dtype = choose_dtype("auto", torch.device("cpu"))
        base = load(located(MODEL, weights), dtype, prepared=Prepared(folder))
    with step("engine"), uncollected():
        engine = Engine(base, BlockStore(None, 64 * 2**20, 0))
    with step("adapter"):
        reader = read(engine, Weights(MODEL, SHIPPED_ADAPTERS / MODEL), merge=merge)
    before = compiled()
    with step("first token"):
        pieces = reader.generate(PASSAGES, QUESTION, Sampling(max_tokens=20))
        first = next(piece for piece in pieces if piece.tokens)
    text = first.text + "".join(piece.text for piece in pieces)
    engine.close()
    memory = {
        line.split(":")[0]: int(line.split()[1]) / 1024
        for line in Path("/proc/self/status").read_text("utf-8").splitlines()
        if line.startswith(("VmRSS", "RssAnon", "RssFile", "VmHWM"))
    }
    return {
        "steps": steps,
        "text": text,
        "compiled": compiled(),
        "on the request": compiled() - before,
        "MiB": memory,
    }


def started(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """In a process of its own."""
    line = [sys.executable, "-m", "benchmarks.starting", "--weights", str(asked.weights)]
    line += ["--threads", str(asked.threads), "--keep", str(folder), "--inside"]
    line += ["--merge"] if asked.merge else []
    began = time.perf_counter()
    before = os.times()
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    after = os.times()
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    found["steps"]["process, with its end"] = time.perf_counter() - began, spent
    return found


def show(name: str, runs: Sequence[Mapping[str, Any]]) -> None:
    print(f"{name:<24}{'s':>8}{'CPU s':>8}")
    for step in runs[0]["steps"]:
        seconds, spent = (median(run["steps"][step][i] for run in runs) for i in (0, 1))
        print(f"  {step:<22}{seconds:>8.2f}{spent:>8.2f}")
    both = [
        [sum(s[i] for step, s in r["steps"].items() if "process" not in step) for r in runs]
        for i in (0, 1)
    ]
    print(f"  {'to the first token':<22}{median(both[0]):>8.2f}{median(both[1]):>8.2f}")
    for kind in runs[0]["MiB"]:
        print(f"  {kind:<22}{median(run['MiB'][kind] for run in runs):>8.0f} MiB")
    print(
        f"  compiled {max(run['compiled'] for run in runs)}, "
        f"on the request {max(run['on the request'] for run in runs)}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    description = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.starting", description=description)
    parser.add_argument("--weights", type=Path, required=True, help="the folder of pulled models")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--merge", action="store_true", help="the adapter into a second copy")
    parser.add_argument("--keep", type=Path, help="keep what is made of the weights there")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    if asked.inside:
        print(json.dumps(start(asked.weights, asked.keep, asked.threads, asked.merge)))
        return
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory(prefix="attest-benchmark-") as thrown_away:
        folder = asked.keep or Path(thrown_away)
        first = started(asked, folder)
        show("the first start", [first])
        runs = [started(asked, folder) for _ in range(asked.times)]
        show(f"cold starts, {asked.times}", runs)
        texts = {run["text"] for run in [first, *runs]}
        print(f"answers: {', '.join(map(repr, sorted(texts)))}")


if __name__ == "__main__":
    main()
