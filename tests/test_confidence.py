"""Confidence: a stronger signal never lowers it, and what is stored comes back."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rag.confidence import Confidence, Signals

WEIGHT = st.floats(0, 10)
CONFIDENCE = st.builds(Confidence, st.floats(-10, 10), WEIGHT, WEIGHT, WEIGHT, WEIGHT)
NATS = st.floats(-50, 0)
SIGNALS = st.builds(Signals, st.floats(0, 1), NATS, NATS, st.floats(0, 1))


@given(CONFIDENCE, SIGNALS, st.floats(0, 1))
def test_stronger_signals_never_lower_it(by: Confidence, seen: Signals, better: float) -> None:
    assert 0 <= by.of(seen) <= 1
    for stronger in (
        replace(seen, willing=max(seen.willing, better)),
        replace(seen, mean=seen.mean * better),
        replace(seen, lowest=seen.lowest * better),
        replace(seen, asked=max(seen.asked, better)),
    ):
        assert by.of(stronger) >= by.of(seen)


@given(CONFIDENCE, SIGNALS)
def test_nothing_passes_its_bound(by: Confidence, seen: Signals) -> None:
    assert by.of(seen) <= by.most(seen.willing)


@given(CONFIDENCE)
def test_what_is_stored_comes_back(by: Confidence) -> None:
    assert Confidence.from_settings({"other": "x"} | by.as_settings()) == by
    assert Confidence.from_settings({"confidence_bias": 1.0}) is None
