"""How well a score tells two classes apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def auroc(scores: ArrayLike, labels: ArrayLike) -> float | None:
    """The chance that a positive is scored above a negative, ties half (Mann and Whitney 1947).
    None unless both classes occur."""
    values = np.asarray(scores, dtype=np.float64)
    positive = np.asarray(labels, dtype=bool)
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return None
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[place]
    return float((ranks[positive].sum() - p * (p + 1) / 2) / (p * n))


def balanced_accuracy(scores: ArrayLike, labels: ArrayLike, threshold: float) -> float | None:
    """Mean of the share of positives at or above the threshold and of negatives below it. None
    unless both classes occur."""
    above = np.asarray(scores, dtype=np.float64) >= threshold
    positive = np.asarray(labels, dtype=bool)
    if positive.all() or not positive.any():
        return None
    return float((above[positive].mean() + (~above[~positive]).mean()) / 2)
