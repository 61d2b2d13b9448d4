"""Our own engine as the benchmarks ask it: the shipped adapter over the pulled weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from benchmarks.peers.peer import Parts, PeerFailed, Stopwatch, Timed
from models.block_store import BlockStore
from models.checkpoint import load
from models.engine.engine import Engine
from models.errors import WeightsMissing
from models.generator import TransformerGenerator
from models.hardware import choose_dtype
from models.pull import located
from models.tokenizer import Tokenizer
from rag.domain import Sampling
from rag.readers import SHIPPED_ADAPTERS, Weights, read

MEMORY, DISK = 256 * 2**20, 2 * 2**30  # of KV blocks, as the settings have it


@dataclass(frozen=True, slots=True)
class Loaded:
    """What every engine reads: our `engine` with the shipped `adapter`, where there is one, and
    for the peers the published file `gguf`."""

    engine: Engine
    blocks: BlockStore
    adapter: Path | None
    gguf: Path

    @property
    def tokenizer(self) -> Tokenizer:
        return self.engine.checkpoint.tokenizer


class Ours:
    """`warm`: the passages were read a moment before the question; False: nothing of them is kept;
    None: what is kept of earlier questions is."""

    def __init__(self, weights: Loaded, warm: bool | None) -> None:
        self._weights, self._warm = weights, warm
        adapter = weights.adapter
        self._adapter = None if adapter is None else Weights(adapter.name, adapter)
        self._generators: dict[bool, TransformerGenerator] = {}

    @property
    def name(self) -> str:
        return {True: "ours, warm", False: "ours, cold", None: "ours"}[self._warm]

    @property
    def settings(self) -> Mapping[str, object]:
        return {
            "model": self._weights.engine.identity,
            "adapter": "none" if self._adapter is None else self._adapter.name,
            "threads": torch.get_num_threads(),
            "blocks": f"int8, {MEMORY} bytes of memory",
        }

    def prepare(self) -> None:
        """Raises the errors of `models`. The forced generator knows an end token (its constraint
        was built with it) but does not stop there."""
        if self._generators:
            return
        plain = read(self._weights.engine, self._adapter)
        endless = copy.copy(self._weights.tokenizer)
        endless.end = frozenset()
        self._generators = {False: plain, True: copy.copy(plain)}
        self._generators[True]._tokenizer = endless

    def ready(self, parts: Parts) -> None:
        if self._warm is False:
            self._weights.blocks.clear()
        elif self._warm:
            self.answer(Parts(parts.passages, "What is this about?", ""), max_tokens=1)

    def answer(self, parts: Parts, max_tokens: int, forced: bool = False) -> Timed:
        watch = Stopwatch()
        sampling = Sampling(max_tokens=max_tokens)
        try:
            for piece in self._generators[forced].generate(
                parts.passages, parts.question, sampling
            ):
                if piece.tokens:
                    watch.tick(piece.text, piece.tokens)
        except ValueError as exc:
            raise PeerFailed(str(exc)) from exc
        return watch.timed()

    def resident_bytes(self) -> int:
        return int(psutil.Process().memory_info().rss)

    def close(self) -> None:
        """The weights are every row's; they go with the process."""


def loaded(folder: Path, model: str, threads: int, keep: Path | None = None) -> Loaded:
    """`keep`: KV blocks are kept there too, as the settings have it. Raises the errors of `models`;
    WeightsMissing for a checkpoint that is no GGUF file, which not every peer could read."""
    torch.set_num_threads(threads)
    weights = located(model, folder)
    found = sorted(weights.glob("*.gguf"))
    if not found:
        raise WeightsMissing(f"{weights} holds no GGUF file for the peers to read")
    base = load(weights, choose_dtype("auto", torch.device("cpu")))
    adapter = SHIPPED_ADAPTERS / model
    blocks = BlockStore(keep, MEMORY, 0 if keep is None else DISK)
    return Loaded(Engine(base, blocks), blocks, adapter if adapter.is_dir() else None, found[0])
