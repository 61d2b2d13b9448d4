"""The seconds of each stage of a question, over the sample questions on what `make demo` left.

    python -m benchmarks.stages --data demo-data

Asks every question of examples/questions.jsonl, after one that is not counted (it reads the
weights). Prints median, 95th percentile and n of each stage, and the machine it ran on: numbers of
two machines, or of a busy one, are not comparable.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from examples.demo import COLLECTION
from examples.evaluate import QUESTIONS
from rag.domain import LOCAL_USER
from rag.errors import AttestError


def measure(data: Path, limit: int) -> dict[str, list[float]]:
    """Seconds by stage, one value a question. Raises AttestError."""
    from rag.bootstrap import open_attest
    from rag.settings import load_settings

    asked = [json.loads(line)["question"] for line in QUESTIONS.read_text("utf-8").splitlines()]
    seconds: dict[str, list[float]] = defaultdict(list)
    attest = open_attest(load_settings(data))
    try:
        attest.answering.ask(LOCAL_USER, COLLECTION, asked[0])
        for number, question in enumerate(asked[:limit], 1):
            print(f"\r{number}/{len(asked[:limit])}", end="", file=sys.stderr, flush=True)
            answer = attest.answering.ask(LOCAL_USER, COLLECTION, question)
            for stage, spent in answer.timings.items():
                seconds[stage].append(spent)
    finally:
        attest.close()
        print(file=sys.stderr)
    return seconds


def report(seconds: dict[str, list[float]]) -> str:
    lines = [
        machine(),
        f"{'stage':<12}{'median s':>10}{'95th s':>10}{'n':>6}",
    ]
    for stage, spent in seconds.items():
        median, high = np.percentile(spent, [50, 95])
        lines.append(f"{stage:<12}{median:>10.3f}{high:>10.3f}{len(spent):>6}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    description = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="benchmarks.stages", description=description)
    parser.add_argument("--data", type=Path, default=Path("demo-data"))
    parser.add_argument("--limit", type=int, default=1000, metavar="N", help="questions to ask")
    asked = parser.parse_args(arguments)
    try:
        seconds = measure(asked.data, asked.limit)
    except AttestError as exc:
        print(f"The benchmark FAILED: {exc}\nto mend it: run make demo first", file=sys.stderr)
        return 1
    print(report(seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
