"""llama.cpp in this process, through llama-cpp-python.

It computes on a thread of its own: on processors with AMX it sets up a thread's tile registers
once, and torch, computing on the same thread, would leave them empty (which ends the process).
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Parts, PeerFailed, Stopwatch, Timed
from benchmarks.peers.requantised import in_format, llama_cpp

CONTEXT = 2048
CHOICES = {"flash_attn": (False, True), "n_batch": (512, 2048)}
TRIED = 3  # answers for each choice
TRIED_TOKENS = 20


class LlamaCpp:
    """`example`: a prompt on which the settings are chosen that answer it fastest, None for the
    package's own. With `prefix` the same passages were read in the same order a moment before, and
    llama.cpp goes on from what it has; without, it begins anew."""

    def __init__(
        self,
        gguf: Path,
        format: str,
        folder: Path,
        threads: int,
        example: Parts | None = None,
        prefix: bool = False,
    ) -> None:
        self._gguf, self._format, self._folder = gguf, format, folder
        self._example, self._prefix = example, prefix
        self._settings: dict[str, Any] = {
            "n_ctx": CONTEXT,
            "n_threads": threads,
            "n_threads_batch": threads,
        }
        self._llama: Any = None
        self._thread = ThreadPoolExecutor(1)

    @property
    def name(self) -> str:
        chosen = "default" if self._example is None else "best"
        return f"llama.cpp {self._format}, {'prefix kept' if self._prefix else chosen}"

    @property
    def settings(self) -> Mapping[str, object]:
        return {**self._settings, "format": self._format, "prefix kept": self._prefix}

    def prepare(self) -> None:
        self._load()
        if self._example is not None:
            self._choose(self._example)

    def ready(self, parts: Parts) -> None:
        if self._prefix:
            asked = parts.text.rpartition(parts.question)
            self.answer(replace(parts, text=f"{asked[0]}What is this about?{asked[2]}"), 1)

    def answer(self, parts: Parts, max_tokens: int, forced: bool = False) -> Timed:
        return self._thread.submit(self._answer, parts, max_tokens, forced).result()

    def _answer(self, parts: Parts, max_tokens: int, forced: bool) -> Timed:
        watch = Stopwatch()
        if not self._prefix:
            self._llama.reset()
        ids = self._llama.tokenize(parts.text.encode(), add_bos=False, special=True)
        if len(ids) + max_tokens > CONTEXT:
            raise PeerFailed(f"{len(ids)} tokens and {max_tokens} do not fit {CONTEXT}")
        ends = {self._llama.token_eos()}
        said = b""
        for tokens, token in enumerate(self._llama.generate(ids, temp=0.0), 1):
            said += self._llama.detokenize([token])
            ended = token in ends and not forced
            if ended or tokens == max_tokens:
                watch.tick(said.decode("utf-8", "ignore"))
                break
            watch.tick("")
        return watch.timed()

    def close(self) -> None:
        self._unload()
        self._thread.shutdown()

    def _unload(self) -> None:
        if self._llama is not None:
            self._llama.close()
            self._llama = None

    def _load(self) -> None:
        package = llama_cpp()
        self._unload()
        path = in_format(self._gguf, self._format, self._folder)
        more = {"n_ubatch": self._settings["n_batch"]} if "n_batch" in self._settings else {}
        self._llama = package.Llama(str(path), verbose=False, **self._settings, **more)

    def _choose(self, example: Parts) -> None:
        """The fastest of CHOICES, the least of three answers deciding."""
        plain, prefix = dict(self._settings), self._prefix
        self._prefix = False
        seconds: list[tuple[float, dict[str, Any]]] = []
        for values in product(*CHOICES.values()):
            chosen = dict(zip(CHOICES, values, strict=True))
            self._settings = {**plain, **chosen}
            self._load()
            tried = [self.answer(example, TRIED_TOKENS, forced=True) for _ in range(TRIED)]
            seconds.append((min(each.total_seconds for each in tried), chosen))
        best = min(seconds, key=lambda each: each[0])[1]
        self._settings, self._prefix = {**plain, **best}, prefix
        self._load()
