"""Whether confidence tells right from wrong: risk-coverage (El-Yaniv and Wiener 2010) and expected
calibration error (Guo et al. 2017, arXiv 1706.04599).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple


class RiskPoint(NamedTuple):
    """Answering only the most confident `coverage` of the questions, `risk` of them are wrong."""

    coverage: float
    risk: float


def risk_coverage(confidence: Sequence[float], right: Sequence[bool]) -> list[RiskPoint]:
    """One point for every number of answers, most confident first. Equal confidences cannot be
    told apart, so their errors are spread evenly over them: the order of the input is irrelevant.
    Raises ValueError when the lengths differ."""
    pairs = sorted(zip(confidence, right, strict=True), key=lambda pair: -pair[0])
    points: list[RiskPoint] = []
    wrong, done, n = 0.0, 0, len(pairs)
    for _, group in groupby(pairs, key=lambda pair: pair[0]):
        outcomes = [ok for _, ok in group]
        share = outcomes.count(False) / len(outcomes)
        for _ in outcomes:
            done += 1
            wrong += share
            points.append(RiskPoint(done / n, min(wrong / done, 1.0)))
    return points


def thinned(points: Sequence[RiskPoint], most: int = 20) -> list[RiskPoint]:
    """Points at even steps, about `most` of them, for people to read."""
    step = max(1, len(points) // most)
    return list(points[step - 1 :: step])


def aurc(confidence: Sequence[float], right: Sequence[bool]) -> float | None:
    """Area under the risk-coverage curve: the mean risk over all coverages. 0 is best; None
    without an answer."""
    points = risk_coverage(confidence, right)
    return sum(point.risk for point in points) / len(points) if points else None


def ece(confidence: Sequence[float], right: Sequence[bool], bins: int = 10) -> float | None:
    """Mean over equal-width bins of |accuracy - mean confidence|, weighted by bin size. None
    without an answer; raises ValueError for a confidence outside [0, 1]."""
    if any(not 0 <= value <= 1 for value in confidence):
        raise ValueError("a confidence lies outside [0, 1]")
    held: dict[int, list[tuple[float, bool]]] = {}
    for value, ok in zip(confidence, right, strict=True):
        held.setdefault(min(int(value * bins), bins - 1), []).append((value, ok))
    if not held:
        return None
    gaps = (abs(sum(ok for _, ok in b) - sum(value for value, _ in b)) for b in held.values())
    return sum(gaps) / len(confidence)
