"""A score: a number with its reason, or unscored with the reason why. Unscored is never zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """`value` is None when there is nothing to score (no data, not applicable)."""

    value: float | None
    explanation: str = ""

    @property
    def scored(self) -> bool:
        return self.value is not None

    @classmethod
    def unscored(cls, reason: str) -> Score:
        return cls(None, reason)


@dataclass(frozen=True, slots=True)
class Metric:
    """What a number means. `higher` is False where less is better; `about` names the samples it is
    taken over and the source of the formula."""

    name: str
    about: str
    higher: bool = True


Scores = Mapping[str, Score]
