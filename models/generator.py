"""From passages and a question to a streamed, cited answer, by our own Transformer. Knows text;
not where the passages come from or what becomes of the answer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from threading import Lock

import torch
from torch import Tensor

from models.blocks import encode, encode_blocks, join
from models.checkpoint import Checkpoint
from models.constraint import CitationConstraint, Vocabulary
from models.kv import KVCache
from models.lora import Adapter
from models.piece import Piece
from models.prompt import REFUSAL, VERSION, Prompt, PromptBuilder
from models.sampling import Settings, choose, logprob
from models.sampling import generator as chance_from

_CLOSING = 6  # tokens kept back for a last marker and the end


class TransformerGenerator:
    """One model and at most one adapter, one answer at a time (callers wait their turn).

    With an adapter trained to read block-wise, each passage is encoded on its own by the base
    weights and the adapter reads question and answer; otherwise the whole prompt is read with full
    attention and the passages carry their numbers in the text.

    Whether to refuse is decided before the first word, by the probability of the refusal against
    `refuse_above`: an answer can begin in many ways, the refusal in one, so the likelier first
    token is no measure of it.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        adapter: Adapter | None = None,
        adapter_name: str = "none",
        refuse_above: float = 0.5,
        min_confidence: float = 0.3,
    ) -> None:
        self._model, self._tokenizer = checkpoint.model, checkpoint.tokenizer
        self._adapter, self._adapter_name = adapter, adapter_name
        self.model = f"{checkpoint.identity}/{str(checkpoint.model.dtype).removeprefix('torch.')}"
        self._block_wise = adapter is not None and adapter.config.reading == "block"
        if adapter is not None:
            adapter.attach(checkpoint.model)
        numbered = adapter is None or adapter.config.markers == 0
        self._prompts = PromptBuilder(checkpoint.tokenizer, numbered)
        self._vocabulary = Vocabulary(checkpoint.tokenizer, checkpoint.model.config.vocab_size)
        self._refuse_above = refuse_above
        self.min_confidence = min_confidence
        self._refusal_ids = checkpoint.tokenizer.encode(REFUSAL)
        self._turn = Lock()
        with self._reading_passages():
            self._prefix = encode(checkpoint.model, self._prompts.prefix)

    @property
    def adapter(self) -> str:
        return self._adapter_name

    @property
    def prompt_version(self) -> str:
        return VERSION

    @property
    def refusal(self) -> str:
        return REFUSAL

    @property
    def context_tokens(self) -> int:
        return self._model.config.positions

    @property
    def most_passages(self) -> int:
        """How many passage numbers the model knows."""
        return (
            self._adapter.config.markers if self._adapter and self._adapter.config.markers else 20
        )

    def count_tokens(self, text: str) -> int:
        return len(self._prompts.passage(text, 1))

    @torch.no_grad()
    def generate(
        self, passages: Sequence[str], question: str, sampling: Settings
    ) -> Iterator[Piece]:
        """Stream the answer. Raises ValueError when the prompt does not fit the model."""
        prompt = self._prompts.build(passages[: self.most_passages], question)
        if prompt.length + sampling.max_tokens > self.context_tokens:
            raise ValueError(
                f"a prompt of {prompt.length} tokens and an answer of {sampling.max_tokens} do not "
                f"fit the model's {self.context_tokens}"
            )
        with self._turn:
            yield from self._decode(prompt, sampling)

    def _decode(self, prompt: Prompt, sampling: Settings) -> Iterator[Piece]:
        cache = self._read(prompt, sampling.max_tokens)
        logits = self._step(list(prompt.question), cache)
        refusal = float(logits.softmax(-1)[self._refusal_ids[0]])
        if refusal >= self._refuse_above:
            yield Piece(REFUSAL, len(self._refusal_ids), math.log(refusal), refusal)
            return
        logits[self._refusal_ids[0]] = float("-inf")
        constraint = CitationConstraint(
            self._tokenizer, self._vocabulary, len(prompt.passages), REFUSAL
        )
        chance = chance_from(sampling.seed)
        ids: list[int] = []
        shown = ""
        total = 0.0
        pending = 0
        while len(ids) < sampling.max_tokens:
            constraint.closing = len(ids) >= sampling.max_tokens - _CLOSING
            seen = torch.tensor(ids, dtype=torch.long)
            scores = constraint.mask(logits)
            token = int(choose(scores, sampling, seen, chance))
            total += float(logprob(scores, torch.tensor(token)))
            pending += 1
            if token in self._tokenizer.end:
                break
            ids.append(token)
            constraint.advance(token)
            text = self._tokenizer.decode(ids)
            if not text.endswith("\ufffd"):  # else a character is still incomplete
                yield Piece(text[len(shown) :], pending, total, refusal)
                shown, total, pending = text, 0.0, 0
                if any(stop in text for stop in sampling.stop):
                    return
            logits = self._step([token], cache)
        if pending:
            yield Piece("", pending, total, refusal)

    def _step(self, ids: list[int], cache: KVCache) -> Tensor:
        """Logits (vocabulary,) after `ids`, which join the cache."""
        hidden = self._model(torch.tensor([ids], device=self._model.device), kv=cache)
        return self._model.logits(hidden[0, -1])

    def _read(self, prompt: Prompt, room: int) -> KVCache:
        """The passages in the model's memory, ready for the question."""
        capacity = prompt.length + room
        cache = KVCache(
            self._model.config, capacity, dtype=self._model.dtype, device=self._model.device
        )
        markers = self._adapter.markers if self._adapter is not None else None
        with self._reading_passages():
            if self._block_wise:
                blocks = encode_blocks(self._model, self._prefix, prompt.passages)
                cache.append(*join(self._model, self._prefix, blocks, markers))
            else:
                ids = [*prompt.prefix, *(i for p in prompt.passages for i in p)]
                self._model(torch.tensor([ids], device=self._model.device), kv=cache)
                self._number(cache, prompt, markers)
        return cache

    @staticmethod
    def _number(cache: KVCache, prompt: Prompt, markers: Tensor | None) -> None:
        """Add each passage's marker vector to its values (full attention, unnumbered text)."""
        if markers is None or not len(markers):
            return
        at = len(prompt.prefix)
        for number, passage in enumerate(prompt.passages):
            added = markers[number][:, None, :, None].to(cache.values.dtype)
            cache.values[:, :, :, at : at + len(passage)] += added
            at += len(passage)

    def _reading_passages(self) -> AbstractContextManager[None]:
        """The adapter's state while passages are read: off for a reader-side one."""
        if self._adapter is None:
            return nullcontext()
        return self._adapter.switched(self._adapter.config.mode == "all")
