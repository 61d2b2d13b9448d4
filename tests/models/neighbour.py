"""Starts another process over the same folder of KV blocks, and talks to it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).parents[2]


class Neighbour:
    """A process that uses the folder too."""

    def __init__(self, folder: Path, memory: int, disk: int) -> None:
        command = [sys.executable, "-m", "tests.models.block_neighbour"]
        self.process = subprocess.Popen(
            [*command, str(folder), str(memory), str(disk)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, verb: str, *words: str) -> None:
        line = " ".join([verb, *map(quote, words)])
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def said(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def __call__(self, verb: str, *words: str) -> str:
        self.tell(verb, *words)
        return self.said()

    def stop(self) -> None:
        self.process.communicate(timeout=60)
