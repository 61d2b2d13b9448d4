"""A hybrid pipeline of another library, from the outside: a child process that answers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from benchmarks.peers.peer import PeerFailed, PeerMissing
from benchmarks.searched import Searched

CHILD = Path(__file__).parent / "pipeline_child.py"
LIBRARIES = {"llama_index": "LlamaIndex", "haystack": "Haystack"}
INSTALL = (
    "make it by `python -m venv PEERS && PEERS/bin/pip install -r benchmarks/peers/pipelines.txt` "
    "and name PEERS/bin/python by --peers-python"
)


class Pipeline:
    """`library` is a key of LIBRARIES, `python` the interpreter that has it, `folder` what `store`
    filled, `depth` how many passages each of its retrievers gives."""

    def __init__(self, library: str, python: str, folder: Path, depth: int, threads: int) -> None:
        self.name = f"{LIBRARIES[library]}, top {depth}"
        self.settings: Mapping[str, object] = {}
        self._folder, self._depth = folder, depth
        self._said = folder / f"{library}-{depth}.log"  # a pipe could fill up
        own = {"OMP_NUM_THREADS": str(threads), "HAYSTACK_TELEMETRY_ENABLED": "False"}
        try:
            with self._said.open("w") as errors:
                self._process = subprocess.Popen(
                    [python, str(CHILD), library],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    env=os.environ | own | {"PYTHONPATH": ""},
                )
        except OSError as exc:
            raise PeerMissing(f"{python} cannot be run ({exc}); {INSTALL}") from exc

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def open(self) -> None:
        """Build it. Raises PeerMissing where the library is not installed, PeerFailed."""
        self.settings = self._call({"open": str(self._folder), "depth": self._depth})["settings"]

    def ask(self, number: int) -> tuple[list[int], float]:
        """The positions found for a question, best first, and the seconds it took the library."""
        reply = self._call({"ask": number})
        return reply["found"], reply["seconds"]

    def _call(self, command: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            print(json.dumps(command), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self._process.communicate()
            said = self._said.read_text("utf-8", "replace").strip().splitlines()
            why = said[-1] if said else "without a word"
            if "ModuleNotFoundError" in why:
                raise PeerMissing(f"{why}; {INSTALL}")
            raise PeerFailed(f"{self.name} ended: {why}")
        reply: dict[str, Any] = json.loads(line)
        return reply


def store(searched: Searched, folder: Path) -> None:
    """Write down what the children read."""
    for name, told in (("texts", searched.texts), ("questions", searched.questions)):
        (folder / f"{name}.json").write_text(json.dumps(list(told)), "utf-8")
    np.save(folder / "vectors.npy", searched.vectors)
    np.save(folder / "question_vectors.npy", searched.question_vectors)
