"""One streamed step of generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Piece:
    """`text` to append, how many tokens it took, and the sum of their log-probabilities (nats).
    `refusal` is the probability, before the first token, that the reader would rather refuse;
    `timings` the seconds of what came before, by stage."""

    text: str
    tokens: int
    logprob: float
    refusal: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
