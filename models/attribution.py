"""What each passage did for an answer: how much less likely its sentences are without it.

The keys and values of all passages lie side by side, so one is left out by a mask; the others keep
their places and numbers. All of it is one batch over the question and the answer: row 0 sees
everything, row i does not see passage i. Knows token ids only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from models.kv import Recorder
from models.tokenizer import Tokenizer
from models.transformer import Transformer, causal

Sentence = tuple[str, Sequence[int]]  # its words, and the numbers of the passages it cites


class Constraint(Protocol):
    """What may be said next; see `models.constraint`."""

    def mask(self, logits: Tensor) -> Tensor: ...
    def advance(self, token: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Spoken:
    """An answer as token ids; `owner[t]` is the sentence whose words token t belongs to, -1 for
    those of a marker."""

    ids: tuple[int, ...]
    owner: tuple[int, ...]


def spoken(tokenizer: Tokenizer, sentences: Sequence[Sentence]) -> Spoken:
    """The ids of a whole answer, sentence by sentence, each with its markers after it."""
    ids: list[int] = []
    owner: list[int] = []
    for number, (text, markers) in enumerate(sentences):
        words = tokenizer.encode(text if not ids else f" {text}")
        marks = [i for marker in markers for i in tokenizer.encode(f" [{marker}]")]
        ids += words + marks
        owner += [number] * len(words) + [-1] * len(marks)
    return Spoken(tuple(ids), tuple(owner))


def left_out(lengths: Sequence[int]) -> Tensor:
    """(passages + 1, sum of lengths) bool from the lengths of the prefix and the passages: row 0
    sees all, row i all but passage i."""
    rows = torch.ones(len(lengths), sum(lengths), dtype=torch.bool)
    at = lengths[0]
    for number, length in enumerate(lengths[1:], 1):
        rows[number, at : at + length] = False
        at += length
    return rows


@torch.no_grad()
def token_logprobs(
    model: Transformer,
    past: tuple[Tensor, Tensor],
    seen: Tensor,
    question: Sequence[int],
    answer: Sequence[int],
    constraint: Constraint,
    refusal: int,
) -> Tensor:
    """Log-probabilities (B, answer tokens) in nats, as generation has them: under the constraint,
    and after it was decided not to refuse (`refusal` is that text's first token).

    past: rotated keys and values, each (layers, 1, kv_heads, S, head_width); seen (B, S) bool.
    """
    rows, s = seen.shape
    ids = torch.tensor([[*question, *answer[:-1]]], device=model.device)
    t = ids.shape[1]
    mask = causal(s, t)[None].repeat(rows, 1, 1)
    mask[:, :, :s] &= seen[:, None]
    hidden = model(ids.expand(rows, -1), kv=Recorder(past), mask=mask.to(model.device))
    found = torch.empty(rows, len(answer))
    for place, token in enumerate(answer):
        logits = model.logits(hidden[:, len(question) - 1 + place])
        if place == 0:
            logits[:, refusal] = float("-inf")
        allowed = constraint.mask(logits)
        if bool(allowed[0, token].isinf()):  # the words were corrected after they were generated
            allowed = logits
        found[:, place] = allowed.log_softmax(-1)[:, token].cpu()
        constraint.advance(token)
    return found


def drops(logprobs: Tensor, owner: Sequence[int], sentences: int) -> list[tuple[float, ...]]:
    """For each sentence the drop of its words' log-probability without passage 1, 2, ..., in nats:
    positive where the passage made it likelier. logprobs (1 + passages, tokens)."""
    index = torch.tensor(owner)
    found = []
    for number in range(sentences):
        total = logprobs[:, index == number].sum(1)
        found.append(tuple(float(x) for x in total[0] - total[1:]))
    return found
