"""Our own engine as the benchmarks ask it: the shipped adapter over the pulled weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch

from benchmarks.peers.peer import Parts, PeerFailed, Stopwatch, Timed
from models.checkpoint import Checkpoint, load
from models.errors import WeightsMissing
from models.hardware import choose_dtype
from models.pull import located
from rag.domain import Sampling
from rag.ports import Generator
from rag.readers import SHIPPED_ADAPTERS, Weights, read


@dataclass(frozen=True, slots=True)
class Loaded:
    """The weights that every engine reads: ours as `base` (with the shipped adapter, where there
    is one), the peers from the published file `gguf`."""

    base: Checkpoint
    adapter: Path | None
    gguf: Path


class Ours:
    """`warm`: the passages were read a moment before the question; else nothing of them is kept.
    The engine keeps no blocks between questions yet, so that a warm one reads them again and is
    equal to a cold one; `settings` says so."""

    def __init__(self, weights: Loaded, warm: bool) -> None:
        self._base, self._warm = weights.base, warm
        adapter = weights.adapter
        self._adapter = None if adapter is None else Weights(adapter.name, adapter)
        self._generators: dict[bool, Generator] = {}

    @property
    def name(self) -> str:
        return "ours, warm" if self._warm else "ours, cold"

    @property
    def settings(self) -> Mapping[str, object]:
        return {
            "model": self._base.identity,
            "dtype": str(self._base.model.dtype),
            "adapter": "none" if self._adapter is None else self._adapter.name,
            "threads": torch.get_num_threads(),
            "blocks": "none are kept between questions: cold equals warm",
        }

    def prepare(self) -> None:
        """Raises the errors of `models`. The forced generator knows an end token (its constraint
        was built with it) but does not stop there."""
        self._generators[False] = read(self._base, self._adapter)
        endless = copy.copy(self._base.tokenizer)
        self._generators[True] = read(replace(self._base, tokenizer=endless), self._adapter)
        endless.end = frozenset()

    def ready(self, parts: Parts) -> None:
        if self._warm:
            self.answer(replace(parts, question="What is this about?"), max_tokens=1)

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
        self._generators.clear()


def loaded(folder: Path, model: str, threads: int) -> Loaded:
    """Raises the errors of `models`; WeightsMissing for a checkpoint that is no GGUF file, which
    not every peer could read."""
    torch.set_num_threads(threads)
    weights = located(model, folder)
    found = sorted(weights.glob("*.gguf"))
    if not found:
        raise WeightsMissing(f"{weights} holds no GGUF file for the peers to read")
    base = load(weights, choose_dtype("auto", torch.device("cpu")))
    adapter = SHIPPED_ADAPTERS / model
    return Loaded(base, adapter if adapter.is_dir() else None, found[0])
