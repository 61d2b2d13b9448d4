"""Our engine beside others on one question at a time: seconds to the first token and to the whole
answer, tokens a second, and how right the answers are.

    python -m benchmarks.engine DEV --weights MODELS [--peers NAME...] [--questions N] [--repeat K]

DEV is a folder of samples (`*.jsonl.gz`), MODELS that of pulled models. Two workloads: `free` are
real questions, answered to their end; `shaped` are 5 passages of 200 tokens and a question of 64,
answered with a forced number of tokens. Engines take turns question by question, so that what else
the machine does hits all alike; still, measure on a quiet one. Peers come with the extra `bench`
(docs/benchmarks.md); one that is missing is named. "Times" are ours against the engine of the row,
with a bootstrap 95% interval over the questions; above 1 ours is faster.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.comparing import Asked, spread
from benchmarks.machine import machine
from benchmarks.measuring import measured
from benchmarks.ours import Ours, loaded
from benchmarks.peers.chosen import named, prepared, single
from benchmarks.peers.peer import Framing, Peer, PeerFailed
from benchmarks.reporting import FREE, SHAPED, summed_up, table
from benchmarks.workload import Question, drawn, sha256, shaped

MODEL = "smollm2-135m-instruct"
PAUSE = 0.05  # seconds: threads of the last engine that still spin are not the next one's
FREE_TOKENS = 64


def run(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """What was measured, as it is written to `--out`. `folder` takes requantised weights. Raises
    AttestError, ModelError."""
    weights = loaded(asked.weights, asked.model, asked.threads)
    tokenizer = weights.tokenizer
    framing = Framing(tokenizer)
    free = drawn(asked.dev, tokenizer, asked.questions, asked.seed)
    shape = shaped(free[: asked.shaped], tokenizer)
    print(f"{FREE:<7}{sha256(free)}\n{SHAPED:<7}{sha256(shape)}", flush=True)
    example = framing.parts(shape[0])
    peers = single(weights.gguf, tokenizer, folder, asked.threads, example)
    chosen = [Ours(weights, False), Ours(weights, True), *named(peers, asked.peers)]
    missing: dict[str, str] = {}
    engines = prepared(chosen, missing)
    try:
        for engine in engines:
            engine.answer(example, 2, forced=True)  # the first answer pays for the start
            print(f"{engine.name}: {dict(engine.settings)}", flush=True)
        turns = Turns(engines, framing, asked.repeat, missing)
        results = [*turns.ask(FREE, free, FREE_TOKENS)]
        results += turns.ask(SHAPED, shape, max(asked.answer_tokens))
    finally:
        for engine in engines:
            engine.close()
    return {
        "machine": machine(),
        "arguments": {key: str(value) for key, value in vars(asked).items()},
        "sha256": {FREE: sha256(free), SHAPED: sha256(shape)},
        "engines": {each.name: dict(each.settings) for each in engines},
        "missing": missing,
        "load": asdict(spread(results, lambda each: each.load)),
        "rows": summed_up(results, asked.answer_tokens, asked.seed),
        "asked": [asdict(each) | {"f1": each.f1} for each in results],
    }


class Turns:
    """Engines in turn, A B C A B C ...; one that fails is asked no more, and `missing` says why."""

    def __init__(
        self, engines: Sequence[Peer], framing: Framing, repeat: int, missing: dict[str, str]
    ) -> None:
        self._engines, self._framing = engines, framing
        self._repeat, self._missing = repeat, missing

    def ask(self, workload: str, questions: Sequence[Question], tokens: int) -> Iterator[Asked]:
        for number, question in enumerate(list(questions) * self._repeat, 1):
            for engine in self._engines:
                if engine.name not in self._missing:
                    yield from self._one(engine, workload, question, tokens)
            total = self._repeat * len(questions)
            print(f"\r{workload} {number}/{total}", end="", file=sys.stderr, flush=True)
        print(file=sys.stderr)

    def _one(self, engine: Peer, workload: str, question: Question, tokens: int) -> Iterator[Asked]:
        parts = self._framing.parts(question)
        try:
            engine.ready(parts)
            time.sleep(PAUSE)
            load = os.getloadavg()[0]
            timed = engine.answer(parts, tokens, forced=workload == SHAPED)
        except PeerFailed as exc:
            self._missing[engine.name] = f"{question.id}: {exc}"
            return
        count = len(parts.passages)
        yield Asked(engine.name, workload, question.id, timed, question.answers, count, load)


def main(arguments: Sequence[str] | None = None) -> int:
    asked = options().parse_args(arguments)
    found = measured(asked, run, lambda rows: table(rows, asked.answer_tokens))
    if found is None:
        return 1
    load = found["load"]
    print(f"load average: median {load['median']:.1f}, 95th {load['p95']:.1f}")
    return 0


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.engine", description=_first(__doc__))
    parser.add_argument("dev", type=Path, metavar="DEV", help="a folder of samples")
    parser.add_argument("--weights", type=Path, required=True, help="the folder of pulled models")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument(
        "--peers", nargs="*", metavar="NAME", help="rows in whose name this stands (default: all)"
    )
    parser.add_argument("--questions", type=int, default=200, help="of the free workload")
    parser.add_argument("--shaped", type=int, default=20, help="questions of the shaped workload")
    parser.add_argument("--answer-tokens", type=int, nargs="+", default=[40, 60], metavar="N")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="keep requantised weights in this folder")
    parser.add_argument("--out", type=Path, help="write everything that was measured, as JSON")
    return parser


def _first(text: str | None) -> str:
    return (text or "").partition("\n\n")[0]


if __name__ == "__main__":
    sys.exit(main())
