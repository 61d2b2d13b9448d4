"""How sure an answer is: the probability that it is right, from what was seen while it was written.

Logistic in four signals, with weights that were fitted on labelled questions (Platt 1999), by
`attest calibrate` or for an adapter's card. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

_MOST = 8.0  # log-odds beyond which a probability from a model of this kind means nothing


@dataclass(frozen=True, slots=True)
class Signals:
    """`willing`: probability, before the first word, that the model would not refuse. `mean`,
    `lowest`: log-probability (nats) of the draft's tokens, on average and at its weakest. `asked`:
    share of the question's content words found beside the quoted words, since words copied from
    the wrong place are supported there but not asked about."""

    willing: float
    mean: float
    lowest: float
    asked: float


@dataclass(frozen=True, slots=True)
class Confidence:
    """The weights; none is negative but the bias, so a stronger signal never lowers it."""

    bias: float = -1.5
    willing: float = 0.25
    mean: float = 1.5
    lowest: float = 0.0
    asked: float = 1.5

    def of(self, seen: Signals) -> float:
        """In [0, 1]."""
        odds = self.bias + self.willing * willingness(seen.willing) + self.mean * seen.mean
        return _sigmoid(odds + self.lowest * seen.lowest + self.asked * seen.asked)

    def most(self, willing: float) -> float:
        """What the confidence can come to at best once the model's willingness is known: below the
        threshold there is no need to write anything."""
        return self.of(Signals(willing, 0.0, 0.0, 1.0))

    def as_settings(self) -> dict[str, float]:
        return {f"confidence_{name}": value for name, value in asdict(self).items()}

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> Confidence | None:
        """What `as_settings` wrote; None where it is not all there."""
        names = [field.name for field in fields(cls)]
        found = [settings.get(f"confidence_{name}") for name in names]
        numbers = [float(value) for value in found if isinstance(value, int | float)]
        return cls(*numbers) if len(numbers) == len(names) else None


def willingness(probability: float) -> float:
    """Log-odds, within bounds."""
    inside = min(max(probability, 1e-9), 1 - 1e-9)
    return min(max(math.log(inside / (1 - inside)), -_MOST), _MOST)


def _sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))
