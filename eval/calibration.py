"""Calibration: from labelled questions to how sure an answer must be to be shown.

The reader answers every question, sure or not. On one part of them the weights of the confidence
are fitted (logistic, none negative but the bias) and the threshold is chosen for a wrong-answer
rate; what that comes to is measured on the other part.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize

from eval import statistics
from eval.scorers.confidence import aurc, ece, risk_coverage, thinned
from rag.confidence import Confidence, Signals, willingness
from rag.errors import BadInput

_RIDGE = 1.0  # a unit prior on the weights: finite even where signals separate right from wrong
_FEWEST = 30  # answers to fit five weights on


@dataclass(frozen=True, slots=True)
class Case:
    """One question put to the reader. `signals` None: nothing it said was supported, so it is a
    refusal at any threshold. `right`: what it said is right, and the question answerable."""

    id: str
    signals: Signals | None
    right: bool
    answerable: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """Answers from `threshold` up are shown."""

    confidence: Confidence
    threshold: float
    wrong_rate: float  # asked for, of the answers shown

    def of(self, case: Case) -> float | None:
        return None if case.signals is None else self.confidence.of(case.signals)

    def as_settings(self) -> dict[str, float]:
        return {"min_confidence": self.threshold} | self.confidence.as_settings()


def halves(cases: Sequence[Case], seed: int, held_out: float) -> tuple[list[Case], list[Case]]:
    """To fit on, and to measure on; a question falls on the same side whatever else is asked."""
    aside = {c.id for c in cases if drawn(f"{seed}:{c.id}") < held_out}
    return [c for c in cases if c.id not in aside], [c for c in cases if c.id in aside]


def drawn(text: str) -> float:
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64


def calibrate(cases: Sequence[Case], wrong_rate: float) -> Calibration:
    """Raises BadInput for too few answers, or when none is right or none wrong."""
    confidence = fit(cases)
    rows = [(confidence.of(c.signals), c.right) for c in cases if c.signals is not None]
    return Calibration(confidence, threshold(rows, wrong_rate), wrong_rate)


def fit(cases: Sequence[Case]) -> Confidence:
    """Maximum likelihood with a small ridge. Raises BadInput as `calibrate`."""
    seen = [(c.signals, c.right) for c in cases if c.signals is not None]
    if len(seen) < _FEWEST or len({right for _, right in seen}) < 2:
        raise BadInput(
            f"{len(seen)} answers, {sum(right for _, right in seen)} of them right, are too few to "
            f"calibrate on: at least {_FEWEST} are needed, some right and some wrong"
        )
    x = np.array([[1.0, willingness(s.willing), s.mean, s.lowest, s.asked] for s, _ in seen])
    sign = np.array([1.0 if right else -1.0 for _, right in seen])

    ridge = _RIDGE / len(seen)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ w)
        wrong = np.exp(-np.logaddexp(0.0, margin))
        value = float(np.logaddexp(0.0, -margin).mean() + ridge * (w[1:] @ w[1:]) / 2)
        slope = -(x * (sign * wrong)[:, None]).mean(0) + ridge * np.array([0.0, *w[1:]])
        return value, slope

    bounds = [(None, None)] + [(0.0, None)] * 4
    found = minimize(loss, np.zeros(5), jac=True, bounds=bounds, method="L-BFGS-B").x
    return Confidence(*(float(v) for v in found))


def threshold(rows: Sequence[tuple[float, bool]], wrong_rate: float) -> float:
    """The lowest confidence from which on at most `wrong_rate` of the answers are wrong, counting
    one more wrong answer than was seen (conformal risk control, arXiv 2208.02814). Above every
    row's, where no such place exists."""
    wrong = 0
    best = math.inf
    ordered = sorted(rows, reverse=True)
    for number, (confidence, right) in enumerate(ordered, 1):
        wrong += not right
        last_of_equals = number == len(ordered) or ordered[number][0] < confidence
        if last_of_equals and (wrong + 1) / (number + 1) <= wrong_rate:
            best = confidence
    return min(1.0, best)


def measured(cases: Sequence[Case], by: Calibration, seed: int) -> dict[str, Any]:
    """What the threshold comes to on `cases`, with n and intervals."""
    sure = [(c, by.of(c)) for c in cases]
    shown = [c for c, value in sure if value is not None and value >= by.threshold]
    ids = {c.id for c in shown}
    rows = [(value, c.right) for c, value in sure if value is not None]
    curve = risk_coverage([v for v, _ in rows], [ok for _, ok in rows])
    share = len(rows) / len(cases) if cases else 0.0

    def mean(values: Sequence[float]) -> dict[str, Any]:
        return asdict(statistics.mean(values, seed))

    def over(of: Callable[[list[float], list[bool]], float | None]) -> float | None:
        return of([v for v, _ in rows], [ok for _, ok in rows])

    return {
        "n": len(cases),
        "coverage": mean([float(c.id in ids) for c in cases]),
        "wrong_answer_rate": mean([float(not c.right) for c in shown]),
        "answerable_refused": mean([float(c.id not in ids) for c in cases if c.answerable]),
        "unanswerable_refused": mean([float(c.id not in ids) for c in cases if not c.answerable]),
        "ece": over(ece),
        "aurc": over(aurc),
        "risk_coverage": [[coverage * share, risk] for coverage, risk in thinned(curve)],
    }
