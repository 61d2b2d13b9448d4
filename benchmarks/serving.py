"""Many users at once: answers a second, the wait for the first token, and the longest silence.

    python -m benchmarks.serving DEV --weights MODELS [--users 16 32] [--minutes 5]

Every user asks, reads the whole answer and asks again (a closed loop). Questions carry their gold
passage and four of a pool of 300 by popularity (Zipf, exponent 1.1); answers have a forced number
of tokens, so that every engine does the same work. Our engine is asked from as many threads as
there are users, llama-server over HTTP with 16 slots. Engines take turns in rounds. An answer
counts when it ends within its round.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine import MODEL
from benchmarks.machine import machine
from benchmarks.measuring import measured
from benchmarks.ours import Ours, loaded
from benchmarks.peers.chosen import named, prepared, serving
from benchmarks.peers.peer import Framing, Served
from benchmarks.users import Round, asked_by_users, summed_up
from benchmarks.workload import drawn, served, sha256

REQUESTS = 5000  # drawn ahead; a longer run begins again
SLOTS = 16


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        f"{'users':>5}  {'engine':<28}{'answers':>8}{'per s':>7}{'first p50':>11}{'p95':>8}"
        f"{'gap p95':>9}{'most':>8}{'errors':>8}{'MiB':>7}{'settled':>9}{'end':>7}"
    ]
    for row in rows:
        first, gap = row["first token s"], row["longest gap s"]
        shown = f"{row['users']:>5}  {row['engine']:<28}{row['answers']:>8}{row['answers/s']:>7.2f}"
        shown += _two(first, "p50", "p95", 11) + _two(gap, "p95", "most", 9)
        lines.append(
            f"{shown}{row['errors']:>8}{row['MiB at start']:>7.0f}{row['MiB settled']:>9.0f}"
            f"{row['MiB at end']:>7.0f}"
        )
        if row["first error"]:
            lines.append(f"       {row['first error']}")
    return "\n".join(lines)


def _two(found: dict[str, float] | None, first: str, second: str, width: int) -> str:
    if found is None:
        return f"{'-':>{width}}{'-':>8}"
    return f"{found[first]:>{width}.2f}{found[second]:>8.2f}"


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What was measured, as it is written to `--out`. Raises AttestError, ModelError."""
    weights = loaded(asked.weights, asked.model, asked.threads, folder / "kv")
    weights.blocks.clear()  # `--keep` may hold those of an earlier run
    questions = drawn(asked.dev, weights.tokenizer, asked.questions, asked.seed)
    requests = served(questions, REQUESTS, asked.seed)
    print(f"requests {sha256(requests)}", flush=True)
    framing = Framing(weights.tokenizer)
    parts = [framing.parts(each) for each in requests]
    servers = serving(asked.llama_server, weights.gguf, folder, asked.threads, SLOTS)
    chosen: list[Served] = [Ours(weights, warm=None), *named(servers, asked.peers)]
    missing: dict[str, str] = {}
    rounds: list[Round] = []
    for users, number in itertools.product(asked.users, range(asked.rounds)):
        for each in (one for one in chosen if one.name not in missing):
            for engine in prepared([each], missing):
                try:
                    engine.answer(parts[-1], 2, forced=True)
                    seconds = asked.minutes * 60 / asked.rounds
                    begin = len(parts) * number // asked.rounds
                    order = parts[begin:] + parts[:begin]
                    tokens = asked.answer_tokens
                    rounds.append(asked_by_users(engine, users, seconds, order, tokens))
                    print(table(summed_up(rounds[-1:])), flush=True)
                finally:
                    engine.close()
    return {
        "machine": machine(),
        "arguments": {key: str(value) for key, value in vars(asked).items()},
        "sha256": sha256(requests),
        "engines": {each.name: dict(each.settings) for each in chosen},
        "missing": missing,
        "rows": summed_up(rounds),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    asked = options().parse_args(arguments)
    return 1 if measured(asked, run, table) is None else 0


def options() -> argparse.ArgumentParser:
    description = (__doc__ or "").partition("\n\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.serving", description=description)
    parser.add_argument("dev", type=Path, metavar="DEV", help="a folder of samples")
    parser.add_argument("--weights", type=Path, required=True, help="the folder of pulled models")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME", help="rows in whose name this stands (default: all)"
    )
    parser.add_argument("--llama-server", default="llama-server", help="its name or path")
    parser.add_argument("--users", type=int, nargs="+", default=[16], metavar="N")
    parser.add_argument("--minutes", type=float, default=1.0, help="for each engine")
    parser.add_argument("--rounds", type=int, default=2, help="turns in which they take them")
    parser.add_argument("--answer-tokens", type=int, default=40)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep requantised weights in this folder")
    parser.add_argument("--out", type=Path, help="write what was measured, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
