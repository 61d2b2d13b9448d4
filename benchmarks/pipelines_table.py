"""A run of several retrieval pipelines as a table. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.statistics import Estimate, mean, paired, statistic

RESAMPLES = 2000
Rows = list[dict[str, Any]]


def table(rows: Rows) -> str:
    """The first row of each set is ours; `encoder` is its seconds for a question."""
    encoder: float = rows[0]["encoder"]
    lines: list[str] = []
    for name in dict.fromkeys(row["set"] for row in rows):
        own, *others = [row for row in rows if row["set"] == name]
        lines += ["", f"{name}: {own['chunks']:,} chunks, {len(own['seconds'])} questions"]
        if own["ndcg"]:
            lines.append(f"{'':<20}{'nDCG@10 [95%]':<24}{'ours less this [95%]'}")
            lines += [_quality(row, own) for row in (own, *others)]
        lines.append(f"{'':<20}{'p50 ms':>9}{'p95 ms':>9}  {'times ours':<22}with the encoder")
        lines += [_speed(row, own, encoder) for row in (own, *others)]
    return "\n".join(lines)


def encoder_line(rows: Rows) -> str:
    seconds: float = rows[0]["encoder"]
    return f"\nthe encoder: {seconds * 1000:.1f} ms a question, in no column but the last"


def _quality(row: dict[str, Any], own: dict[str, Any]) -> str:
    line = f"{row['pipeline']:<20}{_within(mean(row['ndcg'])):<24}"
    if row is own:
        return line.rstrip()
    less = paired(row["ndcg"], own["ndcg"])
    return f"{line}{less.value:+.3f} [{less.low:+.3f}, {less.high:+.3f}]"


def _within(found: Estimate) -> str:
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _speed(row: dict[str, Any], own: dict[str, Any], encoder: float) -> str:
    median, high = np.percentile(row["seconds"], [50, 95]) * 1000
    line = f"{row['pipeline']:<20}{median:>9.1f}{high:>9.1f}"
    if row is own:
        return line
    alone, whole = (times(own["seconds"], row["seconds"], more) for more in (0.0, encoder))
    shown = f"{alone.value:.1f} [{alone.low:.1f}, {alone.high:.1f}]"
    return f"{line}  {shown:<22}{whole.value:.1f}"


def times(ours: Sequence[float], theirs: Sequence[float], more: float = 0.0) -> Estimate:
    """Their median over ours, `more` seconds added to both; the interval redraws the questions,
    each with both its times."""
    mine, other = np.array(ours) + more, np.array(theirs) + more

    def ratio(drawn: NDArray[np.intp]) -> float:
        return float(np.median(other[drawn]) / np.median(mine[drawn]))

    return statistic(len(mine), ratio, 0, RESAMPLES)
