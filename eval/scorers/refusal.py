"""Refusals, counted apart from answers. Each function scores one sample, so that its mean over the
scored samples is the metric and a bootstrap over samples is right.
"""

from __future__ import annotations


def refusal_precision(refused: bool, answerable: bool) -> float | None:
    """Mean = refused and unanswerable / refused. None when it was answered."""
    return float(not answerable) if refused else None


def refusal_recall(refused: bool, answerable: bool) -> float | None:
    """Mean = refused and unanswerable / unanswerable. None when answerable."""
    return None if answerable else float(refused)


def wrong_answer(refused: bool, right: bool) -> float | None:
    """Mean = wrong answers / answers, the rate that CALIBRATED bounds. None when refused."""
    return None if refused else float(not right)
