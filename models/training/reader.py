"""The forward pass of adapter training: passages are read once by the base weights, and the
adapter learns on question and answer only (no gradient flows through the passages' tokens, but
for the marker vectors).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.blocks import KVBlock, encode_blocks, encode_prefix, place
from models.kv import JoinedPast
from models.lora import Adapter
from models.prompt import REFUSAL, PromptBuilder
from models.tokenizer import Tokenizer
from models.training.episodes import Episode, Example
from models.transformer import Transformer

_GPU_KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


@dataclass(frozen=True, slots=True)
class Batch:
    """B examples padded on the right. `keys`, `values`: (layers, B, kv_heads, S, head_width);
    `past`: true lengths (B,); `segments`: passage number from 0 of each past token, -1 for the
    prefix and padding (B, S); `ids` (B, T); `targets` (B, T), -100 where nothing is learnt."""

    keys: Tensor
    values: Tensor
    past: Tensor
    segments: Tensor
    ids: Tensor
    targets: Tensor


class EpisodeReader:
    """Turns episodes into batches and batches into losses, for one model and adapter."""

    def __init__(self, model: Transformer, adapter: Adapter, tokenizer: Tokenizer) -> None:
        self._model, self._adapter, self._tokenizer = model, adapter, tokenizer
        self._prompts = PromptBuilder(tokenizer)
        with adapter.switched(False):
            self._prefix = encode_prefix(model, self._prompts.prefix)
        self._end = min(tokenizer.end)

    def encode(self, episode: Episode) -> list[KVBlock]:
        ids = [self._prompts.passage(p.shown, 0) for p in episode.passages]
        with self._adapter.switched(False):
            return encode_blocks(self._model, self._prefix, ids)

    def answer_ids(self, example: Example) -> list[int]:
        if not example.cited:
            return [*self._tokenizer.encode(REFUSAL), self._end]
        marks = "".join(f"[{n + 1}]" for n in example.cited)
        return [*self._tokenizer.encode(f"{example.record.target} {marks}"), self._end]

    def batch(self, examples: Sequence[Example], blocks: Sequence[KVBlock]) -> Batch:
        model = self._model
        pasts, segments, rows, targets = [], [], [], []
        for example in examples:
            chosen = [blocks[i] for i in example.shown]
            keys, values = zip(*self._placed(chosen), strict=True)
            pasts.append((torch.cat(keys, 2), torch.cat(values, 2)))
            lengths = [self._prefix.length, *(b.length for b in chosen)]
            numbers = torch.arange(-1, len(chosen))
            segments.append(numbers.repeat_interleave(torch.tensor(lengths)))
            question = list(self._prompts.question(example.record.question))
            answer = self.answer_ids(example)
            rows.append(question + answer[:-1])
            targets.append([-100] * (len(question) - 1) + answer)
        lengths = [len(s) for s in segments]
        s, t = max(lengths), max(map(len, rows))
        return Batch(
            keys=torch.stack([F.pad(k, (0, 0, 0, s - k.shape[2])) for k, _ in pasts], 1),
            values=torch.stack([F.pad(v, (0, 0, 0, s - v.shape[2])) for _, v in pasts], 1),
            past=torch.tensor(lengths),
            segments=torch.stack([F.pad(x, (0, s - len(x)), value=-1) for x in segments]),
            ids=torch.tensor([r + [0] * (t - len(r)) for r in rows], device=model.device),
            targets=torch.tensor([r + [-100] * (t - len(r)) for r in targets], device=model.device),
        )

    def _placed(self, blocks: Sequence[KVBlock]) -> list[tuple[Tensor, Tensor]]:
        at, placed = 0, []
        for block in [self._prefix, *blocks]:
            keys, values = place(self._model, block, at)
            placed.append((keys[:, 0], values[:, 0]))
            at += block.length
        return placed

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Sum of the negative log-likelihoods (nats) of the target tokens, and their number."""
        hidden = self.hidden(batch)
        wanted = batch.targets != -100
        logits = self._model.logits(hidden[wanted])
        return F.cross_entropy(logits, batch.targets[wanted], reduction="sum"), int(wanted.sum())

    def hidden(self, batch: Batch) -> Tensor:
        model, (b, t) = self._model, batch.ids.shape
        s = batch.keys.shape[3]
        inside = torch.arange(s)[None] < batch.past[:, None]
        own = torch.ones(t, t, dtype=torch.bool).tril()
        mask = torch.cat((inside[:, None].expand(b, t, s), own.expand(b, t, t)), 2)
        positions = batch.past[:, None] + torch.arange(t)[None]
        past = JoinedPast(batch.keys.unbind(0), self._marked(batch))
        device = model.device
        # On CPU the flash kernel's backward pass is several times slower than plain products.
        kernels = [SDPBackend.MATH] if device.type == "cpu" else list(_GPU_KERNELS)
        with sdpa_kernel(kernels):
            hidden: Tensor = model(batch.ids, positions.to(device), past, mask.to(device))
        return hidden

    def _marked(self, batch: Batch) -> list[Tensor]:
        """Values with their passage's marker vector added, per layer."""
        markers = self._adapter.markers
        count, layers, heads, width = markers.shape
        b, s = batch.segments.shape
        # A product with one-hot rows: the gradient of a gather is slow on CPU.
        which = F.one_hot(batch.segments + 1, count + 1)[..., 1:].to(markers)
        added = (which @ markers.reshape(count, -1)).view(b, s, layers, heads, width)
        added = added.to(batch.values.dtype).permute(2, 0, 3, 1, 4)
        return [values + added[layer] for layer, values in enumerate(batch.values)]
