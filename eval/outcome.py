"""What came of one sample: the row that a run is made of, and its JSON forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eval.presenting import Presented
from eval.reply import Reply
from eval.score import Score
from rag.wire import Json, from_json, to_json


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is set, and nothing is scored, when the reader failed on this sample. `groups` are
    the values by which tables are split. `passages` are ids in prompt order."""

    id: str
    answer: str = ""
    verdict: str = ""
    cited: tuple[str, ...] = ()
    passages: tuple[str, ...] = ()
    confidence: float = 0.0
    timings: Mapping[str, float] = field(default_factory=dict)
    groups: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Score] = field(default_factory=dict)
    error: str = ""

    def prediction(self) -> dict[str, Json]:
        """The line that scripts read."""
        return {
            "id": self.id,
            "answer": self.answer,
            "verdict": self.verdict,
            "cited": list(self.cited),
            "passages": list(self.passages),
        }

    def to_json(self) -> Json:
        return to_json(self)

    @classmethod
    def from_json(cls, value: Any) -> Outcome:
        """Raises BadInput for another shape."""
        return from_json(cls, value)


def answered(asked: Presented, reply: Reply, scores: Mapping[str, Score]) -> Outcome:
    return Outcome(
        id=asked.sample.id,
        answer=reply.text,
        verdict=reply.verdict.value,
        cited=reply.cited,
        passages=reply.passages,
        confidence=reply.confidence,
        timings=reply.timings,
        groups=groups(asked),
        scores=scores,
    )


def failed(asked: Presented, error: Exception) -> Outcome:
    why = f"{type(error).__name__}: {error}"
    return Outcome(id=asked.sample.id, groups=groups(asked), error=why)


def groups(asked: Presented) -> dict[str, str]:
    position = asked.gold_position
    return {
        "kind": asked.sample.kind if asked.answerable else "unanswerable",
        "dataset": asked.sample.dataset,
        "gold_position": "none" if position is None else str(position),
    }
