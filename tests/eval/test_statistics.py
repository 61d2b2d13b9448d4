"""Intervals: bounds, seeds, and known values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval import statistics

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60)


@settings(deadline=None)
@given(VALUES, st.integers(0, 2**31))
def test_the_interval_holds_the_mean(values: list[float], seed: int) -> None:
    found = statistics.mean(values, seed, resamples=200)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low <= found.value <= found.high
    assert min(values) - 1e-6 <= found.low
    assert found.high <= max(values) + 1e-6
    assert found.n == len(values)
    assert found == statistics.mean(values, seed, resamples=200)


def test_a_known_interval() -> None:
    """Of 100 draws with p = 0.3 the normal approximation gives 0.3 +- 1.96 sqrt(0.21 / 100)."""
    found = statistics.mean([1.0] * 30 + [0.0] * 70, seed=1, resamples=5000)
    half = 1.96 * math.sqrt(0.21 / 100)
    assert found.low == pytest.approx(0.3 - half, abs=0.015)
    assert found.high == pytest.approx(0.3 + half, abs=0.015)


def test_no_data_is_not_zero() -> None:
    assert statistics.mean([]).value is None
    assert str(statistics.mean([])) == "no data (n=0)"
    one = statistics.mean([0.5])
    assert (one.value, one.low, one.n) == (0.5, None, 1)
    assert str(one) == "0.500 (n=1)"


def test_pairs_see_what_two_intervals_hide() -> None:
    rng = np.random.default_rng(0)
    a = rng.random(80)
    b = a + 0.02  # every sample a little better
    alone = statistics.mean(list(a)), statistics.mean(list(b))
    assert alone[0].high is not None
    assert alone[1].low is not None
    assert alone[1].low < alone[0].high  # the two intervals overlap
    found = statistics.paired(list(a), list(b))
    assert found.value == pytest.approx(0.02)
    assert found.sure
    assert not statistics.paired(list(a), list(a)).sure
    assert not statistics.paired([], []).sure
    with pytest.raises(ValueError, match="in pairs"):
        statistics.paired([1.0], [])


def test_any_statistic_has_an_interval() -> None:
    values = np.arange(50.0)
    found = statistics.statistic(50, lambda rows: float(np.median(values[rows])), seed=3)
    assert found.value == 24.5
    assert found.low is not None
    assert found.high is not None
    assert found.low < 24.5 < found.high
    assert statistics.statistic(0, lambda rows: 1.0).value is None
    assert statistics.statistic(1, lambda rows: 1.0).low is None
