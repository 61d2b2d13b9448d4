"""One set of weights that reads and answers: the base, with at most one adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from models.blocks import KVBlock, encode
from models.engine.few import FewLora
from models.lora import Adapter
from models.transformer import Transformer


@dataclass(frozen=True, eq=False, slots=True)
class Reader:
    """`model` reads passages, and answers where `merged` (the same weights with the adapter added
    in) is None. `reading` names what a passage's keys and values depend on beside its words;
    `lora` is the adapter for passes over a few tokens."""

    model: Transformer
    adapter: Adapter | None
    merged: Transformer | None
    prefix_ids: tuple[int, ...]
    prefix: KVBlock
    reading: str
    lora: FewLora | None

    @property
    def block_wise(self) -> bool:
        return self.adapter is not None and self.adapter.config.reading == "block"

    @property
    def markers(self) -> Tensor | None:
        """(numbers, layers, kv_heads, head_width), None where numbers stand in the text."""
        if self.adapter is None or not self.adapter.config.markers:
            return None
        return self.adapter.markers

    @contextmanager
    def passages(self) -> Iterator[Transformer]:
        """The weights that read passages."""
        with _attached(self.model, self.adapter, reads_passages(self.adapter)) as model:
            yield model

    @contextmanager
    def answering(self) -> Iterator[Transformer]:
        """The weights that read the question and write."""
        if self.merged is not None:
            yield self.merged
            return
        with _attached(self.model, self.adapter, True) as model:
            yield model


def reads_passages(adapter: Adapter | None) -> bool:
    """Whether the adapter acts on passages too, so that their KV blocks are its own."""
    return adapter is not None and adapter.config.mode == "all"


def make_reader(
    model: Transformer,
    identity: str,
    adapter: Adapter | None,
    adapter_name: str,
    prefix: Sequence[int],
    merged: Transformer | None,
    lora: FewLora | None,
) -> Reader:
    """`identity` names the model's weights and type, `adapter_name` the adapter's."""
    with _attached(model, adapter, reads_passages(adapter)):
        block = encode(model, prefix)
    own = adapter_name if reads_passages(adapter) else ""
    told = "\n".join((identity, own, " ".join(map(str, prefix))))
    reading = hashlib.sha256(told.encode()).hexdigest()
    return Reader(model, adapter, merged, tuple(prefix), block, reading, lora)


@contextmanager
def _attached(model: Transformer, adapter: Adapter | None, active: bool) -> Iterator[Transformer]:
    if adapter is None or not active:
        Adapter.detach(model)
    else:
        adapter.attach(model)
    yield model
