"""From passages and a question to a streamed, cited answer, by our own Transformer. Knows text;
not where the passages come from or what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from models.attribution import Sentence, Spoken, drops, left_out, spoken, token_logprobs
from models.block_key import BlockKey, text_key
from models.blocks import encode_blocks, join, mark
from models.constraint import CitationConstraint, Vocabulary
from models.engine.engine import Engine
from models.engine.request import Passage, Request
from models.engine.stream import Stream
from models.kv import KVCache
from models.lora import Adapter
from models.piece import Piece
from models.prompt import REFUSAL, VERSION, Prompt, PromptBuilder
from models.sampling import Settings
from models.transformer import causal
from models.writing import Writing

WarmingEnd = Literal["done", "stopped", "full"]


class TransformerGenerator:
    """An engine's weights with at most one adapter, as many answers at once as the engine takes.

    With an adapter trained to read block-wise, each passage is encoded on its own by the base
    weights and the adapter reads question and answer; otherwise the whole prompt is read with full
    attention and the passages carry their numbers in the text.

    It writes an answer to every question. Whether it would rather refuse is told before the first
    word, by the probability of the refusal: an answer can begin in many ways, the refusal in one,
    so the likelier first token is no measure of it, and the threshold is the caller's.
    """

    def __init__(
        self,
        engine: Engine,
        adapter: Adapter | None = None,
        adapter_name: str = "none",
        min_confidence: float = 0.3,
        confidence: Mapping[str, float] | None = None,
        merge: bool = False,
    ) -> None:
        self._engine = engine
        checkpoint = engine.checkpoint
        self._model, self._tokenizer = checkpoint.model, checkpoint.tokenizer
        self._adapter, self._adapter_name = adapter, adapter_name
        self.model = engine.identity
        numbered = adapter is None or adapter.config.markers == 0
        self._prompts = PromptBuilder(checkpoint.tokenizer, numbered)
        size, prepared = checkpoint.model.config.vocab_size, checkpoint.prepared
        identity = checkpoint.identity
        self._vocabulary = Vocabulary(checkpoint.tokenizer, size, prepared, identity)
        self.min_confidence = min_confidence
        self.confidence = dict(confidence or {})
        self._refusal_ids = checkpoint.tokenizer.encode(REFUSAL)
        self._reader = engine.reader(adapter, adapter_name, self._prompts.prefix, merge)

    @property
    def adapter(self) -> str:
        return self._adapter_name

    @property
    def prompt_version(self) -> str:
        return VERSION

    @property
    def computed(self) -> Mapping[str, str | int | float | bool]:
        """The names are those of the settings, where one decides."""
        return self._engine.arithmetic | {"merge_adapter": self._reader.merged is not None}

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

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [self.count_tokens(text) for text in texts]

    def generate(
        self, passages: Sequence[str], question: str, sampling: Settings, keep: bool = True
    ) -> Generator[Piece]:
        """Stream the answer; closing the generator stops the work. Without `keep`, KV blocks that
        are there are used, and none is added. Raises ValueError when the prompt does not fit the
        model, Busy and EngineStopped."""
        prompt = self._prompt(passages, question, sampling.max_tokens)
        stream = Stream()
        writing = Writing(prompt, self._tokenizer, self._vocabulary, sampling, stream.put)
        named = tuple(
            Passage(ids, text_key(text))
            for ids, text in zip(prompt.passages, passages, strict=False)
        )
        room = sampling.max_tokens
        request = Request(self._reader, named, prompt.question, room, writing, stream, keep)
        self._engine.submit(request)
        try:
            yield from stream
        finally:
            stream.cancel()

    def warm(self, texts: Iterable[str], stop: Callable[[], bool]) -> tuple[int, WarmingEnd]:
        """Make the KV blocks of passages ahead of use, one at a time while nothing is asked or
        being written, until `stop()`, or until the disk has no room left for such blocks. Returns
        how many were made, and why it ended; weights with full attention have none to make. What
        is deleted meanwhile is not kept, if `texts` gives what was stored minutes ago at most: the
        store bars an erased text for ten. Raises EngineStopped."""
        made, reader, blocks = 0, self._reader, self._engine.blocks
        for text in texts if reader.block_wise else ():
            key = BlockKey(reader.reading, text_key(text))
            if stop():
                return made, "stopped"
            ids = self._prompts.passage(text, 1) if blocks.lacks(key) else ()
            if not ids or len(reader.prefix_ids) + len(ids) > self.context_tokens:
                continue  # it is there, was erased, or fits no prompt
            passage = Passage(ids, key.text)
            kept = self._engine.when_idle(partial(self._engine.fill, reader, passage), stop)
            made += bool(kept)
            if kept is None:
                return made, "stopped"
            if not kept and blocks.lacks(key):
                return made, "full"
        return made, "done"

    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[Sentence]
    ) -> list[tuple[float, ...]]:
        """For each sentence of an answer, how far the log-probability of its words falls without
        passage 1, 2, ... (nats); the other passages keep their places and numbers. Raises
        ValueError when the prompt does not fit the model, EngineStopped."""
        said = spoken(self._tokenizer, sentences)
        prompt = self._prompt(passages, question, len(said.ids))
        each = self._engine.call(lambda: self._without_each(prompt, said))
        return drops(each, said.owner, len(sentences))

    def _without_each(self, prompt: Prompt, said: Spoken) -> Tensor:
        """Log-probabilities (1 + passages, answer tokens) with all passages, and without each."""
        seen = left_out([len(prompt.prefix), *map(len, prompt.passages)])
        if self._reader.block_wise:
            return self._logprobs(self._read(prompt, 0), seen, prompt, said)
        each = [
            self._logprobs(self._read(prompt, 0, row[None]), row[None], prompt, said)
            for row in seen
        ]
        return torch.cat(each)

    def _logprobs(self, cache: KVCache, seen: Tensor, prompt: Prompt, said: Spoken) -> Tensor:
        past = cache.keys[..., : cache.length, :], cache.values[..., : cache.length, :]
        count = len(prompt.passages)
        constraint = CitationConstraint(self._tokenizer, self._vocabulary, count, REFUSAL)
        with self._reader.answering() as model:
            return token_logprobs(
                model, past, seen, prompt.question, said.ids, constraint, self._refusal_ids[0]
            )

    def _prompt(self, passages: Sequence[str], question: str, room: int) -> Prompt:
        prompt = self._prompts.build(passages[: self.most_passages], question)
        if prompt.length + room > self.context_tokens:
            raise ValueError(
                f"a prompt of {prompt.length} tokens and an answer of {room} do not fit the "
                f"model's {self.context_tokens}"
            )
        return prompt

    def _read(self, prompt: Prompt, room: int, seen: Tensor | None = None) -> KVCache:
        """The passages in the model's memory, ready for the question. With full attention, they
        see of each other what `seen` (1, tokens) lets them."""
        reader, lengths = self._reader, [len(ids) for ids in prompt.passages]
        dtype, device = self._model.dtype, self._model.device
        cache = KVCache(self._model.config, prompt.length + room, dtype=dtype, device=device)
        with reader.passages() as model:
            if reader.block_wise:
                blocks = encode_blocks(model, reader.prefix, prompt.passages)
                cache.append(*join(model, reader.prefix, blocks, reader.markers))
                return cache
            ids = [*prompt.prefix, *(i for p in prompt.passages for i in p)]
            mask = None if seen is None else (causal(0, len(ids)) & seen)[None].to(device)
            model(torch.tensor([ids], device=device), kv=cache, mask=mask)
            mark(cache, len(prompt.prefix), lengths, reader.markers)
        return cache
