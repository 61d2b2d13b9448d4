"""From logits to the next token. Pure functions over the last dimension, the vocabulary: (V,) or
(B, V) float tensors in, new tensors of that shape out, nothing changed in place. A token at -inf
(forbidden by a constraint) stays at -inf through all of them.

The order of `choose` and the meaning of each step are those of Hugging Face transformers, and are
tested against its logits processors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

FORBIDDEN = float("-inf")


class Settings(Protocol):
    """How to decode. temperature 0 is greedy, which looks at the penalty only."""

    @property
    def max_tokens(self) -> int: ...
    @property
    def temperature(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def top_p(self) -> float: ...
    @property
    def repetition_penalty(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def stop(self) -> tuple[str, ...]: ...


def generator(seed: int) -> torch.Generator:
    """The source of chance for one answer. It lives on the CPU whatever the model's device, so
    that the same seed gives the same draws everywhere."""
    return torch.Generator("cpu").manual_seed(seed)


def greedy(logits: Tensor) -> Tensor:
    """The most likely token, (...,) int64. Raises ValueError when every token is forbidden."""
    if logits.device.type == "cpu":  # numpy looks at 16 at once
        best = torch.as_tensor(logits.detach().numpy().argmax(-1))
    else:
        best = logits.argmax(-1)
    _some_allowed(logits.gather(-1, best[..., None]))
    return best


def biased(logits: Tensor, bias: Mapping[int, float]) -> Tensor:
    """Each token's logit plus its bias; -inf forbids it."""
    if not bias:
        return logits
    tokens = torch.tensor(list(bias), device=logits.device)
    amounts = torch.tensor(list(bias.values()), device=logits.device, dtype=logits.dtype)
    return logits.index_add(-1, tokens, amounts.expand(*logits.shape[:-1], -1))


def penalised(logits: Tensor, seen: Tensor, penalty: float) -> Tensor:
    """Tokens already seen are made less likely by the factor `penalty` > 1 (CTRL, Keskar et al.
    2019, arXiv 1909.05858): positive logits are divided, negative ones multiplied. `seen` holds
    token ids, (S,) or (B, S)."""
    if penalty == 1.0 or seen.numel() == 0:
        return logits
    seen = seen.to(logits.device)
    scores = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(scores < 0, scores * penalty, scores / penalty))


def tempered(logits: Tensor, temperature: float) -> Tensor:
    """Logits over the temperature, which is above 0. Raises ValueError."""
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} is not above 0; use greedy() for 0")
    return logits if temperature == 1.0 else logits / temperature


def top_k(logits: Tensor, k: int) -> Tensor:
    """Only the k best tokens (and those equal to the last of them); k 0 keeps all."""
    if k <= 0 or k >= logits.shape[-1]:
        return logits
    worst = logits.topk(k, dim=-1).values[..., -1:]
    return logits.masked_fill(logits < worst, FORBIDDEN)


def top_p(logits: Tensor, p: float) -> Tensor:
    """The smallest set of best tokens whose probability reaches p (nucleus sampling, Holtzman et
    al. 2020, arXiv 1904.09751), never fewer than one; p 1 keeps all."""
    if p >= 1.0:
        return logits
    ascending, order = logits.sort(dim=-1, descending=False)
    dropped = ascending.softmax(-1).cumsum(-1) <= 1 - p
    dropped[..., -1:] = False
    return logits.masked_fill(dropped.scatter(-1, order, dropped), FORBIDDEN)


def choose(
    logits: Tensor,
    settings: Settings,
    seen: Tensor,
    chance: torch.Generator,
    bias: Mapping[int, float] | None = None,
) -> Tensor:
    """The next token of each row, (...,) int64: bias, repetition penalty, then greedy, or
    temperature, top-k, top-p and a draw. Raises ValueError when every token is forbidden."""
    scores = penalised(biased(logits.float(), bias or {}), seen, settings.repetition_penalty)
    if settings.temperature <= 0:
        return greedy(scores)
    _some_allowed(scores)
    scores = top_p(top_k(tempered(scores, settings.temperature), settings.top_k), settings.top_p)
    drawn = torch.multinomial(scores.softmax(-1).cpu(), 1, generator=chance).squeeze(-1)
    return drawn.to(logits.device)


def logprob(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability in nats of one token a row, (...,), under the logits as they are given."""
    return logits.float().log_softmax(-1).gather(-1, tokens.unsqueeze(-1)).squeeze(-1)


def _some_allowed(logits: Tensor) -> None:
    if bool((logits == FORBIDDEN).all(-1).any()):
        raise ValueError("no token is allowed here: the constraint and the bias forbid them all")
