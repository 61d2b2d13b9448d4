"""The forward pass of adapter training: passages are read once by the base weights, and the
adapter learns on question and answer only (no gradient flows through the passages' tokens, but
for the marker vectors).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import torch
import torch.nn.functional as F
from torch import Tensor

from models.attention import Place, attend_to_past
from models.blocks import encode, encode_blocks, join, place
from models.lora import Adapter
from models.prompt import REFUSAL, PromptBuilder
from models.tokenizer import Tokenizer
from models.training.episodes import Episode, Example
from models.transformer import Transformer


@dataclass(frozen=True, slots=True)
class Batch:
    """The questions of one episode as one row of T tokens that share a past of S tokens. `keys`,
    `values`: (layers, 1, kv_heads, S, head_width); `segments` (S,): passage number from 0 of each
    past token, -1 for the prefix; `ids`, `targets`, `positions`, `owner` (T,): targets are -100
    where nothing is learnt, `owner` numbers the question a token belongs to."""

    keys: Tensor
    values: Tensor
    segments: Tensor
    ids: Tensor
    targets: Tensor
    positions: Tensor
    owner: Tensor


class EpisodeReader:
    """Turns episodes into batches and batches into losses, for one model and adapter."""

    def __init__(self, model: Transformer, adapter: Adapter, tokenizer: Tokenizer) -> None:
        self._model, self._adapter, self._tokenizer = model, adapter, tokenizer
        self._prompts = PromptBuilder(tokenizer)
        with adapter.switched(False):
            self._prefix = encode(model, self._prompts.prefix)
        self._end = min(tokenizer.end)

    def batch(self, episode: Episode, longest: int = 640) -> Batch:
        """Read the passages (no gradient) and lay out as many questions as fit `longest` tokens."""
        passages = [self._prompts.passage(p.shown, 0) for p in episode.passages]
        keys, values = self._read(passages, episode.full)
        lengths = torch.tensor([self._prefix.length, *map(len, passages)])
        ids: list[int] = []
        targets: list[int] = []
        rows: list[int] = []
        for example in episode.examples:
            question = list(self._prompts.question(example.record.question))
            answer = self.answer_ids(example)
            if ids and len(ids) + len(question) + len(answer) - 1 > longest:
                break
            ids += question + answer[:-1]
            targets += [-100] * (len(question) - 1) + answer
            rows.append(len(question) + len(answer) - 1)
        past = int(lengths.sum())
        device = self._model.device
        return Batch(
            keys=keys,
            values=values,
            segments=torch.arange(-1, len(passages)).repeat_interleave(lengths),
            ids=torch.tensor(ids, device=device),
            targets=torch.tensor(targets, device=device),
            positions=torch.cat([torch.arange(past, past + n) for n in rows]).to(device),
            owner=torch.arange(len(rows)).repeat_interleave(torch.tensor(rows)).to(device),
        )

    def _read(self, passages: list[tuple[int, ...]], full: bool) -> tuple[Tensor, Tensor]:
        model = self._model
        with self._adapter.switched(False):
            if full:
                return place(model, encode(model, [*self._prompts.prefix, *chain(*passages)]), 0)
            return join(model, self._prefix, encode_blocks(model, self._prefix, passages))

    def answer_ids(self, example: Example) -> list[int]:
        if not example.cited:
            return [*self._tokenizer.encode(REFUSAL), self._end]
        marks = "".join(f"[{n + 1}]" for n in example.cited)
        return [*self._tokenizer.encode(f"{example.record.target} {marks}"), self._end]

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Sum of the negative log-likelihoods (nats) of the target tokens, and their number."""
        wanted = batch.targets != -100
        logits = self._model.logits(self.hidden(batch)[wanted])
        return F.cross_entropy(logits, batch.targets[wanted], reduction="sum"), int(wanted.sum())

    def hidden(self, batch: Batch) -> Tensor:
        """(T, D): each question sees the whole past and itself, not its neighbours."""
        past = _Past(batch, self._adapter.markers, self._model.config.groups)
        mask = batch.ids.new_ones(1, 1, 1, dtype=torch.bool)  # `past` knows who sees what
        hidden: Tensor = self._model(batch.ids[None], batch.positions[None], past, mask)
        return hidden[0]


class _Past:
    """The passages' keys and values as the questions' KV; nothing is kept."""

    def __init__(self, batch: Batch, markers: Tensor, groups: int) -> None:
        self._keys, self._values = batch.keys[:, 0], batch.values[:, 0]
        self._markers = markers.to(self._values.dtype)
        own = (batch.owner[:, None] == batch.owner[None]).tril()
        segments = batch.segments.to(own.device)
        self._place = Place(segments, own, len(markers), groups, self._values.dtype)

    @property
    def length(self) -> int:
        return self._keys.shape[2]

    def attend(
        self, layer: int, q: Tensor, raw: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> Tensor:
        past = self._keys[layer], self._values[layer]
        return attend_to_past(q, keys, values, past, self._markers[:, layer], self._place)

    def advance(self, tokens: int) -> None:
        return
