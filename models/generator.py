"""From passages and a question to a streamed, cited answer, by our own Transformer. Knows text;
not where the passages come from or what becomes of the answer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor

from models.attribution import Sentence, Spoken, drops, left_out, spoken, token_logprobs
from models.blocks import encode, encode_blocks, join
from models.checkpoint import Checkpoint
from models.constraint import CitationConstraint, Vocabulary
from models.kv import KVCache
from models.lora import Adapter
from models.piece import Piece
from models.prompt import REFUSAL, VERSION, Prompt, PromptBuilder
from models.sampling import Settings, choose, logprob
from models.sampling import generator as chance_from
from models.transformer import causal

_CLOSING = 6  # tokens kept back for a last marker and the end


class TransformerGenerator:
    """One model and at most one adapter, one answer at a time (callers wait their turn). Generators
    of one checkpoint share its weights in memory: each attaches its adapter when its turn comes.

    With an adapter trained to read block-wise, each passage is encoded on its own by the base
    weights and the adapter reads question and answer; otherwise the whole prompt is read with full
    attention and the passages carry their numbers in the text.

    It writes an answer to every question. Whether it would rather refuse is told before the first
    word, by the probability of the refusal: an answer can begin in many ways, the refusal in one,
    so the likelier first token is no measure of it, and the threshold is the caller's.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        adapter: Adapter | None = None,
        adapter_name: str = "none",
        min_confidence: float = 0.3,
        confidence: Mapping[str, float] | None = None,
    ) -> None:
        self._model, self._tokenizer = checkpoint.model, checkpoint.tokenizer
        self._adapter, self._adapter_name = adapter, adapter_name
        self.model = f"{checkpoint.identity}/{str(checkpoint.model.dtype).removeprefix('torch.')}"
        self._block_wise = adapter is not None and adapter.config.reading == "block"
        numbered = adapter is None or adapter.config.markers == 0
        self._prompts = PromptBuilder(checkpoint.tokenizer, numbered)
        self._vocabulary = Vocabulary(checkpoint.tokenizer, checkpoint.model.config.vocab_size)
        self.min_confidence = min_confidence
        self.confidence = dict(confidence or {})
        self._refusal_ids = checkpoint.tokenizer.encode(REFUSAL)
        self._turn = checkpoint.turn
        with self._held(), self._reading_passages():
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
    ) -> Generator[Piece]:
        """Stream the answer. Raises ValueError when the prompt does not fit the model."""
        prompt = self._prompt(passages, question, sampling.max_tokens)
        with self._held():
            yield from self._decode(prompt, sampling)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The turn, with this generator's adapter and no other on the model."""
        with self._turn:
            if self._adapter is None:
                Adapter.detach(self._model)
            else:
                self._adapter.attach(self._model)
            yield

    @torch.no_grad()
    def drops(
        self, passages: Sequence[str], question: str, sentences: Sequence[Sentence]
    ) -> list[tuple[float, ...]]:
        """For each sentence of an answer, how far the log-probability of its words falls without
        passage 1, 2, ... (nats); the other passages keep their places and numbers. Raises
        ValueError when the prompt does not fit the model."""
        said = spoken(self._tokenizer, sentences)
        prompt = self._prompt(passages, question, len(said.ids))
        with self._held():
            return drops(self._without_each(prompt, said), said.owner, len(sentences))

    def _without_each(self, prompt: Prompt, said: Spoken) -> Tensor:
        """Log-probabilities (1 + passages, answer tokens) with all passages, and without each."""
        seen = left_out([len(prompt.prefix), *map(len, prompt.passages)])
        if self._block_wise:
            return self._logprobs(self._read(prompt, 0), seen, prompt, said)
        each = [
            self._logprobs(self._read(prompt, 0, row[None]), row[None], prompt, said)
            for row in seen
        ]
        return torch.cat(each)

    def _logprobs(self, cache: KVCache, seen: Tensor, prompt: Prompt, said: Spoken) -> Tensor:
        past = cache.keys[..., : cache.length, :], cache.values[..., : cache.length, :]
        constraint = self._constraint(prompt)
        first = self._refusal_ids[0]
        question, answer = prompt.question, said.ids
        return token_logprobs(self._model, past, seen, question, answer, constraint, first)

    def _prompt(self, passages: Sequence[str], question: str, room: int) -> Prompt:
        prompt = self._prompts.build(passages[: self.most_passages], question)
        if prompt.length + room > self.context_tokens:
            raise ValueError(
                f"a prompt of {prompt.length} tokens and an answer of {room} do not fit the "
                f"model's {self.context_tokens}"
            )
        return prompt

    def _constraint(self, prompt: Prompt) -> CitationConstraint:
        count = len(prompt.passages)
        return CitationConstraint(self._tokenizer, self._vocabulary, count, REFUSAL)

    def _decode(self, prompt: Prompt, sampling: Settings) -> Generator[Piece]:
        cache = self._read(prompt, sampling.max_tokens)
        logits = self._step(list(prompt.question), cache)
        refusal = float(logits.softmax(-1)[self._refusal_ids[0]])
        yield Piece("", 0, 0.0, refusal)
        logits[self._refusal_ids[0]] = float("-inf")
        constraint = self._constraint(prompt)
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

    def _read(self, prompt: Prompt, room: int, seen: Tensor | None = None) -> KVCache:
        """The passages in the model's memory, ready for the question. With full attention, they
        see of each other what `seen` (1, tokens) lets them."""
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
                mask = None if seen is None else causal(0, len(ids)) & seen
                mask = None if mask is None else mask[None].to(self._model.device)
                self._model(torch.tensor([ids], device=self._model.device), kv=cache, mask=mask)
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
