"""What a run of several engines over the same questions comes to. Pure functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.peer import Timed
from eval.scorers.squad import f1
from eval.statistics import Estimate, mean, statistic
from rag.sentences import marked_sentences

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Asked:
    """One answer of one engine. `load` is the machine's load average when it was asked."""

    engine: str
    workload: str
    question: str
    timed: Timed
    answers: tuple[str, ...]
    passages: int
    load: float

    @property
    def f1(self) -> float | None:
        """Of the words without markers; None where no answer is right."""
        if not self.answers:
            return None
        sentences = marked_sentences(self.timed.text, self.passages)
        return f1(" ".join(text for text, _ in sentences), self.answers)


Of = Callable[[Asked], float | None]


def by_question(asked: Sequence[Asked], of: Of) -> dict[str, float]:
    """The median over the repeats of each question; questions without a value are left out."""
    held: dict[str, list[float]] = {}
    for each in asked:
        value = of(each)
        if value is not None:
            held.setdefault(each.question, []).append(value)
    return {question: float(np.median(values)) for question, values in held.items()}


@dataclass(frozen=True, slots=True)
class Spread:
    """None everywhere without data. `least` is over the single answers, not the questions."""

    median: float | None
    least: float | None
    p95: float | None
    n: int


def spread(asked: Sequence[Asked], of: Of) -> Spread:
    single = [value for each in asked if (value := of(each)) is not None]
    if not single:
        return Spread(None, None, None, 0)
    medians = list(by_question(asked, of).values())
    median, p95 = (float(each) for each in np.percentile(medians, [50, 95]))
    return Spread(median, min(single), p95, len(medians))


def quality(asked: Sequence[Asked], seed: int = 0) -> Estimate:
    """Mean token F1 over the questions that have an answer."""
    return mean(list(by_question(asked, lambda each: each.f1).values()), seed)


def times_better(
    ours: Sequence[Asked],
    theirs: Sequence[Asked],
    of: Of,
    *,
    higher: bool = False,
    seed: int = 0,
) -> Estimate:
    """How many times as fast ours is: their median over ours for seconds, ours over theirs where
    `higher` is better, over the questions that both have a value for; the interval redraws the
    questions, each with both its values."""
    left, right = by_question(ours, of), by_question(theirs, of)
    shared = sorted(left.keys() & right.keys())
    mine = np.array([left[each] for each in shared])
    other = np.array([right[each] for each in shared])

    def ratio(rows: NDArray[np.intp]) -> float:
        a, b = np.median(mine[rows]), np.median(other[rows])
        return float(a / b if higher else b / a)

    return statistic(len(shared), ratio, seed, RESAMPLES)
