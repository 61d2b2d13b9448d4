"""The forward pass of adapter training, as the serving path reads: passages once, each on its own
or all in one pass, then every question about them, blind to its neighbours.

With an adapter of mode "reader" the base weights read the passages (no gradient flows through
their tokens, but for the marker vectors); with mode "all" the adapter reads them too and learns
from that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor

from models.blocks import KVBlock, encode, encode_blocks, join, place
from models.errors import UnsupportedCheckpoint
from models.lora import Adapter
from models.prompt import REFUSAL, PromptBuilder
from models.tokenizer import Tokenizer
from models.training.episodes import Episode, Example
from models.training.past import Batch, Past
from models.transformer import Transformer

# Not after Dr., St. or a name's initial.
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)]{3}[.!?])(?<!Prof\.)\s+(?=[A-Z])")


class EpisodeReader:
    """Turns episodes into batches and batches into losses, for one model and adapter (attached)."""

    def __init__(
        self,
        model: Transformer,
        adapter: Adapter,
        tokenizer: Tokenizer,
        autocast: bool | None = None,
    ) -> None:
        self._model, self._adapter, self._tokenizer = model, adapter, tokenizer
        self._prompts = PromptBuilder(tokenizer, numbered=adapter.config.markers == 0)
        self._end = min(tokenizer.end)
        on_gpu = model.device.type == "cuda"
        self._autocast = on_gpu if autocast is None else autocast
        self._all = adapter.config.mode == "all"
        # The base weights' prefix never changes; an adapter's does with every step.
        self._prefix = None if self._all else self._base_prefix()

    def batch(self, episode: Episode, longest: int = 640) -> Batch:
        """Read the passages and lay out as many questions as fit `longest` tokens. Raises
        UnsupportedCheckpoint when the first one does not fit the model."""
        passages = [self._prompts.passage(p.shown, n) for n, p in enumerate(episode.passages, 1)]
        lengths = torch.tensor([len(self._prompts.prefix), *map(len, passages)])
        past = int(lengths.sum())
        rows = self._rows(episode.examples, longest, past)
        keys, values = self._read(passages, episode.full)
        device = self._model.device
        sizes = [len(question) + len(answer) - 1 for question, answer in rows]
        ids = [i for question, answer in rows for i in question + answer[:-1]]
        targets = [i for question, answer in rows for i in [-100] * (len(question) - 1) + answer]
        return Batch(
            keys=keys,
            values=values,
            segments=torch.arange(-1, len(passages)).repeat_interleave(lengths).to(device),
            ids=torch.tensor(ids, device=device),
            targets=torch.tensor(targets, device=device),
            positions=torch.cat([torch.arange(past, past + n) for n in sizes]).to(device),
            owner=torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes)).to(device),
        )

    def _rows(
        self, examples: Sequence[Example], longest: int, past: int
    ) -> list[tuple[list[int], list[int]]]:
        """Ids of questions and of their answers: those that fit `longest` tokens together and,
        after `past` tokens, the model's positions and its attention window."""
        config = self._model.config
        room = min(config.positions, config.window or config.positions) - past
        rows: list[tuple[list[int], list[int]]] = []
        total = 0
        for example in examples:
            question = list(self._prompts.question(example.record.question))
            answer = self.answer_ids(example)
            size = len(question) + len(answer) - 1
            if size > room:
                continue
            if rows and total + size > longest:
                break
            rows.append((question, answer))
            total += size
        if not rows:
            raise UnsupportedCheckpoint(
                f"passages of {past} tokens and a question do not fit the model's {room + past}; "
                "use shorter passages, or fewer of them in an episode"
            )
        return rows

    def _read(self, passages: list[tuple[int, ...]], full: bool) -> tuple[Tensor, Tensor]:
        """Keys and values of prefix and passages, each (layers, 1, kv_heads, S, head_width)."""
        model = self._model
        with torch.set_grad_enabled(self._all), self._adapter.switched(self._all), self._cast():
            if full:
                return place(model, encode(model, [*self._prompts.prefix, *chain(*passages)]), 0)
            prefix = self._prefix or encode(model, self._prompts.prefix)
            return join(model, prefix, encode_blocks(model, prefix, passages))

    def _base_prefix(self) -> KVBlock:
        with torch.no_grad(), self._adapter.switched(False), self._cast():
            return encode(self._model, self._prompts.prefix)

    def _cast(self) -> torch.autocast:
        return torch.autocast(self._model.device.type, torch.bfloat16, self._autocast)

    def answer_ids(self, example: Example) -> list[int]:
        """What is to be learnt after the question, with the end of the turn."""
        said = marked(example.record.target, example.cited) if example.cited else REFUSAL
        return [*self._tokenizer.encode(said), self._end]

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Sum of the negative log-likelihoods (nats) of the target tokens, and their number."""
        wanted = batch.targets != -100
        with self._cast():
            logits = self._model.logits(self.hidden(batch)[wanted])
        return F.cross_entropy(logits, batch.targets[wanted], reduction="sum"), int(wanted.sum())

    def hidden(self, batch: Batch) -> Tensor:
        """(T, D): each question sees the whole past and itself, not its neighbours."""
        past = Past(batch, self._adapter.markers, self._model.config.groups)
        mask = batch.ids.new_ones(1, 1, 1, dtype=torch.bool)  # `past` knows who sees what
        hidden: Tensor = self._model(batch.ids[None], batch.positions[None], past, mask)
        return hidden[0]


def marked(answer: str, cited: Sequence[int]) -> str:
    """The answer with the markers of its passages (places from 0) after each sentence."""
    marks = "".join(f"[{n + 1}]" for n in cited)
    return " ".join(f"{sentence} {marks}" for sentence in _SENTENCE_END.split(answer))
