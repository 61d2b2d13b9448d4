"""Means with what they are worth: n and a seeded bootstrap interval (Efron and Tibshirani 1993)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
_BLOCK = 2_000_000  # draws held in memory at once


@dataclass(frozen=True, slots=True)
class Estimate:
    """`value` with the bounds of its interval at `level`. Without data everything is None; from
    one value no interval can be had."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    level: float = 0.95

    def __str__(self) -> str:
        if self.value is None:
            return "no data (n=0)"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} (n={self.n})"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"


@dataclass(frozen=True, slots=True)
class Difference:
    """b - a over the same samples. `sure` when the interval leaves out zero."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    level: float = 0.95

    @property
    def sure(self) -> bool:
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def mean(
    values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES, level: float = 0.95
) -> Estimate:
    """The mean with its percentile bootstrap interval."""
    data = np.asarray(values, dtype=np.float64)
    if len(data) == 0:
        return Estimate(None, None, None, 0, level)
    centre = float(data.mean())
    if len(data) == 1:
        return Estimate(centre, None, None, 1, level)
    low, high = _bounds(_resampled_means(data, seed, resamples), level, centre)
    return Estimate(centre, low, high, len(data), level)


def statistic(
    rows: int,
    of: Callable[[NDArray[np.intp]], float],
    seed: int = 0,
    resamples: int = 200,
    level: float = 0.95,
) -> Estimate:
    """Any statistic of `rows` samples with its interval; `of` takes the indices to compute it
    from (drawn with replacement)."""
    if rows == 0:
        return Estimate(None, None, None, 0, level)
    centre = of(np.arange(rows))
    if rows == 1:
        return Estimate(centre, None, None, 1, level)
    rng = np.random.default_rng(seed)
    drawn = np.array([of(rng.integers(0, rows, rows)) for _ in range(resamples)])
    low, high = _bounds(drawn, level, centre)
    return Estimate(centre, low, high, rows, level)


def stratified(
    labels: NDArray[np.bool_],
    of: Callable[[NDArray[np.intp]], float],
    seed: int = 0,
    resamples: int = 1000,
    level: float = 0.95,
) -> Estimate:
    """Any statistic of two classes with its interval; rows are drawn within each class, so that
    both always occur. Without one of them there is no value."""
    classes = [np.flatnonzero(labels), np.flatnonzero(~labels)]
    if not all(map(len, classes)):
        return Estimate(None, None, None, len(labels), level)
    centre = of(np.arange(len(labels)))
    rng = np.random.default_rng(seed)
    drawn = [
        of(np.concatenate([rng.choice(rows, len(rows)) for rows in classes]))
        for _ in range(resamples)
    ]
    low, high = _bounds(np.array(drawn), level, centre)
    return Estimate(centre, low, high, len(labels), level)


def paired(
    a: Sequence[float],
    b: Sequence[float],
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> Difference:
    """Mean of b - a with its interval; a[i] and b[i] belong to one sample. Raises ValueError when
    the lengths differ."""
    if len(a) != len(b):
        raise ValueError(f"paired values must come in pairs, got {len(a)} and {len(b)}")
    found = mean([y - x for x, y in zip(a, b, strict=True)], seed, resamples, level)
    return Difference(found.value, found.low, found.high, found.n, level)


def _resampled_means(data: NDArray[np.float64], seed: int, resamples: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    at_once = max(1, _BLOCK // len(data))
    found = [
        data[rng.integers(0, len(data), (min(at_once, resamples - done), len(data)))].mean(axis=1)
        for done in range(0, resamples, at_once)
    ]
    return np.concatenate(found)


def _bounds(drawn: NDArray[np.float64], level: float, centre: float) -> tuple[float, float]:
    """Percentile bounds; rounding in a resample's mean must not push them past the mean."""
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return min(float(low), centre), max(float(high), centre)
