"""What a question pays for KV blocks that are made ahead of use beside it.

    attest kv clear --data DATA && python -m benchmarks.warming DATA [--seconds 90]

Answers one question over the five newest chunks of DATA again and again, in turns with `attest kv
warm` running beside it as a worker would run it, and with that process stopped. Median seconds to
the first word and to the last of 16 tokens. Ends early once every chunk has its block.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from ingestion.warming import LOWEST
from rag.bootstrap import open_attest
from rag.domain import Sampling
from rag.ports import Generator
from rag.settings import load_settings

LOADED = 15.0  # seconds that the process gets for loading its model


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.warming", description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--seconds", type=float, default=90.0)
    options = parser.parse_args(arguments)
    attest = open_attest(load_settings(options.data))
    with attest.store() as work:
        texts = [chunk.text for chunk in work.chunks.newest(5, None, None)]
    reader = attest.readers.of(None)
    for _ in range(2):  # their blocks, and what the first answer waits for
        answered(reader, texts)
    line = [sys.executable, "-m", "rag.cli", "kv", "warm", "--data", str(options.data)]
    beside = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        os.setpriority(os.PRIO_PROCESS, beside.pid, LOWEST)
        time.sleep(LOADED)
        found = in_turns(reader, texts, beside, time.monotonic() + options.seconds)
    finally:
        beside.kill()
        beside.wait()
        attest.close()
    for name, times in found.items():
        first, last = (median(each) for each in zip(*times, strict=True))
        print(f"{name}: first word {first:.3f} s, last {last:.3f} s, n {len(times)}")


def in_turns(
    reader: Generator, texts: Sequence[str], beside: subprocess.Popen[bytes], until: float
) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {"alone": [], "beside warming": []}
    while time.monotonic() < until and beside.poll() is None:
        for name, order in (("alone", signal.SIGSTOP), ("beside warming", signal.SIGCONT)):
            beside.send_signal(order)
            time.sleep(0.05)
            found[name].append(answered(reader, texts))
    return found


def answered(reader: Generator, texts: Sequence[str]) -> tuple[float, float]:
    """Seconds to the first word, and to the last."""
    began, first = time.perf_counter(), 0.0
    for _ in reader.generate(texts, "What does it say?", Sampling(max_tokens=16)):
        first = first or time.perf_counter() - began
    return first, time.perf_counter() - began


if __name__ == "__main__":
    main()
