"""Seconds per stage as percentiles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np


def percentiles(
    seconds: Sequence[float], levels: Sequence[float] = (50, 95, 99)
) -> dict[str, float]:
    """{"p50", "p95", ...} by linear interpolation, and the mean; empty without a measurement."""
    if not seconds:
        return {}
    found = np.percentile(np.asarray(seconds, dtype=np.float64), levels)
    named = {f"p{level:g}": float(value) for level, value in zip(levels, found, strict=True)}
    return named | {"mean": float(np.mean(seconds)), "n": len(seconds)}


def by_stage(timings: Iterable[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Percentiles of every stage over the samples that went through it."""
    stages: dict[str, list[float]] = {}
    for timing in timings:
        for stage, seconds in timing.items():
            stages.setdefault(stage, []).append(seconds)
    return {stage: percentiles(values) for stage, values in stages.items()}
