"""The forward pass of adapter training: passages are read once by the base weights, and the
adapter learns on question and answer only (no gradient flows through the passages' tokens, but
for the marker vectors).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from models.blocks import encode_blocks, encode_prefix, join
from models.kv import JoinedPast
from models.lora import Adapter
from models.prompt import REFUSAL, PromptBuilder
from models.tokenizer import Tokenizer
from models.training.episodes import Episode, Example
from models.transformer import Transformer

_GPU_KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH)


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
            self._prefix = encode_prefix(model, self._prompts.prefix)
        self._end = min(tokenizer.end)

    def batch(self, episode: Episode, longest: int = 640) -> Batch:
        """Read the passages (no gradient) and lay out as many questions as fit `longest` tokens."""
        model = self._model
        passages = [self._prompts.passage(p.shown, 0) for p in episode.passages]
        with self._adapter.switched(False):
            blocks = encode_blocks(model, self._prefix, passages)
        keys, values = join(model, self._prefix, blocks)
        lengths = torch.tensor([self._prefix.length, *(b.length for b in blocks)])
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
        device = model.device
        return Batch(
            keys=keys,
            values=values,
            segments=torch.arange(-1, len(blocks)).repeat_interleave(lengths),
            ids=torch.tensor(ids, device=device),
            targets=torch.tensor(targets, device=device),
            positions=torch.cat([torch.arange(past, past + n) for n in rows]).to(device),
            owner=torch.arange(len(rows)).repeat_interleave(torch.tensor(rows)).to(device),
        )

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
        t, s = len(batch.ids), batch.keys.shape[3]
        own = (batch.owner[:, None] == batch.owner[None]).tril()
        mask = torch.cat((own.new_ones(t, s), own), 1)[None]
        past = JoinedPast(batch.keys.unbind(0), self._marked(batch))
        # On CPU the flash kernel's backward pass is several times slower than plain products.
        kernels = [SDPBackend.MATH] if own.device.type == "cpu" else list(_GPU_KERNELS)
        with sdpa_kernel(kernels):
            hidden: Tensor = self._model(batch.ids[None], batch.positions[None], past, mask)
        return hidden[0]

    def _marked(self, batch: Batch) -> list[Tensor]:
        """Values with their passage's marker vector added, per layer."""
        markers = self._adapter.markers
        count, layers, heads, width = markers.shape
        # A product with one-hot rows: the gradient of a gather is slow on CPU.
        which = F.one_hot(batch.segments.to(markers.device) + 1, count + 1)[:, 1:].to(markers)
        added = (which @ markers.reshape(count, -1)).view(-1, layers, heads, width)
        added = added.to(batch.values.dtype).permute(1, 2, 0, 3)
        return [values + added[layer] for layer, values in enumerate(batch.values)]
